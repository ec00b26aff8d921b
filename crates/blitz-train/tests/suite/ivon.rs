//! IVON is the authors' algorithm, and finds the posterior where that is known.

use blitz_train::blitz_core::kernels::without_fused;
use blitz_train::blitz_core::noise::NoiseKey;
use blitz_train::blitz_core::{NormalPosterior, NormalPriorConfig, Posterior};
use blitz_train::prelude::*;
use blitz_train::{Ivon, IvonConfig, IvonPosterior, Predictive};
use burn::module::{Module, ModuleVisitor, Param};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{GradientsParams, MultiGradientsParams, SgdConfig};
use burn::tensor::{DType, Device, Tensor};
use burn::train::{Learner, SupervisedTraining, TrainStep};

use crate::conjugate::{N, PRIOR, likelihood, problem};
use crate::{LinearNet as Net, values};

type Weight = Param<Tensor<1>>;

/// The noise of `ivon_reference.py`.
fn noise(step: usize, sample: usize) -> [f64; 3] {
    std::array::from_fn(|i| (((7 * step + 3 * sample + 5 * i) % 11) as f64 - 5.0) / 4.0)
}

/// The mean loss of a step at draws made of the script's noise instead of blitz's own.
fn loss(weight: &Weight, step: usize, samples: usize) -> Tensor<1> {
    let device = weight.base().device();
    let curvature = Tensor::<1>::from_floats([0.5, 2.0, 4.0], &device);
    let losses = (0..samples).map(|sample| {
        let draw = weight.draw(5, sample as u64);
        let key = NoiseKey::new(5, sample as u64, 0);
        let ratio: [f64; 3] = std::array::from_fn(|i| {
            noise(step, sample)[i] / f64::from(key.standard_normal_at(i as u64))
        });
        let ratio = Tensor::<1>::from_floats(ratio, &device);
        draw.replace_weights(weight, |own| {
            weight.base() + (own.value - weight.base()) * ratio.clone()
        });
        let w = weight.val();
        (curvature.clone() * w.clone().square() / 2.0 + w.clone().sin() + w * 0.3).mean()
    });
    losses.reduce(|sum, loss| sum + loss).unwrap() / samples as f64
}

fn start() -> Weight {
    let device = Device::flex().autodiff();
    Param::from_tensor(Tensor::from_floats([0.7, -1.1, 0.2], &device))
}

fn config() -> IvonConfig {
    IvonConfig::new(50.0)
        .with_hess_init(0.8)
        .with_beta_2(0.9)
        .with_weight_decay(0.02)
}

fn train(weight: Weight, steps: std::ops::Range<usize>, samples: usize) -> Weight {
    steps.fold(weight, |weight, step| {
        let grads = loss(&weight, step, samples).backward();
        let mut grads = GradientsParams::from_grads(grads, &weight);
        let weight = Ivon::step(0.1, weight, &mut grads);
        assert!(grads.is_empty(), "gradients were left over");
        weight
    })
}

fn state(weight: &Weight) -> [Vec<f64>; 2] {
    let hess = weight.posteriors::<IvonPosterior>()[0].posterior.hess.val();
    [values(weight.base()), values(hess)]
}

fn assert_close(got: &[Vec<f64>; 2], expected: [[f64; 3]; 2]) {
    for (got, expected) in got.iter().flatten().zip(expected.iter().flatten()) {
        assert!(
            (got - expected).abs() < 3e-6 * (1.0 + expected.abs()),
            "{got} instead of {expected}"
        );
    }
}

#[test]
fn steps_are_those_of_the_authors_package() {
    let trained = train(config().attach(start()), 0..6, 1);
    assert_close(
        &state(&trained),
        [
            [0.257_176_087_811, -0.848_016_741_951, -0.023_978_778_110],
            [0.463_610_715_469, 0.995_652_705_563, 1.242_337_153_054],
        ],
    );
    let trained = train(config().attach(start()), 0..6, 3);
    assert_close(
        &state(&trained),
        [
            [0.311_206_022_298, -0.840_940_761_919, -0.132_532_315_701],
            [0.521_039_907_474, 0.810_678_710_222, 0.754_761_275_780],
        ],
    );
}

#[test]
fn clipping_and_the_bare_learning_rate_are_those_of_the_authors_package() {
    let config = config().with_clip_radius(Some(0.2)).with_rescale_lr(false);
    assert_close(
        &state(&train(config.attach(start()), 0..6, 3)),
        [
            [0.58, -0.98, 0.08],
            [0.512_051_642_086, 0.816_434_521_964, 0.688_314_757_830],
        ],
    );
}

#[test]
fn a_training_resumed_from_a_record_goes_on_as_if_it_had_not_stopped() {
    let half = train(config().attach(start()), 0..3, 2);
    let bytes = half.clone().into_record().into_bytes().unwrap();
    let other = start().map(|value| (value * 7.0).detach().require_grad());
    let loaded = config()
        .attach(other)
        .try_load_record(burn::store::ModuleRecord::from_bytes(bytes).unwrap())
        .unwrap();
    assert_eq!(state(&loaded), state(&half));
    let resumed = state(&train(loaded, 3..6, 2));
    assert_eq!(resumed, state(&train(half.clone(), 3..6, 2)));
    assert_ne!(resumed, state(&half));
}

#[derive(Default)]
struct Types(Vec<DType>);

impl ModuleVisitor for Types {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.push(param.base().dtype());
    }
}

/// A checkpoint of other types than the training's is refused.
#[test]
fn the_state_keeps_its_types_whatever_those_of_the_weights() {
    for dtype in [DType::F64, DType::F32, DType::F16, DType::BF16] {
        let weight = Param::from_tensor(start().val().without_autodiff().cast(dtype).autodiff());
        let weight = config().attach(weight);
        let types = |weight: &Weight| {
            let mut types = Types::default();
            weight.visit(&mut types);
            types.0
        };
        let before = types(&weight);
        assert!(before.len() > 3 && before.contains(&dtype), "{before:?}");
        let grads = weight.val().sum().backward();
        let mut grads = GradientsParams::from_grads(grads, &weight);
        assert_eq!(types(&Ivon::step(0.1, weight, &mut grads)), before);
    }
}

/// Weights of more than one chunk of memory, drawn and trained: means and Hessians, draws and KL after three steps.
fn many_weights(device: &Device, config: &IvonConfig) -> Vec<Vec<f64>> {
    let size = 40_000;
    let [start, target] = [0.7, 0.2]
        .map(|scale| Tensor::<1>::from_floats(&*alternating(size, scale), device).cast(DType::F64));
    let start = start.detach();
    let mut weight: Weight = config.attach(Param::from_tensor(start));
    for step in 0..3 {
        let loss = weight.with_draw(5, step, |weight| {
            (weight.val() - target.clone()).square().sum()
        });
        let mut grads = GradientsParams::from_grads(loss.backward(), &weight);
        weight = Ivon::step(0.1, weight, &mut grads);
    }
    let [mean, hess] = state(&weight);
    let drawn = weight.with_draw(6, 0, |weight| values(weight.val()));
    vec![mean, hess, drawn, values(weight.kl_cost())]
}

fn alternating(size: usize, scale: f32) -> Vec<f32> {
    (0..size)
        .map(|i| ((i * 7) % 13) as f32 * scale - 3.0 * scale)
        .collect()
}

#[test]
fn one_pass_over_memory_gives_the_numbers_of_the_tensor_operations() {
    #[allow(deprecated)] // ndarray stays supported here.
    for device in [Device::flex(), Device::ndarray()] {
        let device = device.autodiff();
        for config in [config(), config().with_clip_radius(Some(0.01))] {
            let fused = many_weights(&device, &config);
            let plain = without_fused(|| many_weights(&device, &config));
            // In `f64`, since the gradient in h takes another path to the same number, and ĥ is some 50 times a step.
            for (fused, plain) in fused.iter().flatten().zip(plain.iter().flatten()) {
                assert!(
                    (fused - plain).abs() <= 1e-11 * (1.0 + plain.abs()),
                    "{fused} for {plain}"
                );
            }
        }
    }
}

#[test]
fn a_step_of_given_gradients_has_the_bits_of_the_tensor_operations() {
    let device = Device::flex();
    let size = 40_000;
    let given = |scale| Tensor::<1>::from_floats(&*alternating(size, scale), &device);
    for radius in [None, Some(0.01)] {
        let step = || {
            let weight: Weight = config()
                .with_clip_radius(radius)
                .attach(Param::from_tensor(given(0.7)));
            let posterior = weight.posteriors::<IvonPosterior>()[0].posterior.hess.id;
            let mut grads = GradientsParams::new();
            grads.register(weight.id, given(0.3));
            grads.register(posterior, given(-1e-3));
            state(&Ivon::step(0.1, weight, &mut grads))
        };
        assert_eq!(step(), without_fused(step), "{radius:?}");
    }
}

fn regression(device: &Device) -> Linear {
    LinearConfig::new(3, 1).with_bias(false).init(device)
}

/// With 8 draws and β₂ = 0.998 the stationary deviation of h is 1.6 % of it; with a rate of 0.02 that of m is 0.035 σ.
/// Both are held to five of them.
#[test]
fn a_linear_regression_gets_its_exact_posterior() {
    let device = Device::flex().autodiff();
    let problem = problem(&device);
    let likelihood = likelihood(&device);
    let examples = N as f64;
    let config = IvonConfig::new(examples)
        .with_hess_init(1.0)
        .with_beta_2(0.998)
        .with_weight_decay(1.0 / (examples * PRIOR * PRIOR))
        .with_rescale_lr(false);
    let elbo = ElboConfig::new(N).with_samples(8).with_seed(3).init();
    let mut model = config.attach(regression(&device));
    for step in 0..4000 {
        let loss = elbo.loss(&model, step.into(), |model| {
            likelihood.nll(model.forward(problem.x.clone()), problem.y.clone())
        });
        let mut grads = GradientsParams::from_grads(loss.loss.backward(), &model);
        model = Ivon::step(0.02, model, &mut grads);
    }
    let mean = values(model.weight.base());
    let attached = &model.posteriors::<IvonPosterior>()[0];
    let std = values(attached.posterior.std_dev(model.weight.base()));
    for k in 0..3 {
        let off = (mean[k] - problem.mean[k]).abs() / problem.std[k];
        assert!(off < 5.0 * 0.035, "mean {k} is {off} deviations off");
        let precision = (problem.std[k] / std[k]).powi(2);
        assert!(
            (precision - 1.0).abs() < 5.0 * 0.016,
            "precision {k}: {precision}"
        );
    }
}

#[test]
fn the_kl_is_that_of_the_posterior_and_has_no_gradient() {
    let device = Device::flex().autodiff();
    let std = 0.3f64;
    let prior = NormalPriorConfig::new().with_std(2.0);
    // λ (h + δ) = 1 / 0.09 and λ δ = 1 / 4.
    let config = IvonConfig::new(10.0)
        .with_weight_decay(0.025)
        .with_hess_init(1.0 / (10.0 * std * std) - 0.025);
    let plain = regression(&device);
    let expected = plain.clone().attach_posteriors(|weight| {
        let std = Tensor::<1>::full([weight.shape.num_elements()], std, weight.device);
        Some((NormalPosterior::from_std(std), prior.init()))
    });
    let model = config.attach(plain);
    let off = values(model.kl_cost() - expected.kl_cost())[0];
    assert!(off.abs() < 1e-4, "{off}");
    let loss = model.kl_cost() + model.weight.base().sum();
    let grads = loss.backward();
    assert_eq!(values(model.weight.base().grad(&grads).unwrap()), [1.0; 3]);
    let posterior = &model.posteriors::<IvonPosterior>()[0].posterior;
    assert!(posterior.hess.val().grad(&grads).is_none());
}

#[test]
fn the_learner_takes_the_same_steps_also_of_accumulated_losses() {
    let device = Device::flex().autodiff();
    let problem = problem(&device);
    let elbo = ElboConfig::new(N).with_seed(3).init();
    let net = Net {
        layer: config().attach(regression(&device)),
    };
    let model = ElboModel::new(net.clone(), likelihood(&device), elbo.clone()).with_update(Ivon);
    let batch = LabeledBatch {
        inputs: problem.x.clone(),
        targets: problem.y.clone(),
    };

    let mut accumulator = burn::optim::GradientsAccumulator::new();
    for _ in 0..2 {
        accumulator.accumulate(&model, TrainStep::step(&model, batch.clone()).grads);
    }
    let mut sgd = SgdConfig::new().init();
    let learned = model.optimize(&mut sgd, 0.1.into(), accumulator.grads());

    let losses = [0, 1].map(|accumulated| {
        let step = blitz_train::TrainingStep {
            index: 0,
            accumulated,
        };
        let nll =
            |net: &Net| likelihood(&device).nll(net.forward(problem.x.clone()), problem.y.clone());
        elbo.loss(&net, step, nll).loss
    });
    let [first, second] = losses;
    let grads = ((first + second) / 2.0).backward();
    let mut grads = GradientsParams::from_grads(grads, &net);
    let stepped = Ivon::step(0.1, net.clone(), &mut grads);

    let weights = |net: &Net| {
        let hess = net.posteriors::<IvonPosterior>()[0].posterior.hess.val();
        [values(net.layer.weight.base()), values(hess)].concat()
    };
    assert_ne!(weights(&stepped), weights(&net));
    for (learned, stepped) in weights(&learned.network).iter().zip(weights(&stepped)) {
        assert!((learned - stepped).abs() < 1e-5 * (1.0 + stepped.abs()));
    }

    let predictor = PredictorConfig::new(20).init(&learned.network, &likelihood(&device));
    let predictive = predictor
        .predict(problem.x.clone().without_autodiff())
        .unwrap();
    assert_eq!(predictive.examples(), N);
    assert!(predictive.epistemic_std().iter().all(|std| *std > 0.0));
}

#[test]
#[should_panic(expected = "weight_decay must be a positive, finite number, got 0")]
fn an_improper_prior_is_refused() {
    let _ = IvonConfig::new(10.0).with_weight_decay(0.0).attach(start());
}

#[test]
fn weights_are_chosen_as_by_any_conversion() {
    let device = Device::flex().autodiff();
    let layer = LinearConfig::new(2, 2).with_bias(false).init(&device);
    // Tied, and named by its second place.
    let tied = vec![layer.clone(), layer];
    let config = |weights| IvonConfig::new(10.0).with_weights(weights);
    let net = config(WeightFilter::path("1")).attach(tied.clone());
    assert_eq!(net.num_bayesian_weights(), 4);
    for (weights, reason) in [
        (WeightFilter::Regex("(".into()), "is no regular expression"),
        (WeightFilter::path("head"), "matches no weight"),
    ] {
        let error = config(weights).try_attach(tied.clone()).unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
    }
    let error = config(WeightFilter::All).try_attach(net).unwrap_err();
    assert!(error.to_string().contains("is Bayesian already"), "{error}");
}

/// A training of IVON that is not given IVON.
fn without_the_update() -> (
    ElboModel<Net, GaussianLikelihood>,
    LabeledBatch<Tensor<2>, Tensor<2>>,
) {
    let device = Device::flex().autodiff();
    let problem = problem(&device);
    let net = Net {
        layer: config().attach(regression(&device)),
    };
    let model = ElboModel::new(net, likelihood(&device), ElboConfig::new(N).init());
    let batch = LabeledBatch {
        inputs: problem.x,
        targets: problem.y,
    };
    (model, batch)
}

#[test]
#[should_panic(
    expected = "network.layer.weight.bayes.posterior is trained by Ivon, which the model was not given, and an optimizer would train it \
                wrongly: write `ElboModel::new(..).with_update(Ivon)`"
)]
fn an_optimizer_does_not_train_its_posterior() {
    let (model, batch) = without_the_update();
    TrainStep::step(&model, batch);
}

#[test]
#[should_panic(expected = "write `ElboModel::new(..).with_update(Ivon)`")]
fn the_learner_does_not_begin_without_the_update() {
    let (model, _) = without_the_update();
    let folder = tempfile::tempdir().unwrap();
    let data = crate::line::loader(Vec::new());
    let training = SupervisedTraining::new(folder.path(), data.clone(), data);
    let _ = fit(training, Learner::new(model, SgdConfig::new().init(), 0.1));
}

#[test]
#[should_panic(expected = "a model with updates of its own trains on one device, got [Ivon]")]
fn gradients_of_several_devices_are_refused() {
    let (model, batch) = without_the_update();
    let model = model.with_update(Ivon);
    let device = Device::flex();
    let grads = TrainStep::step(&model, batch).grads;
    let grads = MultiGradientsParams {
        grads: vec![(grads, device)],
    };
    let _ = model.optimize_multi(&mut SgdConfig::new().init(), 0.1.into(), grads);
}
