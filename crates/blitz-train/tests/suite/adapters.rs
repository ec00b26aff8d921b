//! Posteriors on LoRA's factors, and files of adapters.

use std::cell::Cell;

use blitz_train::blitz_core::noise::layout;
use blitz_train::blitz_core::trains;
use blitz_train::prelude::*;
use blitz_train::{
    AdapterError, AdapterFileError, BlobConfig, CheckpointError, Tfb, TfbConfig, TfbError,
    load_adapter, save_adapter,
};
use burn::module::{
    Lora, Module, ModuleMapper, Param, ParamGroup, Reparameterization, Reparameterizer,
};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use crate::{LinearNet, scalar, values};

const RANK: usize = 2;
const SCALE: f64 = 2.0;

/// 6 → 5 with an adapter whose factors are trained.
fn adapted(device: &Device) -> LinearNet {
    let layer = LinearConfig::new(6, 5).with_bias(false).init(device);
    let net = LinearNet { layer };
    with_fixed_weights(net.apply_lora(Lora::new(RANK, SCALE * RANK as f64)), 7)
}

/// The same weights in every run, whatever the tests beside it draw.
fn with_fixed_weights<M: Module>(module: M, seed: u64) -> M {
    struct Fixed(u64, u32);

    impl ModuleMapper for Fixed {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            self.1 += 1;
            let mut normals = vec![0.0; param.shape().num_elements()];
            NoiseKey::new(self.0, 0, self.1).fill_standard_normal(0, &mut normals);
            param.map(|old| {
                let trains = old.is_require_grad();
                let data = TensorData::new(normals, old.shape());
                Tensor::from_data(data, &old.device()).set_require_grad(trains)
            })
        }
    }

    module.map(&mut Fixed(seed, 0))
}

/// Of the five outputs.
fn gaussian(std: f64, device: &Device) -> GaussianLikelihood {
    let noise = LikelihoodParam::Fixed(std);
    GaussianLikelihoodConfig::new()
        .with_targets(5)
        .with_noise(noise)
        .init(device)
}

/// Rows of inputs, with the network's own outputs as their targets.
fn explained(net: &LinearNet, rows: usize) -> LabeledBatch<Tensor<2>, Tensor<2>> {
    let device = net.devices()[0].clone();
    let mut normals = vec![0.0; rows * 6];
    NoiseKey::new(11, 0, 0).fill_standard_normal(0, &mut normals);
    let inputs = Tensor::from_data(TensorData::new(normals, [rows, 6]), &device);
    let targets = net.forward(inputs.clone()).detach();
    LabeledBatch { inputs, targets }
}

/// An orthonormal basis of the space that the rows of `b` span.
fn directions(b: &[f64]) -> Vec<Vec<f64>> {
    let mut basis: Vec<Vec<f64>> = Vec::new();
    for row in b.chunks(b.len() / RANK) {
        let mut rest = row.to_vec();
        for known in &basis {
            let along: f64 = known.iter().zip(row).map(|(k, r)| k * r).sum();
            rest.iter_mut()
                .zip(known)
                .for_each(|(r, k)| *r -= along * k);
        }
        let norm = rest.iter().map(|r| r * r).sum::<f64>().sqrt();
        basis.push(rest.iter().map(|r| r / norm).collect());
    }
    basis
}

#[test]
fn tfbs_noise_has_one_deviation_in_every_direction_of_the_merged_weight() {
    let device = Device::flex();
    let net = adapted(&device);
    let merged = values(net.layer.weight.val());
    let b = values(net.layer.weight.adapter().unwrap().b.val());
    let batch = explained(&net, 20);
    let tfb = TfbConfig::new()
        .with_passes(30.0)
        .fit(&net, &gaussian(1.0, &device), &[batch])
        .unwrap();

    // The factors are turned, and their product is what it was.
    for (got, expected) in values(tfb.network.mean_network().layer.weight.val())
        .iter()
        .zip(&merged)
    {
        assert!((got - expected).abs() < 1e-5, "{got} for {expected}");
    }

    let basis = directions(&b);
    let draws = 4000;
    let mut along = [0.0; RANK];
    let (mut across, mut outside) = (0.0, 0.0f64);
    for draw in 0..draws {
        let network = tfb.network.sample_network(3, draw);
        let noise = values(network.layer.weight.val());
        let noise: Vec<f64> = noise.iter().zip(&merged).map(|(n, m)| n - m).collect();
        for row in noise.chunks(5) {
            let parts: Vec<f64> = basis
                .iter()
                .map(|v| v.iter().zip(row).map(|(v, n)| v * n).sum())
                .collect();
            let inside: f64 = parts.iter().map(|part| part * part).sum();
            let all: f64 = row.iter().map(|n| n * n).sum();
            outside = outside.max((all - inside).abs() / all);
            along[0] += parts[0] * parts[0];
            along[1] += parts[1] * parts[1];
            across += parts[0] * parts[1];
        }
    }
    assert!(outside < 1e-3, "{outside} of the noise is outside");
    let count = (draws * 6) as f64;
    let variance = tfb.std * tfb.std;
    for sum in along {
        // The square of a standard normal has variance 2.
        let k = (sum / count / variance - 1.0) / (2.0 / count).sqrt();
        assert!(k.abs() < 5.0, "{k:.1} standard errors off");
    }
    let k = across / count / variance / (1.0 / count).sqrt();
    assert!(k.abs() < 5.0, "{k:.1} standard errors off");
}

thread_local! {
    /// Examples that [`Counted`] was run on, on this thread.
    static RUN: Cell<usize> = const { Cell::new(0) };
}

/// Counts the examples that it is run on.
#[derive(Module, Debug)]
struct Counted {
    layer: Linear,
}

impl Network for Counted {
    type Input = Tensor<2>;
    type Output = Tensor<2>;

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        RUN.set(RUN.get() + x.dims()[0]);
        self.layer.forward(x)
    }
}

/// So many rows a batch, with targets that the network is off by a deviation of one.
fn batched(net: &LinearNet, rows: usize, size: usize) -> Vec<LabeledBatch<Tensor<2>, Tensor<2>>> {
    let LabeledBatch { inputs, targets } = explained(net, rows);
    let mut normals = vec![0.0; rows * 5];
    NoiseKey::new(12, 0, 0).fill_standard_normal(0, &mut normals);
    let off = Tensor::from_data(TensorData::new(normals, [rows, 5]), &targets.device());
    let targets = (targets + off).split(size, 0);
    let batches = inputs.split(size, 0).into_iter().zip(targets);
    let batches = batches.map(|(inputs, targets)| LabeledBatch { inputs, targets });
    batches.collect()
}

/// The mean and the deviation of what σ² is multiplied with in the rise of a linear network's loss, over the noise of
/// these batches. An output x W gets the noise σ (x ε) Vᵀ, of r independent normals. So at a noise s in the targets, the
/// loss of a batch X rises by σ² / 2 s² times the sum over r of εᵀ XᵀX ε, of mean tr XᵀX and variance 2 tr (XᵀX)².
fn rise_over_square(inputs: &[Tensor<2>], s: f64) -> (f64, f64) {
    let (mut mean, mut variance, mut examples) = (0.0, 0.0, 0);
    for inputs in inputs {
        let gram = inputs.clone().transpose().matmul(inputs.clone());
        mean += RANK as f64 * scalar(inputs.clone().square().sum());
        variance += RANK as f64 * 2.0 * scalar(gram.square().sum());
        examples += inputs.dims()[0];
    }
    let unit = 1.0 / (2.0 * s * s * examples as f64);
    (mean * unit, variance.sqrt() * unit)
}

#[test]
fn tfb_finds_where_the_loss_of_a_linear_network_rises_by_the_tolerance_in_two_passes() {
    let device = Device::flex();
    let net = adapted(&device);
    let (tolerance, s, runs) = (0.02, 0.7, 30);
    let mut squares = 0.0;
    for (rows, size) in [(60, 5), (58, 5), (400, 8)] {
        let batches = batched(&net, rows, size);
        let counted = Counted {
            layer: net.layer.clone(),
        };
        for seed in 0..runs {
            RUN.set(0);
            let tfb = TfbConfig::new()
                .with_tolerance(tolerance)
                .with_seed(seed)
                .fit(&counted, &gaussian(s, &device), &batches)
                .unwrap();
            assert_eq!(RUN.get(), tfb.forwards);
            assert!(tfb.forwards <= 2 * rows, "{} of {rows}", tfb.forwards);
            // What the searches leave is for three runs of a batch: as it is, with its noise and with the opposite one.
            assert!(
                4 * tfb.draws >= batches.len(),
                "{} of {}",
                tfb.draws,
                batches.len()
            );
            let inputs = batches[..tfb.draws].iter();
            let inputs: Vec<_> = inputs.map(|batch| batch.inputs.clone()).collect();
            let (mean, deviation) = rise_over_square(&inputs, s);
            let k = (tolerance / tfb.std.powi(2) - mean) / deviation;
            assert!(
                k.abs() < 5.0,
                "{} at seed {seed}, {k:.1} errors off",
                tfb.std
            );
            squares += k * k;
            // What the method says about its error itself, of a handful of draws.
            let error = 0.5 * deviation / mean * tfb.std;
            let said = tfb.std_error.unwrap();
            assert!(
                said > 0.05 * error && said < 5.0 * error,
                "{said} for {error}"
            );
        }
    }
    // As large as it should be and no larger: a χ² over its degrees of freedom, and some skewness.
    let count = (3 * runs) as f64;
    let k = (squares / count - 1.0) / (3.0 / count).sqrt();
    assert!(k.abs() < 5.0, "{}", squares / count);
}

#[test]
fn tfbs_deviation_is_as_exact_as_its_passes_are_many() {
    let device = Device::flex();
    let net = adapted(&device);
    let batches = batched(&net, 40, 8);
    let (tolerance, s) = (0.5, 0.7);
    let tfb = TfbConfig::new()
        .with_tolerance(tolerance)
        .with_passes(3000.0)
        .fit(&net, &gaussian(s, &device), &batches)
        .unwrap();
    assert!(tfb.draws > 3000 && tfb.forwards <= 3000 * 40);
    // The batches are taken in turn, and the noise of each turn is new.
    let turns = tfb.draws as f64 / batches.len() as f64;
    let inputs: Vec<_> = batches.iter().map(|batch| batch.inputs.clone()).collect();
    let (mean, deviation) = rise_over_square(&inputs, s);
    let error = 0.5 * deviation / mean / turns.sqrt();
    let expected = (tolerance / mean).sqrt();
    assert!(error < 0.01);
    let k = (tfb.std / expected - 1.0) / error;
    assert!(
        k.abs() < 5.0,
        "{} for {expected}, {k:.1} errors off",
        tfb.std
    );
    // The residuals' own, s² for the noise of the likelihood and one for that of the targets.
    assert!(tfb.loss_at_mean > 0.0);
}

#[test]
fn tfb_says_that_its_passes_are_too_few() {
    let device = Device::flex();
    let net = adapted(&device);
    let fit = |passes| {
        TfbConfig::new().with_passes(passes).fit(
            &net,
            &gaussian(1.0, &device),
            &batched(&net, 8, 8),
        )
    };
    let error = fit(2.0).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("2 passes over the examples ended at a deviation of 1e-2"),
        "{error}"
    );
    assert!(matches!(error, TfbError::Budget { passes: 2.0, .. }));
    assert!(fit(20.0).is_ok());
}

#[test]
fn tfb_leaves_out_batches_without_examples() {
    let device = Device::flex();
    let net = adapted(&device);
    let batches = batched(&net, 60, 5);
    let mut empty = batches[0].clone();
    empty.inputs = Tensor::empty([0, 6], &device);
    empty.targets = Tensor::empty([0, 5], &device);
    let fit = |batches: &[_]| TfbConfig::new().fit(&net, &gaussian(1.0, &device), batches);
    assert_eq!(fit(&[empty.clone()]).unwrap_err(), TfbError::Empty);
    let mut with_empty = batches.clone();
    with_empty.insert(0, empty.clone());
    with_empty.insert(3, empty);
    let (with, without) = (fit(&with_empty).unwrap(), fit(&batches).unwrap());
    assert!(with.forwards <= 120);
    // Of other noise, and as wide.
    assert!((with.std / without.std - 1.0).abs() < 1.0);
}

/// Casts parameters, and makes of a factor b one of rank one.
struct OfRankOne(DType, bool);

impl ModuleMapper for OfRankOne {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.1 = name == "b";
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Self(dtype, is_b) = *self;
        param.map(|value| {
            let trains = value.is_require_grad();
            let value = match is_b {
                true => {
                    let first = value.clone().narrow(0, 0, 1);
                    Tensor::cat(vec![first.clone() * 0.02, first * 0.01], 0)
                }
                false => value,
            };
            value.cast(dtype).detach().set_require_grad(trains)
        })
    }
}

#[test]
fn tfb_finds_one_deviation_in_every_type_where_a_direction_is_not_used() {
    let device = Device::flex();
    let found = |dtype, tolerance| {
        let net = adapted(&device).map(&mut OfRankOne(dtype, false));
        let batch = explained(&adapted(&device), 6);
        let batch = LabeledBatch {
            inputs: batch.inputs.cast(dtype),
            targets: batch.targets,
        };
        let fit = TfbConfig::new()
            .with_tolerance(tolerance)
            .with_passes(150.0);
        let likelihood = gaussian(1.0, &device);
        fit.fit(&net, &likelihood, &[batch]).unwrap().std
    };
    for tolerance in [0.05, 0.5] {
        let expected = found(DType::F32, tolerance);
        for dtype in [DType::F64, DType::BF16, DType::F16] {
            let std = found(dtype, tolerance);
            assert!(
                (std / expected - 1.0).abs() < 0.1,
                "{dtype:?}, {tolerance}: {std} for {expected}"
            );
        }
    }
}

#[test]
fn tfb_says_what_is_wrong() {
    let device = Device::flex();
    let net = adapted(&device);
    let likelihood = gaussian(1.0, &device);
    let batch = explained(&net, 4);
    let fit = |net: &LinearNet, batches: &[_]| {
        let fit = TfbConfig::new().with_passes(100.0);
        let error = fit.fit(net, &likelihood, batches).unwrap_err();
        assert!(!error.to_string().contains('\n'), "{error}");
        error
    };
    let batches = [batch.clone()];
    let plain = net.mean_network();
    let none = TfbError::Adapter(AdapterError::None);
    assert_eq!(fit(&plain, &batches), none);
    let untrained = plain.clone().apply_lora(Lora::new(2, 4.0));
    let path = "layer.weight".to_string();
    assert_eq!(fit(&untrained, &batches), TfbError::Untrained { path });
    let wide = with_fixed_weights(plain.clone().apply_lora(Lora::new(6, 4.0)), 1);
    assert_eq!(
        fit(&wide, &batches).to_string(),
        "the adapter of layer.weight has rank 6, its weight of 6 × 5 has no more than 5"
    );
    assert_eq!(
        fit(&net.clone().unfreeze(), &batches),
        TfbError::Adapter(AdapterError::BaseTrains {
            path: "layer.weight".into()
        })
    );
    let bayesian = BlobConfig::new().attach(net.clone()).unwrap();
    let path = "layer.weight.lora.a".to_string();
    let posterior = TfbError::Adapter(AdapterError::Posterior { path });
    assert_eq!(fit(&bayesian, &batches), posterior);
    assert_eq!(fit(&net, &[]), TfbError::Empty);
    let mut bad = batch.clone();
    bad.targets = bad.targets * f32::NAN;
    assert!(matches!(
        fit(&net, &[batch.clone(), bad]),
        TfbError::NonFinite { batch: 1, .. }
    ));
    // Nothing of the network is seen at an input of zeros.
    let mut blind = batch;
    blind.inputs = blind.inputs.zeros_like();
    assert!(matches!(fit(&net, &[blind]), TfbError::Unbounded { .. }));
}

#[test]
fn adapters_that_add_nothing_or_no_number_are_refused_by_their_weight() {
    let device = Device::flex();
    let net = adapted(&device);
    let batches = [explained(&net, 4)];
    let plain = net.mean_network();
    let folder = tempfile::tempdir().unwrap();
    let of = |rank, alpha| plain.clone().apply_lora(Lora::new(rank, alpha));
    for (net, reason) in [
        (of(0, 4.0), "the adapter of layer.weight has rank 0"),
        (of(2, 0.0), "layer.weight is multiplied with 0"),
        (of(2, f64::NAN), "layer.weight is multiplied with NaN"),
        (of(2, f64::INFINITY), "layer.weight is multiplied with inf"),
    ] {
        let tfb = TfbConfig::new().fit(&net, &gaussian(1.0, &device), &batches);
        let blob = BlobConfig::new().attach(net.clone());
        let saved = save_adapter(&net, folder.path().join("adapter"));
        for message in [
            tfb.unwrap_err().to_string(),
            blob.unwrap_err().to_string(),
            saved.unwrap_err().to_string(),
        ] {
            assert!(message.contains(reason), "{message}");
        }
    }
    // A negative scale is one.
    assert!(BlobConfig::new().attach(of(2, -4.0)).is_ok());
}

#[test]
fn tfb_fits_a_network_in_half_precision() {
    struct Half;

    impl ModuleMapper for Half {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|value| value.cast(DType::F16))
        }
    }

    let device = Device::flex();
    let net = adapted(&device);
    let LabeledBatch { inputs, targets } = explained(&net, 20);
    let batch = LabeledBatch {
        inputs: inputs.cast(DType::F16),
        targets: targets.cast(DType::F16),
    };
    let tfb = TfbConfig::new()
        .with_tolerance(0.1)
        .with_passes(30.0)
        .fit(&net.map(&mut Half), &gaussian(1.0, &device), &[batch])
        .unwrap();
    assert_eq!(tfb.network.layer.weight.val().dtype(), DType::F16);
    assert!(tfb.std > 0.0 && tfb.std_error < Some(tfb.std));
}

/// With all numbers in `bf16`, which has eight bits.
fn in_bf16<M: Module>(module: M) -> M {
    struct Cast;

    impl ModuleMapper for Cast {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|value| value.cast(DType::BF16))
        }
    }

    module.map(&mut Cast)
}

#[test]
fn tfb_knows_a_small_scale_beside_large_weights_of_eight_bits() {
    let device = Device::flex();
    let net = adapted(&device);
    let factors = net.layer.weight.adapter().unwrap();
    let (a, b) = (factors.a.val(), factors.b.val());
    let layer = Linear {
        weight: Param::from_tensor(net.layer.weight.base() * 0.0 + 4.0),
        bias: None,
    };
    let base = LinearNet { layer };
    // Of 0.005: beside a 4 it is nothing in 16 bits.
    let small = |net: LinearNet| net.apply_lora(Lora::new(RANK, 0.01));
    let fit = |is_small: bool| {
        let net = set_factors(small(base.clone()), &a, &b);
        let LabeledBatch { inputs, targets } = explained(&net, 20);
        let (net, dtype) = match is_small {
            true => (in_bf16(net), DType::BF16),
            false => (net, DType::F32),
        };
        let batch = LabeledBatch {
            inputs: inputs.cast(dtype),
            targets: targets.cast(dtype),
        };
        let config = TfbConfig::new().with_tolerance(0.5).with_passes(30.0);
        let tfb = config.fit(&net, &gaussian(1.0, &device), &[batch]).unwrap();
        let stds = tfb.network.weight_marginals()[0].std_devs.clone();
        stds.into_iter()
            .map(|std| f64::from(std) / tfb.std)
            .collect::<Vec<_>>()
    };
    for (got, expected) in fit(true).iter().zip(fit(false)) {
        assert!((got / expected - 1.0).abs() < 0.02, "{got} for {expected}");
    }
}

/// Puts values in the places of the factors.
fn set_factors(net: LinearNet, a: &Tensor<2>, b: &Tensor<2>) -> LinearNet {
    struct Set([Tensor<2>; 2], Vec<String>);

    impl ModuleMapper for Set {
        fn enter_module(&mut self, name: &str, _container_type: &str) {
            self.1.push(name.into());
        }

        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.1.pop();
        }

        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let place = match self.1.join(".").as_str() {
                "layer.weight.lora.a" => 0,
                "layer.weight.lora.b" => 1,
                _ => return param,
            };
            param.map(|old| self.0[place].clone().reshape(old.shape()))
        }
    }

    net.map(&mut Set([a.clone(), b.clone()], Vec::new()))
}

#[test]
fn tfb_takes_a_network_that_is_frozen() {
    let device = Device::flex();
    let net = adapted(&device);
    let likelihood = gaussian(1.0, &device);
    let batches = [explained(&net, 10)];
    let config = TfbConfig::new().with_passes(30.0);
    let fit = |net: &LinearNet| config.fit(net, &likelihood, &batches).unwrap();
    let (trained, frozen) = (fit(&net), fit(&net.clone().freeze()));
    assert_eq!(frozen.std, trained.std);
    let draw = |tfb: &Tfb<LinearNet>| values(tfb.network.sample_network(1, 2).layer.weight.val());
    assert_eq!(draw(&frozen), draw(&trained));
    let trains = |tfb: &Tfb<LinearNet>| {
        let adapter = tfb.network.layer.weight.adapter().unwrap();
        trains(&adapter.a)
    };
    assert!(trains(&trained) && !trains(&frozen));
}

impl Network for WithHead {
    type Input = Tensor<2>;
    type Output = Tensor<2>;

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.head.forward(self.body.forward(x))
    }
}

/// A frozen teacher beside its student has the ids of its adapters.
#[test]
fn tfb_leaves_a_teachers_adapters_as_they_are() {
    #[derive(Module, Debug)]
    struct Taught {
        teacher: LinearNet,
        student: LinearNet,
    }

    impl Network for Taught {
        type Input = Tensor<2>;
        type Output = Tensor<2>;

        fn forward(&self, input: Tensor<2>) -> Tensor<2> {
            self.student.forward(input.clone()) - self.teacher.forward(input)
        }
    }

    let device = Device::flex().autodiff();
    let student = adapted(&device);
    let teacher = with_fixed_weights(student.clone(), 8).freeze();
    let known = values(teacher.layer.weight.val());
    let net = Taught { teacher, student };
    let batch = explained(&net.student, 20);
    let tfb = TfbConfig::new()
        .with_tolerance(0.05)
        .with_passes(60.0)
        .fit(&net, &gaussian(1.0, &device), &[batch])
        .unwrap();
    let means = tfb.network.mean_network();
    let weights = [&means.teacher, &means.student].map(|net| values(net.layer.weight.val()));
    let expected = [known, values(net.student.layer.weight.val())];
    for (weights, expected) in weights.iter().zip(&expected) {
        for (weight, expected) in weights.iter().zip(expected) {
            assert!((weight - expected).abs() < 1e-4, "{weight} for {expected}");
        }
    }
    let paths: Vec<_> = tfb
        .network
        .weight_marginals()
        .into_iter()
        .map(|w| w.path)
        .collect();
    assert_eq!(paths.len(), 2, "{paths:?}");
}

#[test]
fn tfb_takes_adapters_that_are_frozen_beside_a_head_that_trains() {
    let device = Device::flex();
    let base = with_fixed_weights(LinearConfig::new(6, 40).init(&device), 1);
    let net = WithHead {
        body: base,
        head: with_fixed_weights(LinearConfig::new(40, 5).init(&device), 2),
    };
    let body = ParamGroup::from_path("body.weight");
    let net = net.apply_lora(Lora::new(2, 4.0).set_param_group(body));
    let head = ParamGroup::from_predicate("head");
    let net = with_fixed_weights(net, 3).freeze().unfreeze_group(head);
    let LabeledBatch { inputs, .. } = explained(&adapted(&device), 10);
    let targets = net.forward(inputs.clone());
    let batches = [LabeledBatch { inputs, targets }];
    let tfb = TfbConfig::new()
        .with_passes(30.0)
        .fit(&net, &gaussian(1.0, &device), &batches)
        .unwrap();
    assert_eq!(tfb.network.num_bayesian_weights(), 6 * 2);
    assert!(tfb.std > 0.0);
}

#[test]
fn blob_refuses_factors_that_do_not_train() {
    let net = adapted(&Device::flex());
    let path = "layer.weight.lora.a".to_string();
    let frozen = Err(AdapterError::Frozen { path });
    let refused = |net: LinearNet| BlobConfig::new().attach(net).map(|_| ());
    assert_eq!(refused(net.clone().freeze()), frozen);
    let a = ParamGroup::from_path("layer.weight.lora.a");
    assert_eq!(refused(net.freeze_group(a)), frozen);
}

/// A layer, and dropout that goes on in prediction.
#[derive(Module, Debug)]
struct Dropped {
    layer: Linear,
    dropout: McDropout,
}

impl Network for Dropped {
    type Input = Tensor<2>;
    type Output = Tensor<2>;

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.dropout.forward(self.layer.forward(x))
    }
}

#[test]
fn tfbs_loss_of_a_network_that_is_random_besides_is_a_mean_over_its_draws() {
    let device = Device::flex();
    let LinearNet { layer } = adapted(&device);
    // Not a half: 0 and twice the output are equally far from it.
    let dropout = McDropoutConfig::new(0.2).init();
    let net = Dropped { layer, dropout };
    let batch = explained(&adapted(&device), 2);
    let likelihood = gaussian(1.0, &device);
    let tfb = TfbConfig::new()
        .with_tolerance(0.5)
        .with_passes(60.0)
        .fit(&net, &likelihood, std::slice::from_ref(&batch))
        .unwrap();
    assert!(tfb.draws >= 10);
    let losses = (0..tfb.draws as u64).map(|sample| {
        let output = net.with_draw(0, layout::validation(sample), |net| {
            net.forward(batch.inputs.clone())
        });
        scalar(likelihood.nll(output, batch.targets.clone()).mean())
    });
    let losses: Vec<f64> = losses.collect();
    let expected = losses.iter().sum::<f64>() / losses.len() as f64;
    let got = tfb.loss_at_mean;
    assert!((got / expected - 1.0).abs() < 1e-4, "{got} for {expected}");
    assert!((losses[0] / expected - 1.0).abs() > 1e-3);
}

#[test]
fn blob_has_a_posterior_on_a_alone_and_pays_its_closed_form() {
    let device = Device::flex();
    let net = adapted(&device);
    let config = BlobConfig::new().with_initial_std(0.03).with_prior_std(0.2);
    let bayesian = config.attach(net.clone()).unwrap();
    let terms = bayesian.kl_terms();
    assert_eq!(terms.len(), 1);
    assert_eq!(terms[0].path, "layer.weight.lora.a");
    let a = values(net.layer.weight.adapter().unwrap().a.val());
    let (s, p) = (0.03f64, 0.2f64);
    let kl = |m: &f64| (p / s).ln() + (s * s + m * m) / (2.0 * p * p) - 0.5;
    let expected: f64 = a.iter().map(kl).sum();
    let got = scalar(bayesian.kl_cost());
    assert!(
        (got - expected).abs() < 1e-5 * expected,
        "{got}, {expected}"
    );

    let again = config.attach(bayesian).unwrap_err();
    assert_eq!(
        again.to_string(),
        "layer.weight.lora.a has a posterior already"
    );
    let plain = config.attach(net.mean_network()).unwrap_err();
    assert_eq!(plain, AdapterError::None);
}

#[test]
fn a_blob_of_vanishing_deviation_is_burns_lora() {
    let device = Device::flex();
    let net = adapted(&device);
    let config = BlobConfig::new().with_initial_std(1e-20);
    let bayesian = config.attach(net.clone()).unwrap();
    let x = explained(&net, 3).inputs;
    let drawn = bayesian.with_draw(1, layout::prediction(0), |bayesian| {
        bayesian.forward(x.clone())
    });
    assert_eq!(values(drawn), values(net.forward(x)));
}

/// A frozen layer with an adapter, and a head that trains.
#[derive(Module, Debug)]
struct WithHead {
    body: Linear,
    head: Linear,
}

/// From one base: the head of `seed`, and factors of it.
fn with_head(base: &Linear, rank: usize, alpha: f64, seed: u64, device: &Device) -> WithHead {
    let head = LinearConfig::new(40, 3).init(device);
    let body = ParamGroup::from_path("body.weight");
    let lora = Lora::new(rank, alpha).set_param_group(body);
    let net = WithHead {
        body: base.clone(),
        head: with_fixed_weights(head, seed),
    };
    let net = net
        .apply_lora(lora)
        .unfreeze_group(ParamGroup::from_predicate("head"));
    BlobConfig::new().attach(net).unwrap()
}

#[test]
fn an_adapters_file_brings_back_what_trained_and_no_base() {
    let device = Device::flex();
    let folder = tempfile::tempdir().unwrap();
    let base = with_fixed_weights(LinearConfig::new(40, 40).init(&device), 1);
    let net = with_head(&base, 2, 4.0, 5, &device);
    let path = folder.path().join("adapter");
    save_adapter(&net, &path).unwrap();
    let loaded = load_adapter(with_head(&base, 2, 4.0, 6, &device), &path).unwrap();
    // Another one in its place is nothing to it.
    save_adapter(&with_head(&base, 2, 4.0, 7, &device), &path).unwrap();
    let drawn = |net: &WithHead| {
        let net = net.sample_network(3, 1);
        (values(net.body.weight.val()), values(net.head.weight.val()))
    };
    assert_eq!(drawn(&loaded), drawn(&net));
    // Factors, deviations and head are 2 · 80 + 80 + 123 numbers; the base is 1,640.
    let bytes = std::fs::metadata(path.with_extension("bpk")).unwrap().len();
    assert!(bytes < 6 * 1024, "{bytes} bytes");
}

#[test]
fn an_adapters_file_is_refused_where_it_does_not_belong() {
    let device = Device::flex();
    let folder = tempfile::tempdir().unwrap();
    let base = with_fixed_weights(LinearConfig::new(40, 40).init(&device), 1);
    let net = with_head(&base, 2, 4.0, 5, &device);
    let path = folder.path().join("adapter");
    save_adapter(&net, &path).unwrap();
    let refused = |net: WithHead| load_adapter(net, &path).unwrap_err().to_string();

    let other = Linear {
        bias: base.bias.clone().map(|bias| bias.map(|bias| bias + 1.0)),
        ..base.clone()
    };
    let message = refused(with_head(&other, 2, 4.0, 5, &device));
    assert!(
        message.contains("adapter.bpk is an adapter for another base: body.bias differs"),
        "{message}"
    );
    let without_bias = Linear {
        bias: None,
        ..base.clone()
    };
    let message = refused(with_head(&without_bias, 2, 4.0, 5, &device));
    assert!(
        message.contains("2 are frozen there, 1 in the network"),
        "{message}"
    );
    // The same base, of which something else trains.
    let head = || ParamGroup::from_predicate("head");
    let fewer = with_head(&base, 2, 4.0, 5, &device).freeze_group(head());
    let message = refused(fewer.clone());
    assert!(
        message.contains("of other adapters: more parameters train beside it: 2 are frozen"),
        "{message}"
    );
    let path_of_fewer = folder.path().join("fewer");
    save_adapter(&fewer, &path_of_fewer).unwrap();
    let message = load_adapter(fewer.clone().unfreeze_group(head()), &path_of_fewer).unwrap_err();
    let message = message.to_string();
    assert!(
        message.contains("of other adapters: fewer parameters train beside it: 4 are frozen"),
        "{message}"
    );
    // More are frozen, and one of them is another.
    let other_bias = with_head(&other, 2, 4.0, 5, &device).freeze_group(head());
    let message = refused(other_bias);
    assert!(
        message.contains("another base: body.bias differs"),
        "{message}"
    );
    let message = refused(with_head(&base, 2, 8.0, 5, &device));
    assert!(message.contains("alpha is another"), "{message}");
    let message = refused(with_head(&base, 3, 6.0, 5, &device));
    assert!(message.contains("of other adapters"), "{message}");
    let without_posterior = with_head(&base, 2, 4.0, 5, &device).mean_network();
    let none = AdapterFileError::Adapter(AdapterError::None).to_string();
    assert_eq!(refused(without_posterior), none);

    let plain = folder.path().join("plain.bpk");
    base.clone().save_file(&plain).unwrap();
    let none = load_adapter(net.clone(), &plain).unwrap_err();
    assert!(none.to_string().contains("plain.bpk"), "{none}");
    assert!(none.to_string().contains("it is no adapter"), "{none}");
    let missing = load_adapter(net.clone(), folder.path().join("none")).unwrap_err();
    assert!(matches!(
        missing,
        AdapterFileError::File(CheckpointError::Unreadable { .. })
    ));
    let file = path.with_extension("bpk");
    let mut bytes = std::fs::read(&file).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let damaged = load_adapter(net, &path).unwrap_err();
    assert!(matches!(
        damaged,
        AdapterFileError::File(CheckpointError::Damaged { .. })
    ));
}

#[test]
fn an_adapters_file_with_constants_that_cannot_be_taken_is_refused() {
    let device = Device::flex();
    let with_df = |df: f64| {
        let config = BayesianizeConfig::new()
            .with_posterior(PosteriorConfig::student_t(df, 0.1))
            .only("layer.weight.lora.a");
        adapted(&device).bayesianize(&config)
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("adapter.bpk");
    save_adapter(&with_df(5.0), &path).unwrap();
    let whole = std::fs::read(&path).unwrap();
    std::fs::remove_file(folder.path().join("adapter.bpk.sha256")).unwrap();

    // The layout of the constants, 1, and the words of a 5 in `f64`.
    let words = |layout: u8, sign: u8| [layout, 0, 0, 0, 0, 0, 0x14, 0x40 | sign, 0, 0, 0, 0];
    let places: Vec<usize> = (0..whole.len() - 12)
        .filter(|at| whole[*at..at + 12] == words(1, 0))
        .collect();
    assert_eq!(places.len(), 1);
    let load = |words: [u8; 12]| {
        let mut bytes = whole.clone();
        bytes[places[0]..places[0] + 12].copy_from_slice(&words);
        std::fs::write(&path, bytes).unwrap();
        load_adapter(with_df(30.0), &path)
    };
    let drawn = |net: &LinearNet| values(net.sample_network(3, 1).layer.weight.val());
    assert_eq!(drawn(&load(words(1, 0)).unwrap()), drawn(&with_df(5.0)));
    for (words, reason) in [(words(2, 0), "layout"), (words(1, 0x80), "-5")] {
        let error = load(words).unwrap_err();
        let is_refused = matches!(error, AdapterFileError::OtherAdapter { .. });
        assert!(is_refused && error.to_string().contains(reason), "{error}");
    }
}

#[test]
fn names_that_differ_after_a_dot_are_names_of_two_files() {
    let device = Device::flex();
    let folder = tempfile::tempdir().unwrap();
    let base = with_fixed_weights(LinearConfig::new(40, 40).init(&device), 1);
    let [first, second] = [5, 6].map(|seed| with_head(&base, 2, 4.0, seed, &device));
    let at = |name: &str| folder.path().join(name);
    save_adapter(&first, at("rank2-lr0.1")).unwrap();
    save_adapter(&second, at("rank2-lr0.2")).unwrap();
    let head = |net: &WithHead| values(net.head.weight.val());
    for (name, net) in [("rank2-lr0.1", &first), ("rank2-lr0.2", &second)] {
        let loaded = load_adapter(with_head(&base, 2, 4.0, 7, &device), at(name)).unwrap();
        assert_eq!(head(&loaded), head(net));
    }
    let missing = load_adapter(first.clone(), at("rank2-lr0.txt")).unwrap_err();
    assert!(missing.to_string().contains("rank2-lr0.txt"), "{missing}");
}

/// A layer and the batch norm after it.
#[derive(Module, Debug)]
struct Normed {
    layer: Linear,
    norm: BatchNorm,
}

impl Normed {
    /// One whose statistics have not moved: a clone of a network shares them with it.
    fn new(device: &Device) -> Self {
        Self {
            layer: with_fixed_weights(LinearConfig::new(6, 5).init(device), 7),
            norm: BatchNormConfig::new(5).init(device),
        }
    }

    fn adapted(self) -> Self {
        self.apply_lora(Lora::new(RANK, SCALE * RANK as f64))
    }

    fn step(&self, shift: f32) {
        let device = self.devices()[0].clone();
        let x = Tensor::<1, Int>::arange(0..24, &device).float();
        let x = x.cos().reshape([4, 6]) + shift;
        self.norm.forward(self.layer.forward(x));
    }

    fn statistics(&self) -> [Vec<f64>; 2] {
        [&self.norm.running_mean, &self.norm.running_var].map(|state| values(state.value()))
    }
}

#[test]
fn an_adapters_file_has_the_statistics_that_moved_in_training() {
    let device = Device::flex().autodiff();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("adapter");
    let net = Normed::new(&device).adapted();
    for shift in [0.0, 1.0, 2.0] {
        net.step(shift);
    }
    save_adapter(&net, &path).unwrap();
    let loaded = load_adapter(Normed::new(&device).adapted(), &path).unwrap();
    let trained = [&net.norm.running_mean, &net.norm.running_var];
    assert_eq!(
        loaded.statistics(),
        trained.map(|state| values(state.value_sync()))
    );
    // As well into a network for prediction.
    let predicting = Normed::new(&device).adapted().valid();
    let loaded = load_adapter(predicting, &path).unwrap();
    assert_eq!(loaded.statistics(), net.statistics());
}

#[test]
fn statistics_that_are_frozen_are_those_of_the_base() {
    let device = Device::flex().autodiff();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("adapter");
    let frozen = |net: Normed| net.freeze().adapted();
    save_adapter(&frozen(Normed::new(&device)), &path).unwrap();
    load_adapter(frozen(Normed::new(&device)), &path).unwrap();
    let other = Normed::new(&device);
    other.step(1.0);
    let refused = load_adapter(frozen(other), &path).unwrap_err().to_string();
    assert!(
        refused.contains("another base: norm.running_mean differs"),
        "{refused}"
    );
}

/// A layer of a user's, which keeps a running mean of what it has seen; of the name that Burn's norm has, or another.
macro_rules! tracked {
    ($module:ident, $name:ident) => {
        mod $module {
            use burn::module::{Module, RunningState};
            use burn::nn::{BatchNorm as OfBurn, BatchNormConfig, Linear};
            use burn::tensor::{Device, Tensor};

            #[derive(Module, Debug)]
            pub struct $name {
                pub running_mean: RunningState<Tensor<1>>,
            }

            #[derive(Module, Debug)]
            pub struct Net {
                /// Before it, so that its flag is the last one met.
                pub frozen: OfBurn,
                pub layer: Linear,
                pub seen: $name,
            }

            impl Net {
                pub fn new(layer: Linear, device: &Device) -> Self {
                    let mean = RunningState::new(Tensor::zeros([5], device));
                    Self {
                        frozen: BatchNormConfig::new(5).init(device).freeze(),
                        layer,
                        seen: $name { running_mean: mean },
                    }
                }
            }
        }
    };
}

tracked!(codebook, Codebook);
tracked!(own_norm, BatchNorm);

#[test]
fn an_adapters_file_has_the_running_states_of_a_users_layer() {
    macro_rules! check {
        ($module:ident, $device:expr) => {{
            let device = $device;
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("adapter");
            let adapted = || {
                let layer = with_fixed_weights(LinearConfig::new(6, 5).init(&device), 7);
                $module::Net::new(layer, &device).apply_lora(Lora::new(RANK, SCALE))
            };
            let net = adapted();
            let moved = Tensor::arange(1..6, &device).float();
            net.seen.running_mean.update(moved.clone());
            save_adapter(&net, &path).unwrap();
            let loaded = load_adapter(adapted(), &path).unwrap();
            assert_eq!(values(loaded.seen.running_mean.value()), values(moved));
            // What does not move is the base's.
            let other = adapted();
            let mean = &other.frozen.running_mean;
            mean.update(Tensor::ones([5], &device));
            let refused = load_adapter(other, &path).unwrap_err().to_string();
            assert!(refused.contains("frozen.running_mean differs"), "{refused}");
        }};
    }
    for device in [Device::flex(), Device::flex().autodiff()] {
        check!(codebook, device.clone());
        check!(own_norm, device);
    }
}

#[test]
fn an_adapter_of_more_columns_than_its_weight_has_rank_is_saved_and_read() {
    let device = Device::flex();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("adapter");
    let wide = |seed| {
        let head = LinearConfig::new(40, 2).init(&device);
        let net = with_fixed_weights(head, 1).apply_lora(Lora::new(8, 16.0));
        let values = adapted_factors(&net, seed);
        set_factors(LinearNet { layer: net }, &values[0], &values[1])
    };
    let net = wide(5);
    save_adapter(&net, &path).unwrap();
    let loaded = load_adapter(wide(6), &path).unwrap();
    let merged = |net: &LinearNet| values(net.layer.weight.val());
    assert_eq!(merged(&loaded), merged(&net));
    assert_ne!(merged(&wide(6)), merged(&net));
    let refused = BlobConfig::new().attach(net).unwrap_err();
    assert!(
        matches!(refused, AdapterError::Rank { rank: 8, .. }),
        "{refused}"
    );
}

/// Other factors for those of the layer.
fn adapted_factors(layer: &Linear, seed: u64) -> [Tensor<2>; 2] {
    let adapter = layer.weight.adapter().unwrap();
    [&adapter.a, &adapter.b].map(|factor| {
        let (shape, device) = (factor.shape(), factor.val().device());
        let mut normals = vec![0.0; shape.num_elements()];
        NoiseKey::new(seed, 0, 0).fill_standard_normal(0, &mut normals);
        Tensor::from_data(TensorData::new(normals, shape), &device)
    })
}

/// The network with every number that trains moved.
fn moved<M: Module>(module: M) -> M {
    struct Moved;

    impl ModuleMapper for Moved {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            match trains(&param) {
                true => param.map(|value| value + 0.5),
                false => param,
            }
        }
    }

    module.map(&mut Moved)
}

/// From one base: an adapter at the body, and a head that is frozen.
fn with_frozen_head(device: &Device) -> WithHead {
    let net = WithHead {
        body: LinearConfig::new(6, 40).init(device),
        head: LinearConfig::new(40, 3).init(device),
    };
    let lora = Lora::new(RANK, SCALE).set_param_group(ParamGroup::from_path("body.weight"));
    with_fixed_weights(net, 4).apply_lora(lora)
}

#[test]
fn an_adapters_file_has_deviations_that_train_about_frozen_means() {
    let device = Device::flex();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("adapter");
    let head = || ParamGroup::from_paths(vec!["head.weight", "head.bias"]);
    let with_df = |df: f64| {
        let config = BayesianizeConfig::new()
            .with_posterior(PosteriorConfig::student_t(df, 0.1))
            .only("head.weight");
        let net = with_frozen_head(&device).unfreeze_group(head());
        net.bayesianize(&config).freeze_group(head())
    };
    let trained = moved(with_df(5.0));
    let drawn = |net: &WithHead| values(net.sample_network(3, 1).head.weight.val());
    assert!(!trains(&trained.head.weight) && drawn(&trained) != drawn(&with_df(5.0)));
    save_adapter(&trained, &path).unwrap();
    // The degrees of freedom, which train in no network, go with the deviations.
    let loaded = load_adapter(with_df(30.0), &path).unwrap();
    assert_eq!(drawn(&loaded), drawn(&trained));

    // Where the deviations are frozen as well they are the base's.
    save_adapter(&with_df(5.0).freeze(), &path).unwrap();
    let refused = load_adapter(with_df(30.0).freeze(), &path).unwrap_err();
    assert!(
        refused.to_string().contains("another base: head.weight.b"),
        "{refused}"
    );
}

/// A weight times a number of its own.
#[derive(Module, Debug)]
struct Gain {
    gain: Param<Tensor<1>>,
}

impl Reparameterization for Gain {
    const NAME: &'static str = "gain";

    fn apply<const D: usize>(&self, base: Tensor<D>) -> Tensor<D> {
        base * self.gain.val().reshape([1_usize; D])
    }
}

struct Gained;

impl Reparameterizer for Gained {
    type Reparam = Gain;

    fn reparameterize<const D: usize>(
        &mut self,
        path: &str,
        param: Param<Tensor<D>>,
    ) -> (Param<Tensor<D>>, Option<Gain>) {
        let device = param.lazy_device();
        let gain = (path == "head.weight").then(|| Gain {
            gain: Param::from_tensor(Tensor::ones([1], &device)),
        });
        (param, gain)
    }
}

#[test]
fn an_adapters_file_has_what_trains_of_a_reparameterization_beside_a_frozen_weight() {
    let device = Device::flex();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("adapter");
    let gained = || with_frozen_head(&device).apply_reparameterization(Gained);
    let trained = moved(gained());
    let head = |net: &WithHead| values(net.head.weight.val());
    assert!(!trains(&trained.head.weight) && head(&trained) != head(&gained()));
    save_adapter(&trained, &path).unwrap();
    let loaded = load_adapter(gained(), &path).unwrap();
    assert_eq!(head(&loaded), head(&trained));
}
