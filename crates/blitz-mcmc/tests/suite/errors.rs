//! Runs that can't give draws that are worth anything say why, and what to do.

use blitz_mcmc::{LogDensity, MANY_WEIGHTS, McmcError, NutsConfig};
use blitz_train::prelude::*;
use burn::nn::{Initializer, Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use crate::networks::{Line, gaussian, line_density, line_density_of, points, table};

fn error_of(config: &NutsConfig) -> McmcError {
    config.init().run(&line_density()).map(|_| ()).unwrap_err()
}

#[test]
fn settings_out_of_range_are_refused_by_name() {
    let config = NutsConfig::new;
    let cases = [
        (config().with_chains(0), "chains must be at least 1, got 0"),
        (
            config().with_target_acceptance(1.0),
            "target_acceptance must be inside (0, 1), got 1",
        ),
        (
            config().with_target_acceptance(f64::NAN),
            "target_acceptance must be inside (0, 1), got NaN",
        ),
        (
            config().with_max_depth(0),
            "max_depth must be between 1 and 20, got 0",
        ),
        (
            config().with_jitter(-1.0),
            "jitter must be finite and not negative, got -1",
        ),
        (
            config().with_max_depth(21),
            "max_depth must be between 1 and 20, got 21",
        ),
        (
            config().with_jitter(f64::NAN),
            "jitter must be finite and not negative, got NaN",
        ),
        (
            config().with_warm_up(9),
            "warm_up must be at least 10: in it the step size and the mass matrix are adapted, got 9",
        ),
        (
            config().with_threads(Some(0)),
            "threads must be at least 1, got 0",
        ),
        (
            config().with_draws(3),
            "3 draws a chain are fewer than the 4 that R-hat needs: raise `draws`",
        ),
        (
            config().with_draws(usize::MAX),
            "draws must be so few that the numbers of all chains can be counted, got 18446744073709551615",
        ),
        (
            config().with_draws(usize::MAX / 4),
            "draws must be so few that the numbers of all chains can be counted, got 4611686018427387903",
        ),
    ];
    for (config, expected) in cases {
        assert_eq!(error_of(&config).to_string(), expected);
    }
}

#[test]
fn fewer_draws_than_r_hat_needs_are_an_error_with_both_numbers() {
    for draws in [0, 3] {
        let error = error_of(&NutsConfig::new().with_draws(draws));
        assert_eq!(error, McmcError::TooFewDraws { draws, needed: 4 });
    }
}

#[test]
fn a_density_that_is_not_finite_at_the_start_is_refused_with_the_chain() {
    let mut data = points(10, 1.0);
    data.targets = data.targets.mul_scalar(f64::INFINITY);
    // Neither is it at the network's own weights, where it is looked at first.
    let density = line_density_of(data);
    let error = NutsConfig::new()
        .init()
        .run(&density)
        .map(|_| ())
        .unwrap_err();
    assert!(
        matches!(error, McmcError::Start { chain: 0, .. }),
        "{error}"
    );
    assert!(error.to_string().contains("Check the data"), "{error}");
}

#[test]
fn chains_of_which_every_draw_diverged_are_refused() {
    // Finite at the network's own weight and nowhere else; so near to zero that no step is lost in rounding.
    let layer = LinearConfig::new(1, 1)
        .with_bias(false)
        .with_initializer(Initializer::Constant { value: 2e-38 })
        .init(&Device::flex());
    let own = layer.weight.val().into_data().iter::<f64>().next().unwrap();
    let nll = move |layer: &Linear| {
        let weight = layer.weight.val();
        let is_own = weight.clone().into_scalar::<f64>() == own;
        let scale = if is_own { 0.0 } else { f64::NAN };
        weight.mul_scalar(scale).reshape([1])
    };
    let density = LogDensity::of_nll(&layer, |_| PriorConfig::normal(1.0), nll).unwrap();
    let config = NutsConfig::new()
        .with_chains(1)
        .with_warm_up(20)
        .with_draws(10)
        .with_jitter(0.0);
    let error = config.init().run(&density).map(|_| ()).unwrap_err();
    assert_eq!(error, McmcError::AllDivergent);
}

#[test]
fn many_weights_need_a_flag() {
    let inputs = MANY_WEIGHTS;
    let data = LabeledBatch {
        inputs: table(&vec![0.01; 2 * inputs], inputs),
        targets: table(&[1.0, 1.0], 1),
    };
    let line = Line::new(inputs);
    let density = LogDensity::new(
        &line,
        &gaussian(1.0),
        |_| PriorConfig::normal(1.0),
        vec![data],
    )
    .unwrap();
    let config = NutsConfig::new()
        .with_chains(1)
        .with_warm_up(10)
        .with_draws(4)
        .with_max_depth(2);
    let error = config.init().run(&density).map(|_| ()).unwrap_err();
    assert!(
        error.to_string().contains("10001 weights, more than 10000"),
        "{error}"
    );
    config
        .with_allow_many_weights(true)
        .init()
        .run(&density)
        .unwrap();
}

#[test]
fn a_panic_of_the_network_is_the_caller_s() {
    let layer = LinearConfig::new(1, 1).init(&Device::flex());
    let calls = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let nll = move |layer: &Linear| -> Tensor<1> {
        let calls = calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        assert!(calls < 100, "the network gives up");
        layer.weight.val().square().reshape([1])
    };
    let density = LogDensity::of_nll(&layer, |_| PriorConfig::normal(1.0), nll).unwrap();
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        NutsConfig::new().init().run(&density).map(|_| ())
    }));
    let panic = panic.unwrap_err();
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"the network gives up"));
}
