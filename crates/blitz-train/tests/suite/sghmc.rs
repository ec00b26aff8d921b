//! SGHMC's iterates are draws from the posterior where that is known, and SGD with momentum without a temperature.

use blitz_train::{SghmcConfig, SghmcState};
use burn::module::Param;
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{
    GradientsParams, ModuleOptimizer, Optimizer, RecordState, SgdConfig, StateSink, StateSource,
};
use burn::tensor::{DType, Device, Tensor};

use crate::sgld::{CURVATURE, N, PRIOR, accumulated, assert_moments, start, step};
use crate::values;

fn config(friction: f64) -> SghmcConfig {
    SghmcConfig::new(N)
        .with_friction(friction)
        .with_prior_std(PRIOR)
        .with_seed(11)
}

/// For a quadratic the chain is linear, and the variance at which it stays solves Lyapunov's equation. 4000 independent
/// chains at one step; four standard errors. At friction 0.1 the excess is 1.7 %, at 1, where it is SGLD, 3.4 %, and
/// the error of a variance 2.2 %.
#[test]
fn the_iterates_of_a_conjugate_model_have_the_posteriors_moments() {
    for (friction, steps) in [(0.1, 400), (0.5, 200), (1.0, 150)] {
        let mut optimizer = config(friction).init();
        let chains = 4000;
        let mut weight = start(chains, 0.0);
        for _ in 0..steps {
            weight = step(&mut optimizer, weight);
        }
        let what = format!("friction {friction}");
        assert_moments(&values(weight.val()), 0.5 / (2.0 - friction), &what);
    }
}

/// The variance at which a chain stays, at a rate where the excess is many standard errors: SGLD at the same speed, a
/// rate of 7.5, has none: it diverges.
#[test]
fn the_excess_at_a_large_rate_is_the_one_that_is_promised() {
    let (friction, rate) = (0.2, 1.5);
    let mut optimizer = config(friction).init();
    let chains = 4000;
    let mut weight = start(chains, 0.0);
    for _ in 0..200 {
        let loss = (weight.val() - 1.0).square().sum() * (CURVATURE / 2.0);
        let grads = GradientsParams::from_grads(loss.backward(), &weight);
        weight = optimizer.step(rate, weight, grads);
    }
    let precision = N as f64 * CURVATURE + PRIOR.powi(-2);
    let curvature = precision / N as f64;
    let excess = 1.0 / (1.0 - rate * curvature / (2.0 * (2.0 - friction)));
    assert!(excess > 1.4, "{excess}");
    let mean = N as f64 * CURVATURE / precision;
    let draws = values(weight.val());
    let got = draws.iter().map(|w| (w - mean).powi(2)).sum::<f64>() / chains as f64;
    let expected = excess / precision;
    assert!(
        (got - expected).abs() < 4.0 * expected * (2.0 / chains as f64).sqrt(),
        "{got} {expected}"
    );
}

#[test]
fn without_a_temperature_it_is_sgd_with_momentum() {
    let decay = 1.0 / (N as f64 * PRIOR * PRIOR);
    let momentum = MomentumConfig::new().with_momentum(0.7).with_dampening(0.0);
    let sgd = SgdConfig::new()
        .with_weight_decay(Some(WeightDecayConfig::new(decay as f32)))
        .with_momentum(Some(momentum));
    let train = |mut optimizer: ModuleOptimizer| {
        let mut weight = start(3, -2.0);
        for _ in 0..20 {
            weight = step(&mut optimizer, weight);
        }
        values(weight.val())
    };
    let cold = train(config(0.3).with_temperature(0.0).init());
    for (cold, sgd) in cold.iter().zip(train(sgd.init())) {
        assert!((cold - sgd).abs() < 2e-6, "{cold} {sgd}");
    }
}

#[test]
fn summed_gradients_of_several_batches_sample_the_same_posterior_by_the_documented_settings() {
    let [mut one, mut four] = [N, N / 4].map(|dataset_size| {
        let config = SghmcConfig::new(dataset_size).with_friction(0.3);
        config.with_prior_std(PRIOR).with_seed(11).init()
    });
    let (mut mean, mut summed) = (start(50, 0.0), start(50, 0.0));
    for _ in 0..20 {
        mean = step(&mut one, mean);
        summed = accumulated(&mut four, summed);
    }
    for (mean, summed) in values(mean.val()).iter().zip(values(summed.val())) {
        assert!((mean - summed).abs() < 1e-5, "{mean} {summed}");
    }
}

#[test]
fn a_resumed_chain_goes_on_with_its_velocity_and_its_noise() {
    let mut optimizer = config(0.1).init();
    let mut weight = start(5, 0.0);
    for _ in 0..3 {
        weight = step(&mut optimizer, weight);
    }
    let bytes = optimizer.clone().into_bytes().unwrap();
    let mut resumed = config(0.1).init().from_bytes(bytes).unwrap();
    let mut again = weight.clone();
    for _ in 0..3 {
        weight = step(&mut optimizer, weight);
        again = step(&mut resumed, again);
    }
    assert_eq!(values(weight.val()), values(again.val()));
}

/// A force of a sixth of the least number of `f16`, beside noise of five of them, to which the sum is rounded.
#[test]
fn a_force_below_the_last_digit_of_16_bits_is_no_less_than_it_is() {
    let device = Device::flex().autodiff();
    let (n, rate, force) = (100_000, 1e-3, 1e-8);
    let start = Tensor::<1>::zeros([n], &device).cast(DType::F16);
    let weight = Param::from_tensor(start);
    let size = (2.0 * rate / (5.0 * 2f64.powi(-24)).powi(2)).round() as usize;
    // No prior to speak of, so that the force is rate times gradient.
    let config = SghmcConfig::new(size).with_friction(1.0);
    let mut optimizer = config.with_prior_std(1e6).with_seed(11).init();
    let loss = weight.val().sum() * (force / rate);
    let grads = GradientsParams::from_grads(loss.backward(), &weight);
    let moved = optimizer.step(rate, weight, grads);
    assert_eq!(moved.val().dtype(), DType::F16);
    let off = crate::standard_errors_off(&values(moved.val()), -force);
    // The gradient is rounded too, by a hundredth of a standard error.
    assert!(off.abs() < 4.0, "{off}");
}

/// As a chain in 16 bits was saved before its velocity was in `f32`.
#[test]
fn a_record_of_a_velocity_in_16_bits_loads_and_goes_on_in_f32() {
    let device = Device::flex();
    let half = |values: [f32; 3]| Tensor::<1>::from_floats(values, &device).cast(DType::F16);
    let saved = SghmcState {
        velocity: half([0.25, -1.5, 3e-4]),
        stream: 2,
        steps: 7,
    };
    let mut sink = StateSink::default();
    saved.state_flatten("weight", &mut sink);
    let mut source = StateSource::new(sink.scalars.into_iter().collect());
    for (name, data) in sink.tensors {
        source.insert_tensor(name, data);
    }
    let loaded = SghmcState::state_unflatten("weight", &mut source, &device).unwrap();
    let cold = config(0.5).with_temperature(0.0).build();
    let (zeros, grad) = (half([0.0; 3]), half([0.0; 3]));
    let (moved, state) = cold.step(0.1, zeros, grad, Some(loaded));
    let state = state.unwrap();
    assert_eq!(
        (moved.dtype(), state.velocity.dtype()),
        (DType::F16, DType::F32)
    );
    assert_eq!((state.stream, state.steps), (2, 8));
    let halved = values(half([0.125, -0.75, 1.5e-4]));
    assert_eq!(values(moved), halved);
    assert_eq!(values(state.velocity), halved);
}

#[test]
fn it_steps_in_every_type() {
    for dtype in [DType::F64, DType::F16, DType::BF16] {
        let device = Device::flex().autodiff();
        let start = Tensor::<1>::zeros([64], (&device, dtype)).require_grad();
        let mut weight = Param::from_tensor(start);
        let mut optimizer = config(0.5).init();
        for _ in 0..20 {
            weight = step(&mut optimizer, weight);
        }
        assert_eq!(weight.val().dtype(), dtype);
        let values = values(weight.val());
        assert!(values.iter().all(|w| w.is_finite() && *w != 0.0));
    }
}

#[test]
#[should_panic(expected = "SGHMC's friction must be above 0 and at most 1, got 1.5")]
fn a_friction_above_one_is_refused() {
    config(1.5).build();
}
