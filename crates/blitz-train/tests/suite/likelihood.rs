//! The Gaussian likelihood.

use blitz_train::Evaluation as _;
use blitz_train::prelude::*;
use burn::tensor::{Device, Tensor};

use crate::values;

fn likelihood(noise: LikelihoodParam, targets: usize, device: &Device) -> GaussianLikelihood {
    GaussianLikelihoodConfig::new()
        .with_noise(noise)
        .with_targets(targets)
        .init(device)
}

#[test]
fn nll_is_the_hand_computed_sum_over_target_columns() {
    let device = Device::flex();
    let likelihood = likelihood(LikelihoodParam::Fixed(0.5), 2, &device);
    let output = Tensor::<2>::from_floats([[0.0, 1.0], [2.0, -1.0]], &device);
    let target = Tensor::<2>::from_floats([[0.5, 1.0], [0.0, 0.0]], &device);
    let constant = 2.0 * (0.5f64.ln() + 0.918_938_533_204_672_7);
    let expected = [constant + 0.5, constant + 0.5 * (16.0 + 4.0)];
    for (a, b) in values(likelihood.nll(output, target)).iter().zip(expected) {
        assert!((a - b).abs() < 1e-5, "{a} {b}");
    }
}

#[test]
fn learned_noise_has_a_gradient_and_fixed_noise_has_none() {
    let device = Device::flex().autodiff();
    for (noise, learned) in [
        (LikelihoodParam::Learned(0.5), true),
        (LikelihoodParam::Fixed(0.5), false),
    ] {
        let likelihood = likelihood(noise, 1, &device);
        let output = Tensor::<2>::zeros([3, 1], &device).require_grad();
        let grads = likelihood
            .nll(output.clone(), output.ones_like())
            .sum()
            .backward();
        assert_eq!(likelihood.log_std.val().grad(&grads).is_some(), learned);
    }
}

#[test]
fn learned_noise_finds_the_residuals_deviation() {
    use burn::optim::{AdamConfig, GradientsParams};

    let device = Device::flex().autodiff();
    let mut likelihood = likelihood(LikelihoodParam::Learned(0.5), 1, &device);
    let residuals = Tensor::<2>::from_floats([[3.0], [-1.0], [2.0], [-2.0]], &device);
    let mut optimizer = AdamConfig::new().init();
    for _ in 0..500 {
        let loss = likelihood
            .nll(residuals.zeros_like(), residuals.clone())
            .mean();
        let grads = GradientsParams::from_grads(loss.backward(), &likelihood);
        likelihood = optimizer.step(0.05, likelihood, grads);
    }
    assert!((likelihood.noise_std()[0] - 4.5f64.sqrt()).abs() < 1e-3);
}

#[test]
fn evaluation_and_predictive_agree_on_mean_and_distribution_function() {
    let device = Device::flex();
    let likelihood = likelihood(LikelihoodParam::Fixed(0.7), 1, &device);
    let outputs = vec![
        Tensor::<2>::from_floats([[0.0], [1.0]], &device),
        Tensor::<2>::from_floats([[2.0], [1.5]], &device),
    ];
    let target = Tensor::<2>::from_floats([[0.3], [4.0]], &device);
    let evaluation = likelihood
        .evaluate(outputs.clone(), target.clone())
        .without_autodiff();
    let predictive = likelihood.predictive(outputs);
    for (a, b) in values(evaluation.mean).iter().zip(predictive.mean()) {
        assert!((a - b).abs() < 1e-6);
    }
    for (a, b) in values(evaluation.cdf)
        .iter()
        .zip(predictive.cdf(&values(target)))
    {
        assert!((a - b).abs() < 1e-5);
    }
}

#[test]
#[should_panic(expected = "got [3, 2] and [3, 1]")]
fn outputs_and_targets_of_different_shapes_are_refused() {
    // Broadcasting would silently compare every output with every target.
    let device = Device::flex();
    let likelihood = likelihood(LikelihoodParam::Fixed(1.0), 1, &device);
    likelihood.nll(
        Tensor::zeros([3, 2], &device),
        Tensor::zeros([3, 1], &device),
    );
}

#[test]
#[should_panic(expected = "got -1")]
fn a_negative_noise_is_refused_with_its_value() {
    likelihood(LikelihoodParam::Fixed(-1.0), 1, &Device::flex());
}
