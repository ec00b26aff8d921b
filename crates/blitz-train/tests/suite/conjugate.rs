//! Bayesian linear regression with known noise and a normal prior: the one network whose posterior is known.
//!
//! With features X, noise σ and a prior N(0, s²) the posterior is normal with precision `Λ = XᵀX/σ² + I/s²` and mean
//! `Λ⁻¹ Xᵀy/σ²`. For orthogonal columns Λ is diagonal, so the mean-field family contains it.

use blitz_train::blitz_core;
use blitz_train::prelude::*;
use burn::module::{Module, ModuleMapper, Param};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{DType, Device, Tensor};

use crate::digest::given;
use crate::{scalar, values};

pub(super) const N: usize = 16;
pub(super) const NOISE: f64 = 0.5;
pub(super) const PRIOR: f64 = 1.5;

pub(super) struct Problem {
    pub(super) x: Tensor<2>,
    pub(super) y: Tensor<2>,
    pub(super) mean: [f64; 3],
    pub(super) std: [f64; 3],
}

/// Three columns of a 16 × 16 Hadamard matrix, scaled, and targets that are no linear function of them.
pub(super) fn problem(device: &Device) -> Problem {
    let scale = [1.0, 0.5, 0.2];
    let sign = |row: usize, mask: usize| {
        if (row & mask).count_ones().is_multiple_of(2) {
            1.0
        } else {
            -1.0
        }
    };
    let x: Vec<[f64; 3]> = (0..N)
        .map(|row| [0b0001, 0b0110, 0b1011].map(|mask| sign(row, mask)))
        .map(|signs| std::array::from_fn(|k| signs[k] * scale[k]))
        .collect();
    let y: Vec<f64> = (0..N)
        .map(|row| 0.8 * x[row][0] - 1.7 * x[row][1] + 0.3 * (row as f64).sin())
        .collect();
    let mut mean = [0.0; 3];
    let mut std = [0.0; 3];
    for k in 0..3 {
        let xx: f64 = x.iter().map(|row| row[k] * row[k]).sum();
        let xy: f64 = x.iter().zip(&y).map(|(row, y)| row[k] * y).sum();
        let precision = xx / NOISE.powi(2) + 1.0 / PRIOR.powi(2);
        std[k] = precision.powf(-0.5);
        mean[k] = xy / NOISE.powi(2) / precision;
    }
    let flat: Vec<f32> = x.iter().flatten().map(|v| *v as f32).collect();
    let targets: Vec<f32> = y.iter().map(|v| *v as f32).collect();
    Problem {
        x: Tensor::<1>::from_floats(flat.as_slice(), device).reshape([N, 3]),
        y: Tensor::<1>::from_floats(targets.as_slice(), device).reshape([N, 1]),
        mean,
        std,
    }
}

pub(super) fn model(device: &Device) -> Linear {
    let layer = LinearConfig::new(3, 1).with_bias(false).init(device);
    given(layer, 0.5, DType::F32).bayesianize(
        &BayesianizeConfig::new()
            .with_posterior(PosteriorConfig::normal(0.3))
            .with_prior(PriorConfig::normal(PRIOR)),
    )
}

pub(super) fn likelihood(device: &Device) -> GaussianLikelihood {
    GaussianLikelihoodConfig::new()
        .with_noise(LikelihoodParam::Fixed(NOISE))
        .init(device)
}

pub(super) fn posterior(model: &Linear) -> (Tensor<1>, Tensor<1>) {
    // Under its first prior, or under a posterior that has become one.
    let posterior = &model.posteriors::<blitz_core::BuiltinPosterior>()[0].posterior;
    let rho = posterior.as_normal().unwrap().rho.val();
    (model.weight.base().flatten(0, 1), rho)
}

/// Means and deviations after a training, averaged over its last steps, which wander about the optimum.
fn trained(problem: &Problem, seed: u64) -> [f64; 6] {
    let device = Device::flex().autodiff();
    let likelihood = likelihood(&device);
    let elbo = ElboConfig::new(N).with_samples(4).with_seed(seed).init();
    let mut model = model(&device);
    let mut optimizer = AdamConfig::new().init();

    let (steps, averaged) = (1200, 600);
    let mut average = [0.0; 6];
    for step in 0..steps {
        let loss = elbo.loss(&model, step.into(), |model| {
            likelihood.nll(model.forward(problem.x.clone()), problem.y.clone())
        });
        let grads = GradientsParams::from_grads(loss.loss.backward(), &model);
        model = optimizer.step(0.01, model, grads);
        if step >= steps - averaged {
            let (mu, rho) = posterior(&model);
            let sigma = blitz_core::deviation::std_from_rho(rho);
            let now = values(mu).into_iter().chain(values(sigma));
            for (average, now) in average.iter_mut().zip(now) {
                *average += now / averaged as f64;
            }
        }
    }
    average
}

#[test]
fn training_recovers_the_exact_posterior() {
    let problem = problem(&Device::flex().autodiff());
    // Trainings that share no draw: how far they lie apart is the error of their mean.
    let trainings: Vec<[f64; 6]> = (0..8).map(|seed| trained(&problem, seed)).collect();
    let n = trainings.len() as f64;
    for k in 0..6 {
        // In units of the posterior's own deviation.
        let (exact, unit) = (
            if k < 3 {
                problem.mean[k]
            } else {
                problem.std[k - 3]
            },
            problem.std[k % 3],
        );
        let off = trainings
            .iter()
            .map(|training| (training[k] - exact) / unit);
        let mean = off.clone().sum::<f64>() / n;
        let variance = off.map(|off| (off - mean).powi(2)).sum::<f64>() / (n - 1.0);
        let error = (variance / n).sqrt();
        // Student's t of 7 degrees of freedom is beyond 7 once in five thousand times.
        assert!(mean.abs() < 7.0 * error, "{k}: {mean} ± {error}");
        // Small enough to tell a deviation that is a tenth too large.
        assert!(7.0 * error < 0.1, "{k}: an error of {error}");
    }
}

/// Puts the posterior where it is known to be.
struct Exact<'a>(&'a Problem);

impl ModuleMapper for Exact<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let exact = match D {
            2 => self.0.mean,
            _ => self.0.std.map(blitz_core::deviation::rho_from_std),
        };
        param.map(|old| {
            let exact = Tensor::<1>::from_floats(exact.map(|v| v as f32), &old.device());
            exact
                .reshape(old.shape())
                .set_require_grad(old.is_require_grad())
        })
    }
}

#[test]
fn the_elbos_expected_gradient_vanishes_at_the_exact_posterior() {
    let device = Device::flex().autodiff();
    let problem = problem(&device);
    let likelihood = likelihood(&device);
    let elbo = ElboConfig::new(N).with_seed(5).init();
    let model = model(&device).map(&mut Exact(&problem));

    let draws = 3000u64;
    let mut gradients = vec![Vec::new(); 6];
    for step in 0..draws {
        let loss = elbo.loss(&model, step.into(), |model| {
            likelihood.nll(model.forward(problem.x.clone()), problem.y.clone())
        });
        let grads = loss.loss.backward();
        let (_, rho) = posterior(&model);
        let d_mu = values(model.weight.base().grad(&grads).unwrap());
        let d_rho = values(rho.grad(&grads).unwrap());
        for (all, gradient) in gradients.iter_mut().zip(d_mu.into_iter().chain(d_rho)) {
            all.push(gradient);
        }
    }
    for (k, gradients) in gradients.iter().enumerate() {
        let n = draws as f64;
        let mean = gradients.iter().sum::<f64>() / n;
        let variance = gradients.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / (n - 1.0);
        let standard_error = (variance / n).sqrt();
        assert!(
            mean.abs() < 4.5 * standard_error,
            "coordinate {k}: {mean} ± {standard_error}"
        );
    }
}

#[test]
fn at_the_exact_posterior_the_elbo_is_the_log_evidence() {
    // ln p(y) = ELBO exactly when q is the posterior; the estimate's own noise is what is left.
    let device = Device::flex();
    let problem = problem(&device);
    let likelihood = likelihood(&device);
    let model = model(&device).map(&mut Exact(&problem));
    let elbo = ElboConfig::new(N).with_samples(4000).init();
    let loss = elbo.loss(&model, 0.into(), |model| {
        likelihood.nll(model.forward(problem.x.clone()), problem.y.clone())
    });
    let neg_elbo = scalar(loss.loss) * N as f64;

    // y ~ N(0, σ² I + s² X Xᵀ): in the basis of X's orthogonal columns the covariance is diagonal.
    let x: Vec<Vec<f64>> = values(problem.x.clone())
        .chunks(3)
        .map(<[f64]>::to_vec)
        .collect();
    let y = values(problem.y.clone());
    let two_pi = 2.0 * std::f64::consts::PI;
    let mut rest: f64 = y.iter().map(|y| y * y).sum();
    let mut neg_log_evidence = 0.0;
    for k in 0..3 {
        let norm: f64 = x.iter().map(|row| row[k] * row[k]).sum();
        let along: f64 = x.iter().zip(&y).map(|(row, y)| row[k] * y).sum::<f64>() / norm.sqrt();
        let variance = NOISE.powi(2) + PRIOR.powi(2) * norm;
        neg_log_evidence += 0.5 * (along * along / variance + (two_pi * variance).ln());
        rest -= along * along;
    }
    let others = (N - 3) as f64;
    neg_log_evidence += 0.5 * (rest / NOISE.powi(2) + others * (two_pi * NOISE.powi(2)).ln());
    // The NLL's deviation over draws is that of half a chi-square with 3 degrees of freedom at most.
    let standard_error = 1.3 / 4000f64.sqrt();
    let difference = neg_elbo - neg_log_evidence;
    assert!(
        difference.abs() < 5.0 * standard_error,
        "{neg_elbo} {neg_log_evidence}"
    );
}

/// The posterior after the rows of a day, by the gradient of the ELBO in closed form: `E_q ‖y − Xw‖² = ‖y − Xμ‖² + Σ_k
/// σ_k² Σ x_k²`.
fn after(mut model: Linear, x: &Tensor<2>, y: &Tensor<2>) -> Linear {
    let mut optimizer = AdamConfig::new().init();
    let steps = 1500;
    for step in 0..steps {
        let (mu, rho) = posterior(&model);
        let variance = blitz_core::deviation::std_from_rho(rho).square();
        let mean = x.clone().matmul(mu.unsqueeze_dim::<2>(1));
        let lengths = x.clone().square().sum_dim(0).squeeze_dim::<1>(0);
        let squares = (y.clone() - mean).square().sum() + (variance * lengths).sum();
        let neg_elbo = squares * (0.5 / NOISE.powi(2)) + model.kl_cost();
        let grads = GradientsParams::from_grads(neg_elbo.backward(), &model);
        let rate = 0.05 * (1.0 - f64::from(step) / f64::from(steps)).powi(2);
        model = optimizer.step(rate, model, grads);
    }
    model
}

#[test]
fn two_days_in_turn_give_the_posterior_of_both() {
    let device = Device::flex().autodiff();
    let problem = problem(&device);
    // The columns of either half are orthogonal, too.
    let rows = |tensor: &Tensor<2>, day: usize| tensor.clone().narrow(0, day * N / 2, N / 2);
    for days in [[0, 1], [1, 0]] {
        let [first, second] = days.map(|day| (rows(&problem.x, day), rows(&problem.y, day)));
        let yesterday = after(model(&device), &first.0, &first.1);
        // What either day alone says is something else.
        assert!(distance(&yesterday, &problem) > 0.3);
        let today = yesterday.posterior_as_prior();
        assert!(scalar(today.kl_cost()).abs() < 1e-5);
        let today = after(today, &second.0, &second.1);
        assert!(
            distance(&today, &problem) < 1e-3,
            "{}",
            distance(&today, &problem)
        );
        // Yesterday's posterior is the prior: once more as prior and posterior, the data count again.
        let again = after(today.posterior_as_prior(), &second.0, &second.1);
        assert!(distance(&again, &problem) > 0.1);
    }
}

#[test]
fn a_discount_forgets_as_the_filter_of_a_drifting_line_does() {
    const DISCOUNT: f64 = 0.7;
    let device = Device::flex().autodiff();
    let mut problem = problem(&device);
    let (x, y) = (values(problem.x.clone()), values(problem.y.clone()));
    for k in 0..3 {
        let (mut precision, mut shift) = (PRIOR.powi(-2), 0.0);
        for row in 0..N {
            if row == N / 2 {
                precision *= DISCOUNT;
                shift *= DISCOUNT;
            }
            precision += x[3 * row + k].powi(2) / NOISE.powi(2);
            shift += x[3 * row + k] * y[row] / NOISE.powi(2);
        }
        problem.mean[k] = shift / precision;
        problem.std[k] = precision.powf(-0.5);
    }
    let [first, second] = [0, 1].map(|day| {
        let rows = |tensor: &Tensor<2>| tensor.clone().narrow(0, day * N / 2, N / 2);
        (rows(&problem.x), rows(&problem.y))
    });
    let yesterday = after(model(&device), &first.0, &first.1);
    let less_sure = yesterday.clone().scale_deviations(DISCOUNT.powf(-0.5));
    let today = after(less_sure.posterior_as_prior(), &second.0, &second.1);
    let off = distance(&today, &problem);
    assert!(off < 1e-3, "{off}");
    let remembers_all = after(yesterday.posterior_as_prior(), &second.0, &second.1);
    assert!(distance(&remembers_all, &problem) > 0.05);
}

/// The largest distance from the exact mean and deviation, in exact deviations.
fn distance(model: &Linear, problem: &Problem) -> f64 {
    let marginals = &model.weight_marginals()[0];
    let off = (0..3).map(|k| {
        let mean = f64::from(marginals.means[k]) - problem.mean[k];
        let std = f64::from(marginals.std_devs[k]) - problem.std[k];
        (mean.abs() / problem.std[k]).max(std.abs() / problem.std[k])
    });
    off.fold(0.0, f64::max)
}
