//! The objective over antithetic pairs of draws.

use blitz_train::blitz_core::{BuiltinVariational, Noise, NormalPrior, Posterior};
use blitz_train::prelude::*;
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{DType, Device, Tensor};

use crate::digest::given;
use crate::{scalar, values};

const STD: f64 = 0.4;
const WAYS: [Sampling; 2] = [Sampling::Independent, Sampling::Antithetic];

fn layer(device: &Device) -> Linear {
    let layer = LinearConfig::new(3, 1).with_bias(false).init(device);
    let config = BayesianizeConfig::new().with_posterior(PosteriorConfig::normal(STD));
    given(layer, 0.5, DType::F32).bayesianize(&config)
}

fn rho(layer: &Linear) -> Tensor<1> {
    let weight = layer.weight.reparameterization::<BuiltinVariational>();
    weight.unwrap().posterior.as_normal().unwrap().rho.val()
}

/// An objective without a KL.
fn elbo(samples: usize, sampling: Sampling) -> Elbo {
    ElboConfig::new(1)
        .with_samples(samples)
        .with_sampling(sampling)
        .with_beta(BetaSchedule::Constant(0.0))
        .init()
}

/// The gradients of μ and ρ at many steps.
fn gradients(
    layer: &Linear,
    elbo: &Elbo,
    nll: impl Fn(&Linear) -> Tensor<1>,
    steps: u64,
) -> Vec<[Vec<f64>; 2]> {
    let of = |step: u64| {
        let grads = elbo.loss(layer, step.into(), &nll).loss.backward();
        [
            values(layer.weight.base().grad(&grads).unwrap()),
            values(rho(layer).grad(&grads).unwrap()),
        ]
    };
    (0..steps).map(of).collect()
}

/// The variance of each element, and its standard error.
fn variances(sample: &[[Vec<f64>; 2]], part: usize) -> Vec<(f64, f64)> {
    let n = sample.len() as f64;
    let of = |i: usize| {
        let values = sample.iter().map(|gradient| gradient[part][i]);
        let mean = values.clone().sum::<f64>() / n;
        let squares: Vec<f64> = values.map(|value| (value - mean).powi(2)).collect();
        let variance = squares.iter().sum::<f64>() / n;
        let spread = squares.iter().map(|s| (s - variance).powi(2)).sum::<f64>() / n;
        (variance, (spread / n).sqrt())
    };
    (0..sample[0][part].len()).map(of).collect()
}

#[test]
fn the_loss_is_the_mean_over_both_draws_of_each_pair() {
    let device = Device::flex();
    let x = Tensor::<2>::from_floats([[1.0, 2.0, 0.3], [0.5, -1.0, 1.0]], &device);
    for prior in [
        PriorConfig::normal(1.0),
        PriorConfig::scale_mixture(0.5, 1.0, 0.1),
    ] {
        let plain = LinearConfig::new(3, 1).with_bias(false).init(&device);
        let config = BayesianizeConfig::new().with_posterior(PosteriorConfig::normal(STD));
        let layer = given(plain, 0.5, DType::F32).bayesianize(&config.with_prior(prior));
        let nll = |layer: &Linear| layer.forward(x.clone()).square().squeeze_dim::<1>(1);
        let elbo = ElboConfig::new(50)
            .with_samples(4)
            .with_sampling(Sampling::Antithetic);
        let loss = elbo.with_seed(9).init().loss(&layer, 5.into(), nll);
        let (mut nlls, mut kls) = (0.0, 0.0);
        for sample in [0, 2] {
            let index = (5 << 32) | sample;
            let mut add = || {
                nlls += scalar(nll(&layer).mean()) / 4.0;
                kls += scalar(layer.kl_cost()) / 4.0;
            };
            let first = layer.draw(9, index);
            add();
            let _second = first.antithetic(&layer, index + 1).unwrap();
            add();
        }
        assert!((scalar(loss.nll) - nlls).abs() < 1e-5);
        assert!((scalar(loss.kl) - kls).abs() < 1e-4 * kls.abs());
        assert!((scalar(loss.loss) - (nlls + kls / 50.0)).abs() < 1e-5);
    }
}

/// For `nll = ½ Σ c_i (w_i − t_i)²`, the gradient of μ is linear in the noise, which cancels in a pair, and that of ρ
/// is `c σ' ((μ − t) ε + σ ε²)`, of which a pair leaves the square: its variance is `2 c² σ'² σ²` in place of half of
/// `c² σ'² ((μ − t)² + 2 σ²)`.
#[test]
fn of_a_quadratic_loss_the_gradients_mean_has_no_noise_left_and_its_deviations_the_variance_of_theory()
 {
    let device = Device::flex().autodiff();
    let layer = layer(&device);
    let (c, t) = ([1.0, 0.5, 2.0], [0.3, -1.0, 1.5]);
    let [curvature, target] = [c, t].map(|v| Tensor::<1>::from_floats(v, &device));
    let nll = |layer: &Linear| {
        let away = layer.weight.val().flatten::<1>(0, 1) - target.clone();
        (away.square() * curvature.clone()).sum() * 0.5
    };
    let steps = 1000;
    let [independent, pairs] =
        WAYS.map(|sampling| gradients(&layer, &elbo(2, sampling), nll, steps));
    let mu = values(layer.weight.base());
    // σ' = 1 − e^−σ of σ = ln(1 + e^ρ).
    let slope = 1.0 - (-STD).exp();
    for i in 0..3 {
        let exact = c[i] * (mu[i] - t[i]);
        for gradient in &pairs {
            assert!((gradient[0][i] - exact).abs() < 1e-6 * exact.abs().max(1.0));
        }
        let (variance, error) = variances(&independent, 0)[i];
        let expected = (c[i] * STD).powi(2) / 2.0;
        assert!(
            (variance - expected).abs() < 5.0 * error,
            "{variance} {expected}"
        );

        let scale = (c[i] * slope).powi(2);
        let expected = [
            scale * ((mu[i] - t[i]).powi(2) + 2.0 * STD.powi(2)) / 2.0,
            scale * 2.0 * STD.powi(2),
        ];
        for (sample, expected) in [&independent, &pairs].into_iter().zip(expected) {
            let (variance, error) = variances(sample, 1)[i];
            assert!(
                (variance - expected).abs() < 5.0 * error,
                "{variance} {expected}"
            );
            let mean = sample.iter().map(|g| g[1][i]).sum::<f64>() / steps as f64;
            // E c σ' σ ε².
            let off = (mean - c[i] * slope * STD) / (variance / steps as f64).sqrt();
            assert!(off.abs() < 5.0, "{off} standard errors off");
        }
    }
}

#[test]
fn of_a_loss_that_is_not_quadratic_a_pair_has_less_variance_than_two_draws_and_the_same_mean() {
    let device = Device::flex().autodiff();
    let layer = layer(&device);
    let x = Tensor::<2>::from_floats([[1.0, 2.0, 0.3], [0.5, -1.0, 1.0]], &device);
    let nll = |layer: &Linear| {
        let output = layer.forward(x.clone()).tanh() - 0.4;
        output.square().squeeze_dim::<1>(1)
    };
    let steps = 1000;
    let [independent, pairs] =
        WAYS.map(|sampling| gradients(&layer, &elbo(2, sampling), nll, steps));
    for part in 0..2 {
        let [independent_variance, pairs_variance] =
            [&independent, &pairs].map(|sample| variances(sample, part));
        for (i, (of_draws, of_pairs)) in
            independent_variance.iter().zip(&pairs_variance).enumerate()
        {
            if part == 0 {
                let error = of_draws.1.hypot(of_pairs.1);
                assert!(
                    of_draws.0 - of_pairs.0 > 5.0 * error,
                    "{of_draws:?} {of_pairs:?}"
                );
            }
            let mean = |sample: &[[Vec<f64>; 2]]| {
                sample.iter().map(|g| g[part][i]).sum::<f64>() / steps as f64
            };
            let error = ((of_draws.0 + of_pairs.0) / steps as f64).sqrt();
            let off = (mean(&independent) - mean(&pairs)) / error;
            assert!(off.abs() < 5.0, "{off} standard errors off");
        }
    }
}

#[test]
fn pairs_need_an_even_number_of_draws() {
    let config = |samples| {
        ElboConfig::new(5)
            .with_sampling(Sampling::Antithetic)
            .with_samples(samples)
    };
    for samples in [1, 3, 65_535] {
        let error = config(samples).try_init().unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "samples must be an even number of draws, which antithetic pairs are made of, got {samples}"
            )
        );
    }
    assert!(config(2).try_init().is_ok());
    assert!(config(2).with_validation_samples(3).try_init().is_ok());
}

#[test]
fn validation_takes_the_independent_draws_that_it_took() {
    let layer = layer(&Device::flex());
    let losses = WAYS.map(|sampling| {
        let mut seen = Vec::new();
        elbo(2, sampling).validation_loss(&layer, |layer| {
            seen.push(values(layer.weight.val()));
            Tensor::zeros([1], &Device::flex())
        });
        seen
    });
    assert_eq!(losses[0], losses[1]);
}

/// `w = μ + e` with an exponential e.
#[derive(Module, Debug)]
struct OneSided {}

impl Posterior for OneSided {
    fn sample<const D: usize>(&self, mu: Tensor<D>, noise: &mut Noise) -> Tensor<D> {
        let squares = noise.standard_normal(&mu).square() + noise.standard_normal(&mu).square();
        mu + squares * 0.5
    }

    fn std_dev<const D: usize>(&self, mu: Tensor<D>) -> Tensor<D> {
        mu.ones_like()
    }

    fn log_density<const D: usize>(&self, mu: Tensor<D>, weight: Tensor<D>) -> Tensor<1> {
        (weight - mu).sum().neg()
    }
}

#[test]
#[should_panic(
    expected = "weight has no antithetic draw: its posterior is not known to be symmetric"
)]
fn a_posterior_that_is_not_symmetric_is_refused() {
    let device = Device::flex();
    let layer = LinearConfig::new(3, 1).init(&device);
    let layer = layer.attach_posteriors(|_| Some((OneSided {}, NormalPrior::new(1.0))));
    elbo(2, Sampling::Antithetic).loss(&layer, 0.into(), |_| Tensor::zeros([1], &device));
}

#[test]
fn a_configuration_that_was_saved_before_there_were_pairs_has_independent_draws() {
    let pairs = ElboConfig::new(50)
        .with_samples(2)
        .with_sampling(Sampling::Antithetic);
    let saved = serde_json::to_string(&pairs).unwrap();
    assert_eq!(serde_json::from_str::<ElboConfig>(&saved).unwrap(), pairs);

    let before = saved.replace(r#""sampling":"Antithetic","#, "");
    assert_ne!(before, saved);
    let before: ElboConfig = serde_json::from_str(&before).unwrap();
    assert_eq!(before, pairs.with_sampling(Sampling::Independent));

    let unknown = saved.replace("Antithetic", "Sobol");
    assert!(serde_json::from_str::<ElboConfig>(&unknown).is_err());
}
