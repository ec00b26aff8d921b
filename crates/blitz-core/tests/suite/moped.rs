//! MOPED: deviations and priors made from trained weights.

use blitz_core::deviation::std_from_rho;
use blitz_core::prelude::*;
use blitz_core::{BayesianizeError, BuiltinVariational, KlEstimator, MopedVariational, Prior};
use burn::module::{Module, Param};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::{DType, Device, Tensor};

use crate::net::{Net, devices, linear, scalar, values};

const WEIGHTS: [f32; 4] = [0.5, -2.0, 0.0, 1e-4];

/// A layer of known weights and no bias.
fn layer(device: &Device) -> Linear {
    let mut layer = LinearConfig::new(4, 1).with_bias(false).init(device);
    let weight = Tensor::<1>::from_floats(WEIGHTS, device).reshape([4, 1]);
    layer.weight = Param::from_tensor(weight);
    layer
}

fn attached(layer: &Linear) -> MopedVariational {
    layer
        .weight
        .reparameterization::<MopedVariational>()
        .unwrap()
        .clone()
}

fn std(layer: &Linear) -> Vec<f32> {
    values(std_from_rho(attached(layer).posterior.rho.val()))
}

fn center(layer: &Linear) -> Vec<f32> {
    values(attached(layer).prior.center.val())
}

#[test]
fn a_deviation_is_a_share_of_its_weight_with_a_floor_and_the_prior_lies_at_the_weight() {
    let config = MopedConfig::new().with_delta(0.2).with_min_std(0.01);
    for device in devices().into_iter().chain([Device::flex().autodiff()]) {
        let net = layer(&device).moped(&config);
        for (std, expected) in std(&net).iter().zip([0.1, 0.4, 0.01, 0.01]) {
            assert!((std - expected).abs() < 1e-6, "{std} for {expected}");
        }
        assert_eq!(center(&net), WEIGHTS);
        assert_eq!(values(net.weight.base()), WEIGHTS);
        assert_eq!(values(net.mean_network().weight.val()), WEIGHTS);
    }
}

#[test]
fn the_kl_at_the_start_is_that_of_the_deviations_alone_and_pulls_no_mean() {
    let device = Device::flex().autodiff();
    let config = MopedConfig::new().with_prior(Some(PriorConfig::normal(0.5)));
    let net = layer(&device).moped(&config);
    let terms = net.kl_terms();
    assert_eq!(terms[0].estimator, KlEstimator::ClosedForm);
    let kl_of = |std: f32| {
        let ratio = f64::from(std) / 0.5;
        ratio.powi(2) / 2.0 - 0.5 - ratio.ln()
    };
    let expected: f64 = std(&net).into_iter().map(kl_of).sum();
    let kl = net.kl_cost();
    assert!((scalar(kl.clone()) - expected).abs() < 1e-4, "{expected}");

    let grads = kl.backward();
    assert_eq!(values(net.weight.base().grad(&grads).unwrap()), [0.0; 4]);
    let rho = attached(&net).posterior.rho.val().grad(&grads).unwrap();
    assert!(values(rho).iter().all(|gradient| *gradient < 0.0));
}

/// What is paid for each weight of a layer with normal weights of deviation 0.05, before any training.
fn nats_a_weight(config: &MopedConfig) -> f64 {
    let trained = linear(100, 100, false, 0.05, &Device::flex());
    let net = trained.moped(config);
    assert_eq!(net.kl_terms()[0].estimator, KlEstimator::ClosedForm);
    scalar(net.kl_cost()) / 1e4
}

#[test]
fn the_default_prior_costs_about_half_a_nat_a_weight_and_the_papers_ten_times_as_much() {
    // Of σ = δ |w| with normal w it is E ln(√E σ² / σ) = (γ + ln 2) / 2 = 0.635, whatever δ; the least deviation cuts
    // off what is nearly zero.
    for delta in [0.1, 0.2, 0.5] {
        let nats = nats_a_weight(&MopedConfig::new().with_delta(delta).with_min_std(1e-9));
        assert!((nats - 0.635).abs() < 0.03, "{nats} at {delta}");
    }
    let papers = MopedConfig::new().with_prior(Some(PriorConfig::normal(1.0)));
    let (default, papers) = (nats_a_weight(&MopedConfig::new()), nats_a_weight(&papers));
    assert!(
        default < 0.6 && papers > 10.0 * default,
        "{default}, {papers}"
    );
}

/// The prior does not follow the posterior: a scale that does lets both shrink to nothing.
#[test]
fn trained_deviations_are_those_of_the_prior_and_the_data() {
    let device = Device::flex().autodiff();
    let net = linear(4, 5, false, 0.3, &device).moped(&MopedConfig::new());
    let start = std(&net);
    let mean = start.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / 20.0;
    // An NLL of this curvature has the expectation c σ²/2 in each weight.
    let curvature = 800.0;
    let expected = (curvature + 1.0 / mean).sqrt().recip();
    let mut net = net;
    let mut adam = burn::optim::AdamConfig::new().init();
    for _ in 0..1500 {
        let variance = std_from_rho(attached(&net).posterior.rho.val()).square();
        let loss = net.kl_cost() + variance.sum().mul_scalar(curvature / 2.0);
        let grads = GradientsParams::from_grads(loss.backward(), &net);
        net = adam.step(0.02, net, grads);
    }
    for std in std(&net) {
        let ratio = f64::from(std) / expected;
        assert!((ratio - 1.0).abs() < 0.01, "{std} for {expected}");
    }
}

#[test]
fn the_default_prior_pulls_no_mean_at_the_start() {
    let net = layer(&Device::flex().autodiff()).moped(&MopedConfig::new());
    let grads = net.kl_cost().backward();
    assert_eq!(values(net.weight.base().grad(&grads).unwrap()), [0.0; 4]);
}

#[test]
fn a_prior_without_a_closed_form_is_centred_too() {
    let config = MopedConfig::new().with_prior(Some(PriorConfig::scale_mixture(0.5, 1.0, 0.1)));
    let net = layer(&Device::flex()).moped(&config);
    let terms = net.with_draw(1, 0, |net| net.kl_terms());
    assert_eq!(terms[0].estimator, KlEstimator::MonteCarlo);
    let prior = attached(&net).prior;
    let shifted = Tensor::<1>::from_floats([0.5 + 0.1, -2.0 - 0.3, 0.2, 1e-4], &Device::flex());
    let difference = Tensor::<1>::from_floats([0.1, -0.3, 0.2, 0.0], &Device::flex());
    let expected = scalar(prior.prior.log_density(difference));
    assert!((scalar(prior.log_density(shifted)) - expected).abs() < 1e-5);
}

#[test]
fn the_centre_does_not_train_even_after_unfreezing() {
    let device = Device::flex().autodiff();
    // Burn's `unfreeze` makes every parameter require a gradient, the centre included.
    for net in [
        layer(&device).moped(&MopedConfig::new()),
        layer(&device)
            .moped(&MopedConfig::new())
            .freeze()
            .unfreeze(),
    ] {
        let mut net = net;
        let before = (values(net.weight.base()), std(&net));
        let mut optimizer = SgdConfig::new().init();
        for step in 0..3 {
            let _draw = net.draw(1, step);
            let loss = net.forward(Tensor::<2>::ones([1, 4], &device)).sum() + net.kl_cost();
            let grads = GradientsParams::from_grads(loss.backward(), &net);
            drop(_draw);
            net = optimizer.step(0.1, net, grads);
        }
        assert_eq!(center(&net), WEIGHTS);
        assert_ne!(values(net.weight.base()), before.0);
        assert_ne!(std(&net), before.1);
    }
    let net = layer(&device).moped(&MopedConfig::new());
    // A mean and a deviation for each weight; the centre is not trained.
    assert_eq!(net.num_posterior_params(), 2 * 4);
}

#[test]
fn the_centre_survives_records_valid_train_fork_and_devices() {
    let device = Device::flex().autodiff();
    let net = layer(&device).moped(&MopedConfig::new());
    assert_eq!(center(&net.valid()), WEIGHTS);
    assert_eq!(center(&net.valid().train()), WEIGHTS);
    assert_eq!(center(&net.clone().fork(&device)), WEIGHTS);
    let [_, ndarray] = devices();
    let moved = net.valid().to_device(&ndarray);
    assert_eq!(center(&moved), WEIGHTS);
    let kl = scalar(net.valid().kl_cost());
    assert!((scalar(moved.kl_cost()) - kl).abs() < 1e-5 * kl);

    // A new network has other weights, and so another centre, until it is loaded.
    let new = LinearConfig::new(4, 1)
        .with_bias(false)
        .init(&device)
        .moped(&MopedConfig::new());
    assert_ne!(center(&new), WEIGHTS);
    let bytes = net.clone().into_record().into_bytes().unwrap();
    let loaded = new.load_record(burn::store::ModuleRecord::from_bytes(bytes).unwrap());
    assert_eq!(center(&loaded), WEIGHTS);
    let draw = |net: &Linear| net.with_draw(2, 0, |net| values(net.weight.val()));
    assert_eq!(draw(&loaded), draw(&net));
    assert_eq!(values(loaded.kl_cost()), values(net.kl_cost()));
}

#[test]
fn posteriors_of_a_bayesian_module_are_replaced_around_its_means() {
    let device = Device::flex();
    let net = layer(&device)
        .bayesianize(&BayesianizeConfig::new())
        .freeze_sampling();
    let net = net.moped(&MopedConfig::new());
    assert!(
        net.weight
            .reparameterization::<BuiltinVariational>()
            .is_none()
    );
    assert_eq!(center(&net), WEIGHTS);
    assert_eq!(net.num_bayesian_weights(), 4);
    // The new posterior is sampled.
    assert_ne!(net.with_draw(1, 0, |net| values(net.weight.val())), WEIGHTS);
    // Again, with another width.
    let again = net.clone().moped(&MopedConfig::new().with_delta(0.5));
    assert!((std(&again)[1] - 1.0).abs() < 1e-6);
    assert_eq!(again.num_params(), net.num_params());
}

#[test]
fn a_part_is_converted_and_other_posteriors_stay() {
    let net = Net::bayesian(&Device::flex());
    let before = net.with_draw(1, 0, |net| values(net.hidden.weight.val()));
    let net = net.moped(&MopedConfig::new().only("output"));
    assert!(
        net.output
            .weight
            .reparameterization::<MopedVariational>()
            .is_some()
    );
    assert!(
        net.hidden
            .weight
            .reparameterization::<BuiltinVariational>()
            .is_some()
    );
    assert_eq!(net.num_bayesian_weights(), 40);
    // The same posterior, with its place in the draw.
    assert_eq!(
        net.with_draw(1, 0, |net| values(net.hidden.weight.val())),
        before
    );
    // And on a deterministic module the rest stays deterministic.
    let net =
        Net::plain(&Device::flex()).moped(&MopedConfig::new().only(WeightFilter::last_layer()));
    assert_eq!(net.num_bayesian_weights(), 10);
}

#[test]
fn deviations_of_16_bit_weights_are_small_where_they_should_be_and_move_in_small_steps() {
    let device = Device::flex().autodiff();
    for dtype in [DType::F16, DType::BF16] {
        let mut net = layer(&device);
        net.weight = net.weight.map(|weight| weight.cast(dtype).detach());
        net.weight = net.weight.set_require_grad(true);
        let net = net.moped(&MopedConfig::new().with_min_std(1e-8));
        let start = std(&net);
        for (std, expected) in start.iter().zip([0.05f32, 0.2, 1e-8, 1e-5]) {
            // The weight itself is rounded.
            assert!((std / expected - 1.0).abs() < 4e-3, "{std} for {expected}");
        }
        // The prior is as wide as their root mean square, above all but one: those grow.
        let grads = GradientsParams::from_grads(net.kl_cost().backward(), &net);
        let net = burn::optim::AdamConfig::new().init().step(1e-4, net, grads);
        assert_eq!(net.weight.base().dtype(), dtype);
        for (std, start) in std(&net).iter().zip(&start) {
            let step = (std / start).ln().abs();
            assert!((1e-5..2e-4).contains(&step), "{dtype:?}: {start} to {std}");
        }
    }
}

#[test]
fn weights_without_a_usable_deviation_are_refused_by_their_paths() {
    for bad in [f32::NAN, f32::INFINITY, -2e16] {
        let mut net = Net::plain(&Device::flex());
        let bias = Tensor::<1>::from_floats([0.1, bad, 0.0, 0.0, 0.2], &Device::flex());
        net.hidden.bias = Some(Param::from_tensor(bias));
        let error = net.clone().try_moped(&MopedConfig::new()).unwrap_err();
        let weights = vec!["hidden.bias".to_string()];
        assert_eq!(error, BayesianizeError::NotFinite { weights });
        assert!(error.to_string().contains("hidden.bias"), "{error}");
        assert!(net.try_moped(&MopedConfig::new().only("output")).is_ok());
    }
}

#[test]
#[should_panic(expected = "min_std must be a number from 1e-15 to 1e15, got 1e-16")]
fn a_least_deviation_that_no_prior_has_is_refused() {
    let _ = layer(&Device::flex()).moped(&MopedConfig::new().with_min_std(1e-16));
}

#[test]
fn zeros_have_the_least_deviation_and_a_prior_as_wide() {
    let mut net = layer(&Device::flex());
    net.weight = net.weight.map(|weight| weight.zeros_like());
    let net = net.moped(&MopedConfig::new().with_min_std(1e-15));
    let kl = scalar(net.kl_cost());
    assert!(kl.abs() < 1e-4, "{kl}");
}

#[test]
fn a_filter_that_matches_nothing_is_refused() {
    let config = MopedConfig::new().only("outputs");
    let error = Net::plain(&Device::flex()).try_moped(&config).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("Path(\"outputs\") matches no weight"),
        "{error}"
    );
}

#[test]
#[should_panic(expected = "delta must be a positive, finite number, got 0")]
fn a_delta_of_zero_is_refused() {
    let _ = layer(&Device::flex()).moped(&MopedConfig::new().with_delta(0.0));
}
