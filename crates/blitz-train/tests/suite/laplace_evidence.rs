//! The prior and the noise of a whole network by its evidence, after a training and during one.

use blitz_train::GaussianLikelihood;
use blitz_train::laplace::{
    EvidenceTrainingConfig, GaussianLastLayer, LaplaceError, LastLayerMean, LossCurvature,
    NetworkLaplace, NetworkLaplaceConfig, WeightCovariance,
};
use blitz_train::prelude::*;
use burn::data::dataloader::DataLoader;
use burn::data::dataloader::batcher::Batcher;
use burn::module::{Module, Param, ParamId, RunningState};
use burn::nn::{BatchNorm, BatchNormConfig, Linear};
use burn::optim::SgdConfig;
use burn::tensor::activation::tanh;
use burn::tensor::{DType, Device, Tensor, TensorData};
use std::sync::Arc;

const EXAMPLES: i32 = 40;
const NOISE: f64 = 0.7;

fn tensor<const D: usize>(values: Vec<f64>, shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), (device, DType::F64))
}

/// Two features, of which the target is a sum, and something that looks like noise.
#[derive(Clone)]
struct Rows;

impl Batcher<i32, LabeledBatch<Tensor<2>, Tensor<2>>> for Rows {
    fn batch(&self, items: Vec<i32>, device: &Device) -> LabeledBatch<Tensor<2>, Tensor<2>> {
        let numbers = || items.iter().map(|i| f64::from(*i));
        let features = |i: f64| [(1.7 * i).sin(), (0.9 * i).cos()];
        let target = |i: f64| {
            let [a, b] = features(i);
            1.5 * a - 0.8 * b + 0.4 + 0.3 * (41.0 * i * i).sin()
        };
        LabeledBatch {
            inputs: tensor(
                numbers().flat_map(features).collect(),
                [items.len(), 2],
                device,
            ),
            targets: tensor(numbers().map(target).collect(), [items.len(), 1], device),
        }
    }
}

type Loader = Arc<dyn DataLoader<LabeledBatch<Tensor<2>, Tensor<2>>>>;

fn data(batch: usize) -> Loader {
    crate::loader(Rows, EXAMPLES, batch, &device())
}

fn device() -> Device {
    Device::flex().autodiff()
}

fn likelihood(noise: f64) -> GaussianLikelihood {
    of_noise(LikelihoodParam::Fixed(noise))
}

fn of_noise(noise: LikelihoodParam) -> GaussianLikelihood {
    let mut likelihood = GaussianLikelihoodConfig::new()
        .with_noise(noise)
        .init(&device());
    // The noise is compared to more digits than `f32` has.
    likelihood.log_std = likelihood.log_std.map(|log_std| {
        let learned = log_std.is_require_grad();
        let constant = log_std.detach().set_require_grad(false);
        constant.cast(DType::F64).set_require_grad(learned)
    });
    likelihood
}

fn layer(inputs: usize, outputs: usize) -> Linear {
    let weights = |len: usize| (0..len).map(|i| (0.7 * i as f64 + 0.3).sin()).collect();
    let param = |values, shape: [usize; 2]| {
        let value = tensor(values, shape, &device()).require_grad();
        Param::initialized(ParamId::new(), value)
    };
    let bias = tensor(weights(outputs), [outputs], &device()).require_grad();
    Linear {
        weight: param(weights(inputs * outputs), [inputs, outputs]),
        bias: Some(Param::initialized(ParamId::new(), bias)),
    }
}

#[derive(Module, Debug)]
struct Line {
    layer: Linear,
}

impl Network for Line {
    type Input = Tensor<2>;
    type Output = Tensor<2>;

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.layer.forward(x)
    }
}

#[derive(Module, Debug)]
struct Dense {
    hidden: Linear,
    output: Linear,
}

impl Network for Dense {
    type Input = Tensor<2>;
    type Output = Tensor<2>;

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.output.forward(tanh(self.hidden.forward(x)))
    }
}

fn dense() -> Dense {
    Dense {
        hidden: layer(2, 4),
        output: layer(4, 1),
    }
}

fn joint() -> NetworkLaplaceConfig {
    NetworkLaplaceConfig::new().with_covariance(WeightCovariance::Joint)
}

fn fit(config: &NetworkLaplaceConfig, noise: f64) -> NetworkLaplace<Dense, GaussianLikelihood> {
    let data = data(1);
    config
        .fit(dense(), &likelihood(noise), data.as_ref(), |_| {})
        .unwrap()
}

fn close(got: f64, expected: f64, tolerance: f64) {
    assert!(
        (got - expected).abs() < tolerance * expected.abs(),
        "{got} for {expected}"
    );
}

/// A network that is linear in its weights has a posterior and an evidence in closed form.
#[test]
fn a_linear_network_ends_where_mackays_regression_does() {
    let rows = data(EXAMPLES as usize);
    // Features are those of a network in prediction.
    let features = crate::loader(Rows, EXAMPLES, 8, &Device::flex());
    let exact = GaussianLastLayer::fit(features.as_ref(), |x| x, &layer(2, 1), NOISE, 1.0);
    let exact = exact
        .unwrap()
        .with_mean(LastLayerMean::Exact)
        .with_best_prior_and_noise()
        .unwrap();

    let (laplace, epochs) = EvidenceTrainingConfig::new(2000, 0.03)
        .with_burn_in(100)
        .with_every(100)
        .with_laplace(joint())
        .fit(
            Line { layer: layer(2, 1) },
            &likelihood(NOISE),
            SgdConfig::new().init(),
            (rows.as_ref(), data(1).as_ref()),
            NetworkLaplace::with_best_prior_and_noise,
            |_| {},
        )
        .unwrap();
    close(laplace.prior_precision(), exact.prior_precision(), 1e-6);
    close(
        laplace.likelihood.noise_std()[0],
        exact.noise_std()[0],
        1e-6,
    );
    let evidence = exact.log_marginal_likelihood();
    close(laplace.log_marginal_likelihood(), evidence, 1e-6);
    let chosen = epochs.iter().filter(|at| at.log_evidence.is_some());
    assert_eq!(chosen.count(), 20);
    assert_eq!((epochs[0].prior_precision, epochs[0].epoch), (1.0, 1));
    close(epochs[1999].prior_precision, exact.prior_precision(), 1e-6);
}

#[test]
fn the_evidence_is_largest_at_the_best_prior_and_noise() {
    for curvature in [LossCurvature::GaussNewton, LossCurvature::EmpiricalFisher] {
        for covariance in [
            WeightCovariance::Joint,
            WeightCovariance::Kronecker,
            WeightCovariance::Diagonal,
        ] {
            let config = NetworkLaplaceConfig::new()
                .with_covariance(covariance)
                .with_curvature(curvature);
            let best = fit(&config, NOISE).with_best_prior_and_noise().unwrap();
            let noise = best.likelihood.noise_std()[0];
            assert!((noise / NOISE - 1.0).abs() > 0.1, "{noise}");
            // A fit under the noise that was found is the same.
            let at = |noise_factor: f64, factor: f64| {
                let precision = best.prior_precision() * factor;
                let fitted = fit(&config, noise * noise_factor);
                let fitted = fitted.with_prior_precision(precision).unwrap();
                fitted.log_marginal_likelihood()
            };
            let evidence = best.log_marginal_likelihood();
            close(at(1.0, 1.0), evidence, 1e-9);
            for (noise_factor, factor) in [(1.05, 1.0), (0.95, 1.0), (1.0, 1.1), (1.0, 0.9)] {
                assert!(at(noise_factor, factor) < evidence);
            }
        }
    }
}

/// Of a network that meets its targets to a ten-thousandth of the noise that was assumed, in `f32`.
#[test]
fn the_noise_is_found_from_far_off() {
    #[derive(Clone)]
    struct Near;

    impl Batcher<i32, LabeledBatch<Tensor<2>, Tensor<2>>> for Near {
        fn batch(&self, items: Vec<i32>, device: &Device) -> LabeledBatch<Tensor<2>, Tensor<2>> {
            let LabeledBatch { inputs, .. } = Rows.batch(items.clone(), device);
            let sign = |i: &i32| if i % 2 == 0 { 1e-4 } else { -1e-4 };
            let off = items.iter().map(sign).collect();
            let off = tensor(off, [items.len(), 1], device);
            let targets = inputs.clone().sum_dim(1) + off;
            LabeledBatch {
                inputs: inputs.cast(DType::F32),
                targets: targets.cast(DType::F32),
            }
        }
    }

    let device = device();
    let ones = Tensor::<2>::ones([2, 1], (&device, DType::F32)).require_grad();
    let layer = Linear {
        weight: Param::initialized(ParamId::new(), ones),
        bias: None,
    };
    let likelihood = GaussianLikelihoodConfig::new()
        .with_noise(LikelihoodParam::Fixed(1.0))
        .init(&device);
    let data = crate::loader(Near, EXAMPLES, 1, &device);
    let laplace = joint()
        .fit(Line { layer }, &likelihood, data.as_ref(), |_| {})
        .unwrap()
        .with_best_prior_and_noise()
        .unwrap();
    let expected = 1e-4 * (40.0f64 / 38.0).sqrt();
    close(laplace.likelihood.noise_std()[0], expected, 1e-2);
}

#[test]
fn what_is_found_and_drawn_goes_on_training() {
    let likelihood = of_noise(LikelihoodParam::Learned(NOISE));
    let data = data(1);
    let laplace = joint()
        .fit(dense(), &likelihood, data.as_ref(), |_| {})
        .unwrap()
        .with_best_prior_and_noise()
        .unwrap();
    let (network, likelihood) = (laplace.sample_network(1, 0), laplace.likelihood);
    for batch in data.iter().take(2) {
        let LabeledBatch { inputs, targets } = batch.unwrap();
        let gradients = likelihood.nll(network.forward(inputs), targets).backward();
        assert!(likelihood.log_std.val().grad(&gradients).is_some());
        assert!(network.hidden.weight.val().grad(&gradients).is_some());
    }
}

#[test]
fn as_many_draws_as_outputs_are_the_gauss_newton_matrix() {
    let sampled = LossCurvature::SampledGaussNewton { draws: 1, seed: 3 };
    let all = fit(&joint(), NOISE);
    let drawn = fit(&joint().with_curvature(sampled), NOISE);
    let evidence = all.log_marginal_likelihood();
    assert_eq!(drawn.log_marginal_likelihood(), evidence);
}

/// A batch norm before a layer.
#[derive(Module, Debug)]
struct Normed {
    norm: BatchNorm,
    net: Dense,
}

impl Network for Normed {
    type Input = Tensor<2>;
    type Output = Tensor<2>;

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.net.forward(self.norm.forward(x))
    }
}

#[test]
fn what_comes_back_has_the_statistics_of_its_moment() {
    let double = |x: Tensor<1>| x.cast(DType::F64);
    let mut norm = BatchNormConfig::new(2).init(&device());
    norm.gamma = norm.gamma.map(|x| double(x).detach().require_grad());
    norm.beta = norm.beta.map(|x| double(x).detach().require_grad());
    norm.running_mean = RunningState::new(Tensor::zeros([2], (&device(), DType::F64)));
    norm.running_var = RunningState::new(Tensor::ones([2], (&device(), DType::F64)));
    let mut seen = Vec::new();
    let mut first = true;
    let (rows, single) = (data(8), data(1));
    let (laplace, _) = EvidenceTrainingConfig::new(6, 0.01)
        .with_burn_in(1)
        .with_every(1)
        .with_laplace(joint())
        .fit(
            Normed { norm, net: dense() },
            &likelihood(NOISE),
            SgdConfig::new().init(),
            (rows.as_ref(), single.as_ref()),
            |laplace: NetworkLaplace<Normed, _>| {
                seen.push(crate::values(
                    laplace.network.norm.running_mean.value_sync(),
                ));
                // The first choice has the largest evidence.
                match std::mem::replace(&mut first, false) {
                    true => laplace.with_best_prior_and_noise(),
                    false => laplace.with_prior_precision(1e9),
                }
            },
            |_| {},
        )
        .unwrap();
    assert_ne!(seen[0], seen[5]);
    let kept = crate::values(laplace.network.norm.running_mean.value_sync());
    assert_eq!(kept, seen[0]);
}

#[test]
fn a_training_that_can_not_be_is_said() {
    let run = |config: &EvidenceTrainingConfig| {
        let (rows, single) = (data(8), data(1));
        let result = config.fit(
            dense(),
            &likelihood(NOISE),
            SgdConfig::new().init(),
            (rows.as_ref(), single.as_ref()),
            NetworkLaplace::with_best_prior_precision,
            |_| {},
        );
        result.map(|_| ()).unwrap_err()
    };
    let config = EvidenceTrainingConfig::new(3, 0.01);
    let error = run(&EvidenceTrainingConfig::new(0, 0.01));
    assert!(matches!(error, LaplaceError::Zero { .. }), "{error}");
    let error = run(&config.clone().with_every(0));
    assert!(matches!(error, LaplaceError::Zero { .. }), "{error}");
    let error = run(&EvidenceTrainingConfig::new(3, f64::NAN));
    assert!(matches!(error, LaplaceError::Setting { .. }), "{error}");
    let error = run(&EvidenceTrainingConfig::new(30, 1e9));
    assert!(matches!(error, LaplaceError::Diverged { .. }), "{error}");
    let error = run(&config
        .clone()
        .with_laplace(joint().with_prior_precision(f64::NAN)));
    assert!(matches!(error, LaplaceError::Setting { .. }), "{error}");
    let no_draws = LossCurvature::SampledGaussNewton { draws: 0, seed: 0 };
    let error = run(&config.with_laplace(joint().with_curvature(no_draws)));
    assert!(matches!(error, LaplaceError::Setting { .. }), "{error}");
}
