//! Where posteriors are, seen from prior and start.

use std::convert::Infallible;

use blitz_core::prelude::*;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::Device;

/// Two by three weights of deviation 0.1, without an offset.
fn layer(prior: PriorConfig) -> Linear {
    let config = BayesianizeConfig::new()
        .with_posterior(PosteriorConfig::normal(0.1))
        .with_prior(prior);
    let linear = LinearConfig::new(2, 3).with_bias(false);
    linear.init(&Device::flex()).bayesianize(&config)
}

fn at(net: Linear, mean: f64) -> Linear {
    let moved = net.map_means(|mut net| {
        net.weight = net.weight.map(|weight| weight * 0.0 + mean);
        Ok::<_, Infallible>(net)
    });
    moved.unwrap_or_else(|error| match error {})
}

#[test]
fn a_shift_is_in_deviations_of_the_prior_and_of_the_start() {
    let start = at(layer(PriorConfig::normal(0.5)), 0.25);
    let moved = at(start.clone(), -0.75).weight_movements(Some(&start.weight_marginals()));
    let [moved] = moved.as_slice() else {
        panic!("{moved:?}")
    };
    assert_eq!((moved.path.as_str(), moved.weights), ("weight", 6));
    let close = |values: &[f32], expected: f32| {
        assert!(
            values.iter().all(|v| (v - expected).abs() < 1e-4),
            "{values:?}"
        );
    };
    close(moved.from_prior.as_ref().unwrap(), 1.5);
    let from_start = moved.from_start.as_ref().unwrap();
    close(&from_start.shifts, 10.0);
    close(&from_start.log_scales, 0.0);
    // ln(0.5/0.1) + (0.1² + 0.75²)/(2 · 0.5²) − ½ of each weight.
    let kl = 5f64.ln() + (0.01 + 0.5625) / 0.5 - 0.5;
    assert!((moved.kl_per_weight() - kl).abs() < 1e-5, "{moved:?}");
}

#[test]
fn a_prior_without_a_known_deviation_has_a_kl_alone() {
    let net = at(layer(PriorConfig::laplace(0.5)), 0.25);
    let moved = &net.weight_movements(None)[0];
    assert!(moved.kl > 0.0);
    assert_eq!((&moved.from_prior, &moved.from_start), (&None, &None));
    assert_eq!(moved.has_stayed(), None);
}

#[test]
fn a_scale_mixture_has_the_deviation_of_both() {
    let (pi, sigma1, sigma2) = (0.25, 2.0, 0.1);
    let net = at(layer(PriorConfig::scale_mixture(pi, sigma1, sigma2)), 1.0);
    let std = (pi * sigma1 * sigma1 + (1.0 - pi) * sigma2 * sigma2).sqrt();
    let shift = net.weight_movements(None)[0].from_prior.clone().unwrap()[0];
    assert!((f64::from(shift) - 1.0 / std).abs() < 1e-5, "{shift}");
}

#[test]
fn less_than_a_hundredth_of_a_deviation_is_no_movement() {
    let start = at(layer(PriorConfig::normal(1.0)), 0.0);
    for (mean, stayed) in [(0.0, true), (0.0009, true), (0.0011, false)] {
        let moved = at(start.clone(), mean).weight_movements(Some(&start.weight_marginals()));
        assert_eq!(moved[0].has_stayed(), Some(stayed), "{mean}");
    }
    // Nor is a path that the start did not have.
    let mut other = start.weight_marginals();
    other[0].path = "elsewhere".into();
    assert_eq!(start.weight_movements(Some(&other))[0].from_start, None);
}

#[test]
#[should_panic(expected = "the start of weight has 1 weights, it has 6")]
fn a_start_of_another_size_is_refused() {
    let net = layer(PriorConfig::normal(1.0));
    let mut start = net.weight_marginals();
    start[0].means.truncate(1);
    net.weight_movements(Some(&start));
}

#[test]
fn an_empirical_prior_about_a_centre_has_the_deviation_of_the_differences() {
    let trained = LinearConfig::new(2, 3)
        .with_bias(false)
        .init(&Device::flex());
    let trained = at(trained.bayesianize(&BayesianizeConfig::new()), 2.0);
    let config = MopedConfig::new().with_prior(Some(PriorConfig::empirical_normal(None)));
    // Around 2, with a deviation of 0.2.
    let moved = at(trained.moped(&config), 2.1).weight_movements(None);
    let expected = 0.1 / (0.2f32 * 0.2 + 0.1 * 0.1).sqrt();
    for shift in moved[0].from_prior.as_ref().unwrap() {
        assert!((shift - expected).abs() < 1e-3, "{shift} for {expected}");
    }
}

#[test]
fn an_estimated_kl_is_the_same_each_time() {
    let net = layer(PriorConfig::horseshoe(0.1));
    let kl = || net.weight_movements(None)[0].kl;
    assert_eq!(kl(), kl());
}
