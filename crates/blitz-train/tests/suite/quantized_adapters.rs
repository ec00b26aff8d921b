//! Posteriors on adapters of a base in eight bits (QLoRA): all that works on Burn's LoRA works on it, with the same
//! numbers as beside the same base in full precision.

use blitz_train::blitz_core::noise::layout;
use blitz_train::laplace::{GaussianLastLayer, LaplaceError, LastLayerNetwork};
use blitz_train::prelude::*;
use blitz_train::{
    BlobConfig, Ensemble, FusedAdamConfig, Ivon, IvonConfig, NetworkPosterior, SwagConfig,
    TfbConfig, load_adapter, save_adapter,
};
use burn::data::dataloader::DataLoaderBuilder;
use burn::data::dataset::InMemDataset;
use burn::module::{Lora, Module, ModuleMapper, Param, ParamGroup, QLora, Quantizer};
use burn::nn::{Linear, LinearConfig};
use burn::optim::GradientsParams;
use burn::tensor::activation::tanh;
use burn::tensor::quantization::{Calibration, QuantValue};
use burn::tensor::{DType, Device, Tensor};
use burn::train::{Learner, SupervisedTraining};

use crate::digest::given;
use crate::{scalar, values};

/// A body in eight bits and a head that is not.
#[derive(Module, Debug)]
struct Net {
    body: Linear,
    head: Linear,
}

impl Net {
    fn features(&self, x: Tensor<2>) -> Tensor<2> {
        tanh(self.body.forward(x))
    }
}

impl Network for Net {
    type Input = Tensor<2>;
    type Output = Tensor<2>;

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.head.forward(self.features(x))
    }
}

fn base(device: &Device) -> Net {
    let net = Net {
        body: LinearConfig::new(8, 16).init(device),
        head: LinearConfig::new(16, 1).init(device),
    };
    given(net, 0.5, DType::F32)
}

fn lora() -> Lora {
    Lora::new(2, 4.0).set_param_group(ParamGroup::from_path("body.weight"))
}

/// With an adapter beside the body's weight in eight bits, and factors whose product is not zero.
fn packed(device: &Device) -> Net {
    let scheme = device.settings().quantization.scheme;
    let scheme = scheme.with_value(QuantValue::Q8S);
    let mut quantizer = Quantizer::new(Calibration::MinMax, scheme);
    quantizer.set_param_group(ParamGroup::from_path("body.weight"));
    with_factors(base(device).apply_qlora(QLora::new(lora(), quantizer)))
}

/// The same with the numbers that the eight bits stand for.
fn dense(device: &Device) -> Net {
    let weight = packed(device).body.weight.base().dequantize();
    let net = base(device);
    let body = Linear {
        weight: Param::initialized(net.body.weight.id, weight),
        ..net.body
    };
    with_factors(Net { body, ..net }.apply_lora(lora()))
}

fn with_factors(net: Net) -> Net {
    #[derive(Default)]
    struct Factors(Vec<String>);

    impl ModuleMapper for Factors {
        fn enter_module(&mut self, name: &str, _container_type: &str) {
            self.0.push(name.to_string());
        }

        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.0.pop();
        }

        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            match self.0.iter().any(|name| name == "lora") {
                true => given(param, 0.3, DType::F32),
                false => param,
            }
        }
    }

    net.map(&mut Factors::default())
}

fn batch(device: &Device) -> LabeledBatch<Tensor<2>, Tensor<2>> {
    let x: Vec<f32> = (0..96).map(|i| (0.7 * i as f32).sin()).collect();
    let y: Vec<f32> = (0..12).map(|i| (0.9 * i as f32).cos()).collect();
    LabeledBatch {
        inputs: Tensor::<1>::from_floats(x.as_slice(), device).reshape([12, 8]),
        targets: Tensor::<1>::from_floats(y.as_slice(), device).reshape([12, 1]),
    }
}

fn likelihood(device: &Device) -> GaussianLikelihood {
    let noise = LikelihoodParam::Fixed(0.5);
    GaussianLikelihoodConfig::new()
        .with_noise(noise)
        .init(device)
}

fn is_packed(net: &Net) -> bool {
    matches!(net.body.weight.base().dtype(), DType::QFloat(_))
}

/// Nets with the same posterior beside a base in eight bits and beside one in 32.
fn pair(device: &Device, attach: impl Fn(Net) -> Net) -> [Net; 2] {
    [attach(packed(device)), attach(dense(device))]
}

fn on_both(attach: impl Fn(Net) -> Net, check: impl Fn(&Net) -> Vec<f64>) {
    for device in [Device::flex(), Device::flex().autodiff()] {
        let nets = pair(&device, &attach);
        assert!(is_packed(&nets[0]) && !is_packed(&nets[1]));
        let [got, wanted] = nets.each_ref().map(&check);
        assert_eq!(got.len(), wanted.len());
        for (got, wanted) in got.iter().zip(&wanted) {
            assert!((got - wanted).abs() < 1e-5, "{got} for {wanted}");
        }
        assert!(is_packed(&nets[0]));
    }
}

fn blob(net: Net) -> Net {
    BlobConfig::new().with_initial_std(0.1).attach(net).unwrap()
}

#[test]
fn draws_means_and_kl_are_those_beside_the_same_numbers() {
    on_both(blob, |net| {
        let device = &net.devices()[0];
        let x = batch(device).inputs;
        let mut all = values(net.with_draw(1, layout::prediction(3), |net| net.forward(x.clone())));
        all.extend(values(net.with_mean(|net| net.forward(x.clone()))));
        all.extend(values(net.mean_network().forward(x.clone())));
        all.extend(values(net.sample_network(1, 2).forward(x)));
        all.push(scalar(net.kl_cost()) / 100.0);
        all.push(net.num_bayesian_weights() as f64);
        all.extend(
            net.weight_marginals()[0]
                .std_devs
                .iter()
                .map(|s| f64::from(*s)),
        );
        all
    });
}

#[test]
fn losses_and_gradients_are_those_beside_the_same_numbers() {
    let device = Device::flex().autodiff();
    let moped = |net: Net| {
        net.moped(
            &MopedConfig::new()
                .with_delta(0.1)
                .only(WeightFilter::path("**.lora.*")),
        )
    };
    let attachments: [&dyn Fn(Net) -> Net; 2] = [&blob, &moped];
    for attach in attachments {
        let [got, wanted] = pair(&device, attach).map(|net| {
            let likelihood = likelihood(&device);
            let loss = ElboConfig::new(12).with_samples(2).init();
            let loss = loss.loss(&net, 0.into(), |net| {
                likelihood.nll(net.forward(batch(&device).inputs), batch(&device).targets)
            });
            let value = scalar(loss.loss.clone());
            let grads = loss.loss.backward();
            let adapter = net.body.weight.adapter().unwrap();
            let [a, b] = [&adapter.a, &adapter.b].map(|f| values(f.base().grad(&grads).unwrap()));
            assert!(a.iter().chain(&b).any(|g| g.abs() > 1e-3));
            assert!(net.body.weight.base().grad(&grads).is_none());
            [vec![value], a, b].concat()
        });
        for (got, wanted) in got.iter().zip(&wanted) {
            assert!((got - wanted).abs() < 1e-5, "{got} for {wanted}");
        }
    }
}

#[test]
fn the_learner_trains_the_factors_and_an_adapters_file_brings_them_back() {
    let device = Device::flex().autodiff();
    let folder = tempfile::tempdir().unwrap();
    let loader = || {
        let rows = (0..32).map(|i| {
            let x: [f32; 8] = std::array::from_fn(|k| (0.3 * (i * 8 + k) as f32).sin());
            (x, [x[0] - 0.5 * x[3]])
        });
        DataLoaderBuilder::new(RowBatcher)
            .batch_size(8)
            .build(InMemDataset::new(rows.collect()))
    };
    let training = SupervisedTraining::new(folder.path(), loader(), loader())
        .metrics((NllMetric::new(), KlMetric::new()))
        .with_default_checkpointers()
        .with_application_logger(None)
        .renderer(Box::new(EpochLines::to(std::io::sink(), 1)))
        .num_epochs(20);
    let elbo = ElboConfig::new(32).init();
    let start = blob(packed(&device));
    let model = ElboModel::new(start.clone(), likelihood(&device), elbo);
    let before = model.valid();
    let fitted = fit(
        training,
        Learner::new(model, FusedAdamConfig::new().init(), 0.01),
    );
    let model = fitted.unwrap().model;
    assert!(is_packed(&model.network));
    let nll = |net: &Net| {
        let LabeledBatch { inputs, targets } = rows();
        let output = net.with_mean(|net| net.forward(inputs));
        scalar(likelihood(&Device::flex()).nll(output, targets).mean())
    };
    let (was, is) = (nll(&before.network), nll(&model.network));
    assert!(is < 0.7 * was, "{is} after {was}");
    let packed_bytes = |net: &Net| net.body.weight.base().into_data().into_bytes().to_vec();
    assert_eq!(packed_bytes(&model.network), packed_bytes(&start.valid()));

    // The whole model, and the adapter alone.
    model.save(folder.path().join("model")).unwrap();
    let fresh = ElboModel::new(
        blob(packed(&Device::flex())),
        likelihood(&Device::flex()),
        ElboConfig::new(32).init(),
    );
    let loaded = fresh.load(folder.path().join("model")).unwrap();
    let draw = |net: &Net| {
        let x = batch(&Device::flex()).inputs;
        values(net.with_draw(1, 0, |net| net.forward(x)))
    };
    assert_eq!(draw(&loaded.network), draw(&model.network));
    save_adapter(&model.network, folder.path().join("adapter")).unwrap();
    let loaded = load_adapter(blob(packed(&Device::flex())), folder.path().join("adapter"));
    assert_eq!(draw(&loaded.unwrap()), draw(&model.network));
    // Beside the same numbers in 32 bits it is another base.
    let other = load_adapter(blob(dense(&Device::flex())), folder.path().join("adapter"));
    let error = other.unwrap_err().to_string();
    assert!(
        error.contains("another base: body.weight differs"),
        "{error}"
    );
}

/// The rows of the training above.
fn rows() -> LabeledBatch<Tensor<2>, Tensor<2>> {
    let device = Device::flex();
    let x: Vec<f32> = (0..256).map(|i| (0.3 * i as f32).sin()).collect();
    let y: Vec<f32> = (0..32).map(|i| x[8 * i] - 0.5 * x[8 * i + 3]).collect();
    LabeledBatch {
        inputs: Tensor::<1>::from_floats(x.as_slice(), &device).reshape([32, 8]),
        targets: Tensor::<1>::from_floats(y.as_slice(), &device).reshape([32, 1]),
    }
}

#[test]
fn tfb_finds_the_deviation_that_it_finds_beside_the_same_numbers() {
    let device = Device::flex();
    let [got, wanted] = pair(&device, |net| net).map(|net| {
        let tfb = TfbConfig::new().with_tolerance(0.1).with_passes(30.0);
        let tfb = tfb
            .fit(&net, &likelihood(&device), &[batch(&device)])
            .unwrap();
        tfb.std
    });
    assert!((got / wanted - 1.0).abs() < 1e-3, "{got} for {wanted}");
}

#[test]
fn ivon_trains_the_factors() {
    let device = Device::flex().autodiff();
    let config = IvonConfig::new(12.0).with_weights(WeightFilter::path("**.lora.*"));
    let attach = |net: Net| config.attach(net);
    let [got, wanted] = pair(&device, attach).map(|net| {
        let likelihood = likelihood(&device);
        let mut model = ElboModel::new(net, likelihood, ElboConfig::new(12).init());
        for step in 0..20u64 {
            let loss = model.elbo().loss(&model.network, step.into(), |net| {
                let LabeledBatch { inputs, targets } = batch(&device);
                model.likelihood.nll(net.forward(inputs), targets)
            });
            let mut grads = GradientsParams::from_grads(loss.loss.backward(), &model);
            model = Ivon::step(0.05, model, &mut grads);
        }
        let net = model.valid().network;
        values(net.with_mean(|net| net.forward(batch(&Device::flex()).inputs)))
    });
    let start = values(packed(&Device::flex()).forward(batch(&Device::flex()).inputs));
    let moved = got.iter().zip(&start).any(|(a, b)| (a - b).abs() > 0.05);
    assert!(moved, "{got:?}");
    for (got, wanted) in got.iter().zip(&wanted) {
        assert!((got - wanted).abs() < 1e-3, "{got} for {wanted}");
    }
}

#[test]
fn a_last_layer_behind_it_has_a_laplace_approximation() {
    let device = Device::flex();
    let [got, wanted] = pair(&device, |net| net).map(|net| {
        let rows: Vec<([f32; 8], [f32; 1])> = (0..32)
            .map(|i| {
                let x: [f32; 8] = std::array::from_fn(|k| (0.3 * (i * 8 + k) as f32).sin());
                (x, [x[0] - 0.5 * x[3]])
            })
            .collect();
        let loader = DataLoaderBuilder::new(RowBatcher)
            .batch_size(8)
            .build(InMemDataset::new(rows));
        let features = |x| net.features(x);
        let posterior = GaussianLastLayer::fit(loader.as_ref(), features, &net.head, 0.5, 1.0);
        let networks =
            LastLayerNetwork::new(net.clone(), posterior.unwrap(), |net: &mut Net, l| {
                net.head = l;
            });
        let predictor = PredictorConfig::new(20).init_with(&networks, &likelihood(&device));
        let predictive = predictor.predict(batch(&device).inputs).unwrap();
        [predictive.mean(), predictive.std_dev()].concat()
    });
    for (got, wanted) in got.iter().zip(&wanted) {
        assert!((got - wanted).abs() < 1e-5, "{got} for {wanted}");
    }
}

#[test]
fn swag_has_moments_of_the_factors_alone() {
    let device = Device::flex().autodiff();
    let [got, wanted] = pair(&device, |net| net).map(|mut net| {
        let mut swag = SwagConfig::new().with_rank(2).init(&net);
        let mut adam = FusedAdamConfig::new().init();
        for _ in 0..4 {
            let LabeledBatch { inputs, targets } = batch(&device);
            let loss = (net.forward(inputs) - targets).square().mean();
            let grads = GradientsParams::from_grads(loss.backward(), &net);
            net = adam.step(0.05, net, grads);
            swag.collect(&net).unwrap();
        }
        let draw = swag.sample_network(3, 0);
        assert_eq!(is_packed(&draw), is_packed(&net));
        values(draw.forward(batch(&Device::flex()).inputs))
    });
    for (got, wanted) in got.iter().zip(&wanted) {
        assert!((got - wanted).abs() < 1e-3, "{got} for {wanted}");
    }
}

#[test]
fn a_predictor_has_the_draws_of_merged_networks_and_an_ensemble_its_members_as_they_are() {
    on_both(blob, |net| {
        let net = net.valid();
        let device = Device::flex();
        let x = batch(&device).inputs;
        let outputs = (0..3).map(|draw| {
            let merged = net.sample_network(7, layout::prediction(draw));
            merged.forward(x.clone())
        });
        let merged = likelihood(&device).predictive(outputs.collect());
        for threads in [1, 2] {
            let predictor = PredictorConfig::new(3).with_seed(7).with_threads(threads);
            let predictor = predictor.init(&net, &likelihood(&device));
            assert_eq!(predictor.predict(x.clone()).unwrap(), merged);
        }
        merged.mean()
    });
    let member = packed(&Device::flex());
    let drawn = Ensemble::new(vec![member]).draw_network(1, 0);
    assert!(is_packed(&drawn) && drawn.body.weight.adapter().is_some());
}

#[test]
fn a_last_layer_of_few_bits_has_no_laplace_approximation() {
    let device = Device::flex();
    let scheme = device.settings().quantization.scheme;
    let scheme = scheme.with_value(QuantValue::Q8S);
    let mut quantizer = Quantizer::new(Calibration::MinMax, scheme);
    let layer = LinearConfig::new(32, 32).init(&device);
    let layer = layer.quantize_weights(&mut quantizer);
    let loader = DataLoaderBuilder::new(RowBatcher)
        .batch_size(1)
        .set_device(device)
        .build(InMemDataset::new(vec![([0.0f32; 32], [0.0f32; 32])]));
    let fitted = GaussianLastLayer::fit(loader.as_ref(), |x: Tensor<2>| x, &layer, 0.5, 1.0);
    assert!(matches!(fitted, Err(LaplaceError::Quantized)), "{fitted:?}");
}

#[test]
fn a_weight_in_eight_bits_itself_gets_no_posterior() {
    let converted = packed(&Device::flex()).bayesianize(&BayesianizeConfig::new());
    assert!(is_packed(&converted));
    let terms = converted.kl_terms().into_iter().map(|term| term.path);
    let expected = ["body.weight.lora.a", "body.weight.lora.b"];
    assert_eq!(terms.collect::<Vec<_>>(), expected);
}

/// The base in full precision, frozen, beside what trains on the same base in eight bits.
#[derive(Module, Debug)]
struct Beside {
    teacher: Net,
    student: Net,
}

#[test]
fn a_fork_leaves_a_packed_base_packed_and_a_dense_copy_of_it_dense() {
    let device = Device::flex().autodiff();
    let likelihood = likelihood(&device);
    let net = Beside {
        teacher: base(&device).freeze(),
        student: packed(&device),
    };
    let ids = [&net.teacher, &net.student].map(|net| net.body.weight.id);
    let mut net = net;
    net.student.body.weight.id = ids[0];
    let known = values(net.teacher.body.weight.val());
    let model = ElboModel::new(net, likelihood, ElboConfig::new(12).init()).fork(&device);
    assert!(is_packed(&model.network.student) && !is_packed(&model.network.teacher));
    assert_eq!(values(model.network.teacher.body.weight.val()), known);
}

impl Network for Beside {
    type Input = Tensor<2>;
    type Output = Tensor<2>;

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.student.forward(x.clone()) - self.teacher.forward(x)
    }
}
