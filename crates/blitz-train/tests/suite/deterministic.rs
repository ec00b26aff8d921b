//! The ELBO by moments is that of the draws, without their noise.

use blitz_train::ExpectedNll;
use blitz_train::blitz_core;
use blitz_train::blitz_core::Posterior;
use blitz_train::blitz_layers::moments::{ForwardMoments, Moments};
use blitz_train::prelude::*;
use burn::nn::{Linear, LinearConfig};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use nalgebra::{DMatrix, DVector};

use crate::conjugate::{N, NOISE, PRIOR, likelihood, model, posterior, problem};
use crate::{scalar, values};

/// No noise is left: the optimum is the exact posterior to the digits of `f32`.
#[test]
fn a_linear_regression_gets_its_exact_posterior() {
    let device = Device::flex().autodiff();
    let problem = problem(&device);
    let likelihood = likelihood(&device);
    let elbo = ElboConfig::new(N).init();
    let mut net = model(&device);
    let mut optimizer = FusedAdamConfig::new().init();
    let steps = 600;
    for step in 0..steps {
        let loss = elbo.loss_by_moments(&net, step.into(), |net: &Linear| {
            let moments = net.forward_moments(Moments::certain(problem.x.clone()));
            likelihood.expected_nll(moments, problem.y.clone())
        });
        let grads = GradientsParams::from_grads(loss.unwrap().loss.backward(), &net);
        let rate = 0.05 * (1.0 - step as f64 / steps as f64);
        net = optimizer.step(rate, net, grads);
    }
    let (mu, rho) = posterior(&net);
    let sigma = values(blitz_core::deviation::std_from_rho(rho));
    let exact = problem.mean.into_iter().zip(problem.std);
    for ((mean, sigma), (of_mean, of_std)) in values(mu).into_iter().zip(sigma).zip(exact) {
        assert!(
            (mean - of_mean).abs() < 1e-3 * of_std,
            "{mean} for {of_mean}"
        );
        assert!((sigma / of_std - 1.0).abs() < 1e-3, "{sigma} for {of_std}");
    }
}

/// A variational last layer on given features that depend on each other, one of them constant: the ELBO ends at the
/// logarithm of the evidence, at the exact posterior with its correlations.
#[test]
fn a_full_rank_last_layer_gets_the_exact_posterior_of_correlated_features() {
    let device = Device::flex().autodiff();
    let phi = DMatrix::from_fn(N, 3, |i, k| {
        let t = i as f64 / N as f64;
        [1.0, t, 0.8 * t * t + 0.1 * (5.0 * t).sin()][k]
    });
    let y = DVector::from_fn(N, |i, _| 1.0 - 0.7 * (i as f64 / 4.0).cos());
    let tensor = |values: Vec<f64>, columns: usize| {
        Tensor::<2>::from_data(TensorData::new(values, [N, columns]), &device)
    };
    let x = tensor(phi.transpose().as_slice().to_vec(), 3);
    let target = tensor(y.as_slice().to_vec(), 1);

    let precision = phi.tr_mul(&phi) / NOISE.powi(2) + DMatrix::identity(3, 3) / PRIOR.powi(2);
    let covariance = precision.try_inverse().unwrap();
    let mean = &covariance * phi.tr_mul(&y) / NOISE.powi(2);
    let of_targets =
        DMatrix::identity(N, N) * NOISE.powi(2) + &phi * phi.transpose() * PRIOR.powi(2);
    let evidence = -0.5 * (&y.transpose() * of_targets.clone().try_inverse().unwrap() * &y)[0]
        - 0.5 * (of_targets.determinant().ln() + N as f64 * std::f64::consts::TAU.ln());

    let likelihood = likelihood(&device);
    let elbo = ElboConfig::new(N).init();
    let layer = LinearConfig::new(3, 1).with_bias(false).init(&device);
    let mut net = layer.bayesianize(
        &BayesianizeConfig::new()
            .with_posterior(PosteriorConfig::full_rank_normal(0.3))
            .with_prior(PriorConfig::normal(PRIOR)),
    );
    let mut optimizer = FusedAdamConfig::new().init();
    let steps = 3000;
    let mut last = f64::NAN;
    for step in 0..steps {
        let loss = elbo.loss_by_moments(&net, step.into(), |net: &Linear| {
            let moments = net.forward_moments(Moments::certain(x.clone()));
            likelihood.expected_nll(moments, target.clone())
        });
        let loss = loss.unwrap().loss;
        last = scalar(loss.clone());
        let grads = GradientsParams::from_grads(loss.backward(), &net);
        let rate = 0.03 * (1.0 - step as f64 / steps as f64);
        net = optimizer.step(rate, net, grads);
    }
    let excess = N as f64 * last + evidence;
    assert!(
        excess.abs() < 1e-3,
        "{excess} nats from the evidence {evidence}"
    );
    let posteriors = net.posteriors::<blitz_core::BuiltinPosterior>();
    let factors = posteriors[0].posterior.column_factors(&net.weight.base());
    let factors: Vec<f64> = values(factors.unwrap());
    let factor = DMatrix::from_row_slice(3, 3, &factors);
    let got = &factor * factor.transpose();
    for (i, of_mean) in values(net.weight.base()).into_iter().enumerate() {
        let std = covariance[(i, i)].sqrt();
        assert!(
            (of_mean - mean[i]).abs() < 0.02 * std,
            "{of_mean} for {}",
            mean[i]
        );
        for j in 0..3 {
            let scale = (covariance[(i, i)] * covariance[(j, j)]).sqrt();
            let off = (got[(i, j)] - covariance[(i, j)]).abs();
            assert!(off < 0.02 * scale, "{got} for {covariance}");
        }
    }
    // What a mean field can't hold.
    assert!(covariance[(1, 2)] < -0.8 * (covariance[(1, 1)] * covariance[(2, 2)]).sqrt());
}

#[test]
fn the_loss_is_that_of_many_draws_and_its_kl_the_same() {
    let device = Device::flex().autodiff();
    let problem = problem(&device);
    let likelihood = likelihood(&device);
    let net = model(&device);
    let by_moments = ElboConfig::new(N)
        .init()
        .loss_by_moments(&net, 3.into(), |net: &Linear| {
            let moments = net.forward_moments(Moments::certain(problem.x.clone()));
            likelihood.expected_nll(moments, problem.y.clone())
        });
    let by_moments = by_moments.unwrap();
    let draws: Vec<f64> = (0..4000)
        .map(|step| {
            let nll =
                |net: &Linear| likelihood.nll(net.forward(problem.x.clone()), problem.y.clone());
            let loss = ElboConfig::new(N).init().loss(&net, step.into(), nll);
            assert!((scalar(loss.kl) - scalar(by_moments.kl.clone())).abs() < 1e-5);
            scalar(loss.nll)
        })
        .collect();
    let n = draws.len() as f64;
    let mean = draws.iter().sum::<f64>() / n;
    let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let (got, error) = (scalar(by_moments.nll), (variance / n).sqrt());
    assert!(
        (got - mean).abs() < 4.0 * error,
        "{got} for {mean} ± {error}"
    );
}

#[test]
fn a_kl_without_a_closed_form_is_the_same_at_the_same_step() {
    let device = Device::flex().autodiff();
    let problem = problem(&device);
    let likelihood = likelihood(&device);
    let mixture = PriorConfig::scale_mixture(0.5, 1.0, 0.1);
    let layer = BayesianLinearConfig::new(3, 1)
        .with_prior(mixture)
        .init(&device);
    let at = |step: u64| {
        let loss = ElboConfig::new(N)
            .init()
            .loss_by_moments(&layer, step.into(), |net| {
                let moments = net.forward_moments(Moments::certain(problem.x.clone()));
                likelihood.expected_nll(moments, problem.y.clone())
            });
        scalar(loss.unwrap().loss)
    };
    assert_eq!(at(5), at(5));
    assert_ne!(at(5), at(6));
}

#[test]
fn a_network_whose_uncertainty_is_left_out_is_refused() {
    let device = Device::flex().autodiff();
    let problem = problem(&device);
    let likelihood = likelihood(&device);
    let layer = BayesianLinearConfig::new(3, 1).init(&device);
    let loss = ElboConfig::new(N)
        .init()
        .loss_by_moments(&layer, 0.into(), |net| {
            likelihood.nll(net.forward(problem.x.clone()), problem.y.clone())
        });
    let error = loss.unwrap_err().to_string();
    assert!(
        error.contains("the moments leave out the uncertainty of weight"),
        "{error}"
    );
}
