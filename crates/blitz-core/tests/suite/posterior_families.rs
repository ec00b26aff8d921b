//! The posterior families: draws, densities, entropies and KL against each other, SciPy and finite differences.

use std::panic::{AssertUnwindSafe, catch_unwind};

use blitz_core::prelude::*;
use blitz_core::{
    BuiltinPosterior, FullRankNormalPosterior, LaplacePosterior, LaplaceUnit,
    LowRankNormalPosterior, LowRankNormalPosteriorConfig, MatrixNormalPosterior, Noise, Posterior,
    Prior, StudentTPosterior, StudentTUnit, kl_divergence,
};
use burn::config::Config;
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Shape, Tensor};

use crate::net::{devices, families, scalar, values};
use crate::priors::priors;
use crate::statistics::{Sample, kolmogorov_smirnov};

const SHAPE: [usize; 2] = [5, 4];

/// Moves the parameters apart: a deviation that is the same everywhere would hide a transposed one.
struct Wiggle;

impl ModuleMapper for Wiggle {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|value| {
            let n = value.shape().num_elements();
            let moved: Vec<f32> = (0..n).map(|i| 0.4 * (1.7 * i as f32 + 1.0).sin()).collect();
            let moved = Tensor::<1>::from_floats(moved.as_slice(), &value.device());
            let grads = value.is_require_grad();
            let value = value.clone().detach() + moved.reshape(value.shape());
            value.set_require_grad(grads)
        })
    }
}

fn posterior(config: &PosteriorConfig, device: &Device) -> BuiltinPosterior {
    config.init(&Shape::new(SHAPE), device).map(&mut Wiggle)
}

fn mu(device: &Device) -> Tensor<2> {
    let mu: Vec<f32> = (0..20).map(|i| 0.1 * i as f32 - 0.8).collect();
    Tensor::<1>::from_floats(mu.as_slice(), device).reshape(SHAPE)
}

fn draw(posterior: &BuiltinPosterior, mu: &Tensor<2>, index: u64) -> Tensor<2> {
    posterior.sample(mu.clone(), &mut Noise::new(NoiseKey::new(41, index, 0)))
}

#[test]
fn draws_have_the_mean_and_the_deviation_that_the_posterior_states() {
    let device = Device::flex();
    for config in families(0.3) {
        let posterior = posterior(&config, &device);
        let mu = mu(&device);
        let draws: Vec<Vec<f32>> = (0..4000)
            .map(|index| values(draw(&posterior, &mu, index)))
            .collect();
        let mean = values(posterior.mean(mu.clone()));
        let std = values(posterior.std_dev(mu.clone()));
        let marginals = posterior.marginals(mu);
        assert_eq!(values(marginals.std), std);
        for i in 0..20 {
            let first = draws.iter().map(|draw| f64::from(draw[i] - mean[i]));
            // 240 gates of five standard errors.
            Sample::new(first.clone()).assert_mean(0.0, 5.0, &format!("{config:?}, mean {i}"));
            let variance = f64::from(std[i]).powi(2);
            Sample::new(first.map(|d| d * d)).assert_mean(
                variance,
                5.0,
                &format!("{config:?}, variance {i}"),
            );
            let log_std = f64::from(values(marginals.log_std.clone())[i]);
            assert!(
                (log_std - f64::from(std[i]).ln()).abs() < 1e-5,
                "{config:?}"
            );
        }
    }
}

#[test]
fn the_entropy_is_the_mean_of_minus_the_log_density() {
    let device = Device::flex();
    for config in families(0.3) {
        let posterior = posterior(&config, &device);
        let mu = mu(&device);
        let entropy = scalar(
            posterior
                .entropy(&posterior.marginals(mu.clone()))
                .unwrap()
                .total(),
        );
        let surprise = (0..3000).map(|index| {
            let weight = draw(&posterior, &mu, index);
            -scalar(posterior.log_density(mu.clone(), weight))
        });
        Sample::new(surprise).assert_mean(entropy, 4.5, &format!("{config:?}"));
    }
}

#[test]
fn each_closed_form_of_the_kl_agrees_with_monte_carlo() {
    let device = Device::flex();
    for config in families(0.3) {
        let posterior = posterior(&config, &device);
        let mu = mu(&device);
        let draws: Vec<_> = (0..2000)
            .map(|index| {
                let weight = draw(&posterior, &mu, index);
                let log_q = scalar(posterior.log_density(mu.clone(), weight.clone()));
                (weight, log_q)
            })
            .collect();
        for prior in priors() {
            let in_closed_form = match prior {
                PriorConfig::Normal(_)
                | PriorConfig::LearnedNormal(_)
                | PriorConfig::EmpiricalNormal(_) => true,
                PriorConfig::Laplace(_) | PriorConfig::LearnedLaplace(_) => !matches!(
                    config,
                    PosteriorConfig::StudentT(_) | PosteriorConfig::Radial(_)
                ),
                _ => false,
            };
            let prior_config = prior;
            let prior = prior_config.init(&device);
            let kl = kl_divergence(&posterior, &prior, &mu);
            assert_eq!(kl.is_some(), in_closed_form, "{config:?}, {prior_config:?}");
            let Some(kl) = kl else { continue };
            // Its density is at the best scale of the drawn weights themselves.
            if matches!(prior_config, PriorConfig::EmpiricalNormal(_)) {
                continue;
            }
            let differences = draws
                .iter()
                .map(|(weight, log_q)| log_q - scalar(prior.log_density(weight.clone())));
            Sample::new(differences).assert_mean(
                scalar(kl),
                4.5,
                &format!("{config:?}, {prior_config:?}"),
            );
        }
    }
}

#[test]
fn the_kl_is_zero_where_posterior_equals_prior() {
    let device = Device::flex();
    let zero = Tensor::<2>::zeros(SHAPE, &device);
    for (posterior, prior) in [
        (
            PosteriorConfig::laplace(0.3),
            PriorConfig::laplace(0.3 / 2f64.sqrt()),
        ),
        (
            PosteriorConfig::matrix_normal(0.3),
            PriorConfig::normal(0.3),
        ),
        (
            PosteriorConfig::normal(2.0),
            PriorConfig::learned_normal(2.0),
        ),
    ] {
        let q = posterior.init(&Shape::new(SHAPE), &device);
        let kl = scalar(kl_divergence(&q, &prior.init(&device), &zero).unwrap());
        assert!(kl.abs() < 20.0 * 1e-6, "{posterior:?}: {kl}");
    }
    // Without a closed form the densities themselves are equal, at every draw.
    let deviation = 0.2 * (5.0f64 / 3.0).sqrt();
    let posterior = PosteriorConfig::student_t(5.0, deviation).init(&Shape::new(SHAPE), &device);
    let weight = draw(&posterior, &zero, 0);
    let log_q = scalar(posterior.log_density(zero, weight.clone()));
    let log_p = scalar(
        PriorConfig::student_t(5.0, 0.2)
            .init(&device)
            .log_density(weight),
    );
    assert!((log_q - log_p).abs() < 20.0 * 2e-6, "{log_q}, {log_p}");
}

/// `(family, ln q, entropy)`, from `family_reference.py`.
const REFERENCE: [(&str, f64, f64); 5] = include!("posterior_families.in");

#[test]
fn densities_and_entropies_agree_with_scipy() {
    for device in devices() {
        let vector = |values: [f32; 6]| Tensor::<1>::from_floats(values, &device);
        let mu: Tensor<1> = vector(core::array::from_fn(|i| 0.1 * i as f32 - 0.2));
        let weight = vector([0.3, -0.5, 0.25, 0.1, -0.9, 0.7]);
        let rho: Tensor<1> = vector(core::array::from_fn(|i| 0.4 * i as f32 - 1.5));
        let factor: [f32; 12] = core::array::from_fn(|i| (i as f32).sin());
        let factor = Tensor::<1>::from_floats(factor, &device);
        let whole = Param::from_tensor(rho.clone());
        for (name, log_density, entropy) in REFERENCE {
            let (mu, weight) = (mu.clone().reshape([2, 3]), weight.clone().reshape([2, 3]));
            let q = match name {
                "laplace" => BuiltinPosterior::Laplace(LaplacePosterior {
                    rho: whole.clone(),
                    unit: LaplaceUnit {},
                }),
                "student_t" => BuiltinPosterior::StudentT(StudentTPosterior {
                    rho: whole.clone(),
                    unit: StudentTUnit { df: 4.5 },
                }),
                "low_rank" => BuiltinPosterior::LowRankNormal(LowRankNormalPosterior {
                    rho: whole.clone(),
                    factor: Param::from_tensor(factor.clone().reshape([6, 2])),
                }),
                "full_rank" => BuiltinPosterior::FullRankNormal(FullRankNormalPosterior {
                    rho: whole.clone(),
                    factor: Param::from_tensor(factor.clone().reshape([3, 2, 2])),
                }),
                _ => BuiltinPosterior::MatrixNormal(MatrixNormalPosterior {
                    row_rho: Param::from_tensor(rho.clone().slice(0..2)),
                    column_rho: Param::from_tensor(rho.clone().slice(2..5)),
                }),
            };
            let got = scalar(q.log_density(mu.clone(), weight));
            assert!(
                (got - log_density).abs() < 1e-5 * log_density.abs(),
                "{name}: {got}"
            );
            let got = scalar(q.entropy::<2>(&q.marginals(mu)).unwrap().total());
            assert!(
                (got - entropy).abs() < 1e-5 * entropy.abs(),
                "{name}: {got}"
            );
        }
    }
}

#[test]
fn a_low_rank_posteriors_draws_vary_together() {
    let device = Device::flex();
    let config = PosteriorConfig::low_rank_normal(3, 0.3);
    let BuiltinPosterior::LowRankNormal(q) = posterior(&config, &device) else {
        panic!("another posterior");
    };
    let mu = mu(&device);
    // The variance of the sum of the weights: Σ σ² + |Uᵀ 1|².
    let sigma = blitz_core::deviation::std_from_rho(q.rho.val());
    let diagonal = scalar(sigma.square().sum());
    let together = scalar(q.factor.val().sum_dim(0).square().sum());
    // Without the shared part the gate below would be missed by some eight standard errors.
    assert!(together > diagonal / 5.0, "{together}, {diagonal}");
    let centre = scalar(mu.clone().sum());
    let squares = (0..4000).map(|index| {
        let key = NoiseKey::new(3, index, 0);
        let sum = scalar(q.sample(mu.clone(), &mut Noise::new(key)).sum());
        (sum - centre).powi(2)
    });
    Sample::new(squares).assert_mean(diagonal + together, 4.5, "variance of the sum");
}

#[test]
fn the_columns_of_a_full_rank_posteriors_draws_have_the_covariances_of_their_factors() {
    let device = Device::flex();
    let q = posterior(&PosteriorConfig::full_rank_normal(0.3), &device);
    let mu = mu(&device);
    let [rows, columns] = SHAPE;
    let factors = values(q.column_factors(&mu).unwrap());
    let factor = |j: usize, i: usize, k: usize| f64::from(factors[(j * rows + i) * rows + k]);
    let centre = values(mu.clone());
    let draws: Vec<Vec<f64>> = (0..4000)
        .map(|index| {
            let weight = values(draw(&q, &mu, index));
            weight
                .iter()
                .zip(&centre)
                .map(|(w, m)| f64::from(w - m))
                .collect()
        })
        .collect();
    let mut largest = 0.0f64;
    for (j, other) in (0..columns).flat_map(|j| (0..columns).map(move |other| (j, other))) {
        for (a, b) in (0..rows).flat_map(|a| (0..a).map(move |b| (a, b))) {
            let of_columns = (0..rows).map(|k| factor(j, a, k) * factor(j, b, k));
            let covariance = match j == other {
                true => of_columns.sum(),
                false => 0.0,
            };
            largest = largest.max(covariance.abs());
            let products = draws
                .iter()
                .map(|w| w[a * columns + j] * w[b * columns + other]);
            // 160 gates of five standard errors.
            let what = format!("column {j}, rows {a} and {b}, column {other}");
            Sample::new(products).assert_mean(covariance, 5.0, &what);
        }
    }
    assert!(largest > 0.02, "{largest}");
}

#[test]
fn a_radial_draws_length_is_half_normal_and_its_density_integrates_to_one() {
    let device = Device::flex();
    let q = posterior(&PosteriorConfig::radial(0.3), &device);
    let mu = mu(&device);
    let sigma = q.std_dev(mu.clone()) * 20f64.sqrt();
    let (mut lengths, mut ratios) = (Vec::new(), Vec::new());
    for index in 0..4000 {
        let weight = draw(&q, &mu, index);
        let square = ((weight.clone() - mu.clone()) / sigma.clone())
            .square()
            .sum();
        lengths.push(scalar(square).sqrt());
        // E_q[f(w) / q(w)] = 1 for any density f: here a normal of a third the deviations, whose ratio is bounded.
        let xi = (weight.clone() - mu.clone()) / sigma.clone() * 3.0;
        let log_f = -0.5 * scalar(xi.square().sum())
            - 20.0 * 0.918_938_533_204_672_7
            - scalar((sigma.clone() / 3.0).log().sum());
        ratios.push((log_f - scalar(q.log_density(mu.clone(), weight))).exp());
    }
    Sample::new(ratios.into_iter()).assert_mean(1.0, 4.5, "mass");
    // At 1.95 / √n one right sample in a thousand would fail.
    let half_normal = |r: f64| statrs::function::erf::erf(r / 2f64.sqrt());
    let distance = kolmogorov_smirnov(lengths, half_normal);
    assert!(distance < 1.95 / 4000f64.sqrt(), "{distance}");
}

#[test]
fn draws_of_one_weight_have_the_stated_distribution() {
    use statrs::distribution::{ContinuousCDF, Laplace, StudentsT};

    let device = Device::flex();
    let shape = Shape::new([20_000]);
    let zero = Tensor::<1>::zeros(shape.clone(), &device);
    let draws = |config: &PosteriorConfig| -> Vec<f64> {
        let q = config.init(&shape, &device);
        let sample = q.sample(zero.clone(), &mut Noise::new(NoiseKey::new(8, 1, 2)));
        values(sample / q.std_dev(zero.clone()))
            .into_iter()
            .map(f64::from)
            .collect()
    };
    let bound = 1.95 / 20_000f64.sqrt();
    let laplace = Laplace::new(0.0, 0.5f64.sqrt()).unwrap();
    let distance = kolmogorov_smirnov(draws(&PosteriorConfig::laplace(0.2)), |x| laplace.cdf(x));
    assert!(distance < bound, "{distance}");
    for df in [2.1f64, 4.0, 1e6] {
        let t = StudentsT::new(0.0, ((df - 2.0) / df).sqrt(), df).unwrap();
        let sample = draws(&PosteriorConfig::student_t(df, 0.2));
        let distance = kolmogorov_smirnov(sample, |x| t.cdf(x));
        assert!(distance < bound, "{df}: {distance}");
    }
}

#[test]
fn flex_and_ndarray_draw_the_same_and_so_does_a_second_time() {
    let [flex, ndarray] = devices();
    for config in families(0.3) {
        let on =
            |device: &Device, index| values(draw(&posterior(&config, device), &mu(device), index));
        let once = on(&flex, 0);
        assert_eq!(once, on(&flex, 0), "{config:?}");
        assert_ne!(once, on(&flex, 1), "{config:?}");
        for (a, b) in once.iter().zip(on(&ndarray, 0)) {
            assert!((a - b).abs() < 2e-6, "{config:?}: {a}, {b}");
        }
    }
}

#[test]
fn as_the_deviation_vanishes_a_draw_becomes_the_mean() {
    let device = Device::flex();
    for config in families(1e-6) {
        let q = config.init(&Shape::new(SHAPE), &device);
        let far = (draw(&q, &mu(&device), 0) - mu(&device)).abs().max();
        assert!(far.into_scalar::<f32>() < 1e-5, "{config:?}");
    }
}

#[test]
fn a_student_t_posterior_of_any_degrees_of_freedom_has_a_density() {
    let device = Device::flex();
    let q = PosteriorConfig::student_t(1e300, 0.2).init(&Shape::new(SHAPE), &device);
    let normal = PosteriorConfig::normal(0.2).init(&Shape::new(SHAPE), &device);
    let at = draw(&q, &mu(&device), 0);
    let (t, normal) = (
        scalar(q.log_density(mu(&device), at.clone())),
        scalar(normal.log_density(mu(&device), at)),
    );
    assert!((t / normal - 1.0).abs() < 1e-5, "{t} for {normal}");
}

#[test]
fn impossible_values_are_refused_and_named() {
    let low_rank = |rank, std| PosteriorConfig::low_rank_normal(rank, std);
    for (config, expected) in [
        (PosteriorConfig::laplace(0.0), "from 1e-30 to 1e15, got 0.0"),
        (
            PosteriorConfig::normal(1e20),
            "from 1e-30 to 1e15, got 1e20",
        ),
        (low_rank(2, 1e16), "from 1e-30 to 1e15, got 1e16"),
        (PosteriorConfig::student_t(2.0, 0.1), "got 2"),
        (PosteriorConfig::student_t(f64::INFINITY, 0.1), "got inf"),
        (PosteriorConfig::student_t(3.0, -0.1), "got -0.1"),
        (PosteriorConfig::radial(f64::NAN), "got NaN"),
        (low_rank(0, 0.1), "got 0"),
        (low_rank(33, 0.1), "got 33"),
        (low_rank(2, 1e-7), "got 1e-7"),
        (PosteriorConfig::matrix_normal(-3.0), "got -3.0"),
        (PosteriorConfig::full_rank_normal(-0.5), "got -0.5"),
    ] {
        let init = || config.init(&Shape::new(SHAPE), &Device::flex());
        let panic = catch_unwind(AssertUnwindSafe(init)).unwrap_err();
        let message = panic.downcast_ref::<String>().unwrap();
        assert!(message.ends_with(expected), "{config:?}: {message}");
    }
}

#[test]
fn configurations_survive_json() {
    let seeded = LowRankNormalPosteriorConfig::new()
        .with_rank(2)
        .with_seed(9);
    let more = [PosteriorConfig::LowRankNormal(seeded)];
    for config in families(0.125).into_iter().chain(more) {
        let all = BayesianizeConfig::new().with_posterior(config.clone());
        let again = BayesianizeConfig::load_binary(all.to_string().as_bytes()).unwrap();
        assert_eq!(again.posterior, config);
    }
}
