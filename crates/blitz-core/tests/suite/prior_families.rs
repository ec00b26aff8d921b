//! The priors against SciPy, closed forms against integrals, and their behaviour at the edges.

use blitz_core::kernels::without_fused;
use blitz_core::prelude::*;
use blitz_core::{
    BuiltinPrior, BuiltinVariational, HorseshoePriorConfig, MarginalFamily, Marginals, Prior,
};
use burn::config::Config;
use burn::module::{Module, ModuleMapper, Param};
use burn::nn::LinearConfig;
use burn::tensor::{DType, Device, Tensor};

use crate::net::{devices, scalar, values};

/// `(prior, w, ln p(w), d ln p / dw)`, from `family_reference.py`.
const DENSITIES: [(&str, f32, f64, f64); 44] = include!("prior_families.in");

/// `(family of q, mean, deviation, E|w|)`, from `family_reference.py`.
const MEAN_ABSOLUTES: [(&str, f32, f32, f64); 10] = include!("prior_expectations.in");

fn prior(name: &str, device: &Device) -> BuiltinPrior {
    match name {
        "laplace" => PriorConfig::laplace(0.5),
        "student_t" => PriorConfig::student_t(3.5, 0.5),
        "cauchy" => PriorConfig::student_t(1.0, 0.1),
        "horseshoe" => PriorConfig::horseshoe(0.5),
        _ => unreachable!("{name}"),
    }
    .init(device)
}

#[test]
fn log_densities_and_derivatives_agree_with_scipy_from_zero_to_50() {
    for device in devices().map(|device| device.autodiff()) {
        for (name, w, log_density, derivative) in DENSITIES {
            let weight = Tensor::<1>::from_floats([w], &device).require_grad();
            let value = prior(name, &device).log_density(weight.clone());
            let gradient = weight.grad(&value.backward()).unwrap();
            let gradient = f64::from(values(gradient)[0]);
            let value = scalar(value);
            assert!(
                (value - log_density).abs() < 2e-6 * log_density.abs().max(1.0),
                "{name} at {w}: {value}, {log_density}"
            );
            assert!(
                (gradient - derivative).abs() < 1e-5 * derivative.abs().max(1e-2),
                "{name} at {w}: {gradient}, {derivative}"
            );
        }
    }
}

/// Three weights, since the number of weights is a divisor as well.
#[test]
fn gradients_of_double_precision_have_its_digits() {
    let cases = [
        (PriorConfig::normal(0.3), -1.0 / 0.09),
        (PriorConfig::laplace(0.3), -1.0 / 0.3),
        (PriorConfig::student_t(3.0, 0.3), -4.0 / 1.27),
        (PriorConfig::empirical_normal(None), -3.0 / 5.25),
    ];
    for device in devices().map(|device| device.autodiff()) {
        for (config, expected) in &cases {
            let weight = Tensor::<1>::from_data([1.0, 2.0, -0.5], (&device, DType::F64));
            let weight = weight.require_grad();
            let grads = config.init(&device).log_density(weight.clone()).backward();
            let gradient = weight.grad(&grads).unwrap().into_data();
            let gradient: f64 = gradient.iter().next().unwrap();
            assert!(
                (gradient / expected - 1.0).abs() < 1e-13,
                "{config:?}: {gradient}, {expected}"
            );
        }
        let one = |value: f64| Tensor::<1>::from_data([value], (&device, DType::F64));
        let mean = one(1.0).require_grad();
        let marginals = Marginals {
            mean: mean.clone(),
            std: one(1e-3),
            log_std: one(1e-3).log(),
            family: MarginalFamily::Laplace,
        };
        // So far from zero, E|w| is the mean.
        let prior = PriorConfig::laplace(0.3).init(&device);
        let grads = prior.expected_log_density(&marginals).unwrap().backward();
        let gradient = mean.grad(&grads).unwrap().into_scalar::<f64>();
        assert!((gradient * 0.3 + 1.0).abs() < 1e-13, "{gradient}");
    }
}

#[test]
fn the_learned_laplace_prior_has_the_density_of_the_fixed_one() {
    let device = Device::flex();
    let weight = Tensor::<2>::from_floats([[0.1, -3.0], [0.0, 0.7]], &device);
    let learned = PriorConfig::learned_laplace(0.3).init(&device);
    let fixed = PriorConfig::laplace(0.3).init(&device);
    let difference =
        scalar(learned.log_density(weight.clone())) - scalar(fixed.log_density(weight));
    assert!(difference.abs() < 1e-5, "{difference}");
}

#[test]
fn the_expectation_under_normal_and_laplace_marginals_is_the_integral() {
    for device in devices().map(|device| device.autodiff()) {
        for (family, mean, std, expected) in MEAN_ABSOLUTES {
            let q = |mean: f32, std: f32| Marginals {
                mean: Tensor::<1>::from_floats([mean], &device).require_grad(),
                std: Tensor::<1>::from_floats([std], &device).require_grad(),
                log_std: Tensor::<1>::from_floats([std.ln()], &device),
                family: match family {
                    "normal" => MarginalFamily::Normal,
                    _ => MarginalFamily::Laplace,
                },
            };
            let scale = 0.5;
            let prior = prior("laplace", &device);
            let at = q(mean, std);
            let value = prior.expected_log_density(&at).unwrap();
            let grads = value.backward();
            let value = scalar(value);
            // ln 2b = 0 at b = ½.
            assert!(
                (value + expected / scale).abs() < 2e-6 * expected.max(1.0) / scale,
                "{family} {mean} {std}: {value}"
            );
            // The derivatives are written out rather than left to autodiff: against differences of the value.
            let step = 1e-2 * std;
            let slope = |plus: Marginals<1>, minus: Marginals<1>| {
                let of = |q| scalar(prior.expected_log_density(&q).unwrap());
                (of(plus) - of(minus)) / f64::from(2.0 * step)
            };
            let tolerance = 1e-3 + 1e-6 * expected / f64::from(step);
            let of_mean = slope(q(mean + step, std), q(mean - step, std));
            let got = f64::from(values(at.mean.grad(&grads).unwrap())[0]);
            assert!(
                (got - of_mean).abs() < tolerance,
                "{family} {mean} {std}: {got} {of_mean}"
            );
            let of_std = slope(q(mean, std + step), q(mean, std - step));
            let got = f64::from(values(at.std.grad(&grads).unwrap())[0]);
            assert!(
                (got - of_std).abs() < tolerance,
                "{family} {mean} {std}: {got} {of_std}"
            );
        }
    }
}

#[test]
fn the_horseshoe_integrates_to_one() {
    // Over s = ln |w|, where the integrand is smooth; a tail beyond W = e^14 has the mass 2 τ √(2/π³) / W < 1e-6.
    for smoothing in [1e-6, 1e-3, 1.0] {
        let config = HorseshoePriorConfig::new().with_smoothing(smoothing);
        let prior = config.with_scale(0.3).init();
        let (from, to, steps) = (-22.0, 14.0, 2000);
        let step = (to - from) / f64::from(steps);
        let mass: f64 = (0..=steps)
            .map(|i| {
                let s = from + f64::from(i) * step;
                let weight = Tensor::<1>::from_floats([s.exp() as f32], &Device::flex());
                2.0 * step * (scalar(prior.log_density(weight)) + s).exp()
            })
            .sum();
        assert!((mass - 1.0).abs() < 1e-5, "smoothing {smoothing}: {mass}");
    }
}

#[test]
fn the_horseshoes_derivative_is_bounded_by_its_smoothing() {
    let device = Device::flex().autodiff();
    let (scale, smoothing) = (0.5, 1e-3);
    let w: Vec<f32> = (-2000..2000).map(|i| i as f32 * 1e-6).collect();
    let weight = Tensor::<1>::from_floats(w.as_slice(), &device).require_grad();
    let value = prior("horseshoe", &device).log_density(weight.clone());
    let gradient = weight.grad(&value.backward()).unwrap();
    let largest = f64::from(gradient.abs().max().into_scalar::<f32>());
    let bound = 1.0 / (2.0 * smoothing * scale * f64::ln(1.0 / smoothing));
    assert!((largest / bound - 1.0).abs() < 0.1, "{largest}, {bound}");
}

/// Sets the means to half 0.4, half −1.
struct Means;

impl ModuleMapper for Means {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if D != 2 {
            return param;
        }
        param.map(|mu| {
            let n = mu.shape().num_elements();
            let means: Vec<f32> = (0..n)
                .map(|i| if i % 2 == 0 { 0.4 } else { -1.0 })
                .collect();
            Tensor::<1>::from_floats(means.as_slice(), &mu.device())
                .reshape(mu.shape())
                .require_grad()
        })
    }
}

#[test]
fn the_learned_laplace_prior_is_at_its_best_where_its_scale_is_the_mean_absolute_weight() {
    let device = Device::flex().autodiff();
    let layer = |scale| {
        let config = BayesianizeConfig::new()
            .with_posterior(PosteriorConfig::normal(1e-3))
            .with_prior(PriorConfig::learned_laplace(scale));
        let layer = LinearConfig::new(20, 10).with_bias(false).init(&device);
        layer.bayesianize(&config).map(&mut Means)
    };
    let gradient = |scale| {
        let layer = layer(scale);
        let grads = layer.kl_cost().backward();
        let variational = layer.weight.reparameterization::<BuiltinVariational>();
        let BuiltinPrior::LearnedLaplace(prior) = &variational.unwrap().prior else {
            panic!("another prior");
        };
        f64::from(values(prior.log_scale.val().grad(&grads).unwrap())[0])
    };
    // d KL / d ln b = n (1 − E|w| / b), and E|w| = 0.7.
    assert!(gradient(0.7).abs() < 1e-2);
    assert!((gradient(1.4) - 100.0).abs() < 1e-2);
}

#[test]
fn impossible_values_are_refused_and_named() {
    let refused = [
        (PriorConfig::laplace(0.0), "got 0.0"),
        (PriorConfig::learned_laplace(-1.0), "got -1.0"),
        (PriorConfig::normal(9e-16), "from 1e-15 to 1e15, got 9e-16"),
        (PriorConfig::normal(2e16), "from 1e-15 to 1e15, got 2e16"),
        (PriorConfig::laplace(1e20), "got 1e20"),
        (PriorConfig::learned_normal(f64::INFINITY), "got inf"),
        (PriorConfig::scale_mixture(0.5, 1e16, 1.0), "got 1e16"),
        (PriorConfig::learned_normal(9e-16), "got 9e-16"),
        (PriorConfig::scale_mixture(0.5, 1.0, 1e-20), "got 1e-20"),
        (PriorConfig::student_t(0.0, 1.0), "at least 1e-3, got 0.0"),
        (PriorConfig::student_t(3.0, f64::NAN), "got NaN"),
        (PriorConfig::horseshoe(-0.5), "got -0.5"),
        (
            PriorConfig::Horseshoe(HorseshoePriorConfig::new().with_smoothing(2.0)),
            "got 2",
        ),
    ];
    for (config, expected) in refused {
        let panic = std::panic::catch_unwind(|| config.init(&Device::flex())).unwrap_err();
        let message = panic.downcast_ref::<String>().unwrap();
        assert!(message.ends_with(expected), "{config:?}: {message}");
    }
}

/// Whose squares are beyond `f32` on the way.
#[test]
fn the_extremes_of_a_range_are_computed() {
    let device = Device::flex().autodiff();
    for w in [0f32, 1e-15, 0.5, -300.0] {
        let density = |prior: PriorConfig| {
            let weight = Tensor::<1>::from_floats([w], &device).require_grad();
            let density = prior.init(&device).log_density(weight.clone());
            let gradient = values(weight.grad(&density.backward()).unwrap())[0];
            assert!(gradient.is_finite(), "{prior:?} at {w}: {gradient}");
            scalar(density)
        };
        for scale in [1e-15, 5e14] {
            for prior in [
                PriorConfig::normal(scale),
                PriorConfig::learned_normal(scale),
                PriorConfig::scale_mixture(0.5, 2.0 * scale, scale),
                PriorConfig::laplace(scale),
                PriorConfig::student_t(3.0, scale),
                PriorConfig::horseshoe(scale),
            ] {
                let got = density(prior.clone());
                assert!(got.is_finite(), "{prior:?} at {w}: {got}");
            }
        }
        // With that many degrees of freedom it is the normal.
        let (t, normal) = (PriorConfig::student_t(1e300, 1.0), PriorConfig::normal(1.0));
        let (got, expected) = (density(t), density(normal));
        assert!((got / expected - 1.0).abs() < 1e-5, "{got} for {expected}");
        assert!(density(PriorConfig::student_t(1e-3, 1.0)).is_finite());
    }
    for std in [1e-15, 1e15] {
        for prior in [
            PriorConfig::normal(std),
            PriorConfig::learned_normal(std),
            PriorConfig::empirical_normal(None),
        ] {
            let config = BayesianizeConfig::new()
                .with_posterior(PosteriorConfig::normal(std))
                .with_prior(prior.clone());
            let layer = LinearConfig::new(2, 1).init(&device);
            let layer = layer.map(&mut Zeros).bayesianize(&config);
            let kl = || scalar(layer.kl_cost());
            for kl in [kl(), without_fused(kl)] {
                assert!(kl.abs() < 1e-4, "{prior:?}: {kl}");
            }
        }
    }
}

struct Zeros;

impl ModuleMapper for Zeros {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|value| value.zeros_like().require_grad())
    }
}

#[test]
fn configurations_survive_json() {
    for config in [
        PriorConfig::laplace(0.25),
        PriorConfig::learned_laplace(0.5),
        PriorConfig::student_t(2.5, 0.1),
        PriorConfig::horseshoe(0.3),
    ] {
        let all = BayesianizeConfig::new().with_prior(config.clone());
        let again = BayesianizeConfig::load_binary(all.to_string().as_bytes()).unwrap();
        assert_eq!(again.prior, config);
    }
}
