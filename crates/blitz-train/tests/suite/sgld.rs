//! SGLD's iterates are draws from the posterior where that is known, and SGD without a temperature.

use blitz_train::{ChainConfig, SgldConfig};
use burn::module::{Module, Param, ParamGroup};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::{GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::{DType, Device, Tensor};

use crate::values;

type Weight = Param<Tensor<1>>;

/// Independent weights with unit noise: the mean loss is `c (w − 1)² / 2`, so under N(0, s²) the posterior's precision
/// is `N c + 1/s²` and its mean `N c / precision`.
pub const N: usize = 20;
pub const CURVATURE: f64 = 0.6;
pub const PRIOR: f64 = 0.5;
const RATE: f64 = 0.1;

pub fn start(len: usize, seed: f64) -> Weight {
    Param::from_tensor(Tensor::full([len], seed, &Device::flex().autodiff()))
}

pub fn step(optimizer: &mut ModuleOptimizer, weight: Weight) -> Weight {
    let loss = (weight.val() - 1.0).square().sum() * (CURVATURE / 2.0);
    let grads = GradientsParams::from_grads(loss.backward(), &weight);
    optimizer.step(RATE, weight, grads)
}

/// Holds independent draws to the posterior's mean, and to its variance times `1 / (1 − share · η c)`, within four
/// standard errors.
pub fn assert_moments(draws: &[f64], share: f64, what: &str) {
    let n = draws.len() as f64;
    let precision = N as f64 * CURVATURE + PRIOR.powi(-2);
    let curvature = precision / N as f64;
    let mean = N as f64 * CURVATURE / precision;
    let variance = 1.0 / precision / (1.0 - share * RATE * curvature);
    let got_mean = draws.iter().sum::<f64>() / n;
    let got_variance = draws.iter().map(|w| (w - mean).powi(2)).sum::<f64>() / n;
    assert!(
        (got_mean - mean).abs() < 4.0 * (variance / n).sqrt(),
        "{what}: {got_mean} {mean}"
    );
    let error = variance * (2.0 / n).sqrt();
    assert!(
        (got_variance - variance).abs() < 4.0 * error,
        "{what}: {got_variance} {variance}"
    );
}

/// A drift of a third of an ulp, which a rounding before the noise would lose.
#[test]
fn a_drift_below_the_last_digit_of_16_bits_is_no_less_than_it_is() {
    for (dtype, ulp) in [(DType::F16, 2f64.powi(-13)), (DType::BF16, 2f64.powi(-10))] {
        let device = Device::flex().autodiff();
        let n = 100_000;
        let weight = Param::from_tensor(Tensor::<1>::full([n], 0.1875, &device).cast(dtype));
        // No prior to speak of, so that the drift is rate times gradient; noise of two ulps.
        let size = (2.0 * RATE / (2.0 * ulp).powi(2)).round() as usize;
        let mut optimizer = SgldConfig::new(size).with_prior_std(1e6).init();
        let loss = weight.val().sum() * (ulp / 3.0 / RATE);
        let grads = GradientsParams::from_grads(loss.backward(), &weight);
        let moved = optimizer.step(RATE, weight, grads);
        assert_eq!(moved.val().dtype(), dtype);
        let moves: Vec<f64> = values(moved.val())
            .iter()
            .map(|w| (w - 0.1875) / ulp)
            .collect();
        let off = crate::standard_errors_off(&moves, -1.0 / 3.0);
        // The gradient is rounded too, by an eighth of a standard error at most.
        assert!(off.abs() < 4.0, "{dtype:?}: {off}");
    }
}

fn config() -> SgldConfig {
    SgldConfig::new(N).with_prior_std(PRIOR).with_seed(11)
}

/// For a quadratic the chain is an AR(1) process: its variance is the posterior's times `1 / (1 − η c / 2)`. 4000
/// independent chains at one step have no autocorrelation; four standard errors.
#[test]
fn the_iterates_of_a_conjugate_model_have_the_posteriors_moments() {
    let mut optimizer = config().init();
    let chains = 4000;
    let mut weight = start(chains, 0.0);
    for _ in 0..150 {
        weight = step(&mut optimizer, weight);
    }
    assert_moments(&values(weight.val()), 0.5, "SGLD");
}

/// The same along one chain, whose autocorrelation at lag k is `ρᵏ`: the error of the mean is `√(τ/n)` deviations with
/// `τ = (1 + ρ)/(1 − ρ)`, that of the variance has ρ² for ρ.
#[test]
fn so_has_a_thinned_chain() {
    let mut optimizer = config().init();
    let mut weight = start(1, 0.0);
    let mut chain = ChainConfig::new(100, 10).with_capacity(600).init();
    for _ in 0..5100 {
        weight = step(&mut optimizer, weight);
        chain.push(&weight);
    }
    let draws: Vec<f64> = chain
        .networks()
        .iter()
        .map(|w| values(w.val())[0])
        .collect();
    assert_eq!(draws.len(), 500);
    let precision = N as f64 * CURVATURE + PRIOR.powi(-2);
    let curvature = precision / N as f64;
    let mean = N as f64 * CURVATURE / precision;
    let variance = 1.0 / precision / (1.0 - RATE * curvature / 2.0);
    let time = |rho: f64| (1.0 + rho) / (1.0 - rho);
    let rho = (1.0 - RATE * curvature).powi(10);
    let n = draws.len() as f64;
    let got_mean = draws.iter().sum::<f64>() / n;
    let got_variance = draws.iter().map(|w| (w - mean).powi(2)).sum::<f64>() / n;
    assert!((got_mean - mean).abs() < 4.0 * (variance * time(rho) / n).sqrt());
    let error = variance * (2.0 * time(rho * rho) / n).sqrt();
    assert!((got_variance - variance).abs() < 4.0 * error);
}

#[test]
fn without_a_temperature_it_is_sgd() {
    let decay = 1.0 / (N as f64 * PRIOR * PRIOR);
    let sgd = SgdConfig::new().with_weight_decay(Some(WeightDecayConfig::new(decay as f32)));
    let train = |mut optimizer: ModuleOptimizer| {
        values(
            (0..20)
                .fold(start(3, -2.0), |w, _| step(&mut optimizer, w))
                .val(),
        )
    };
    let cold = train(config().with_temperature(0.0).init());
    for (cold, sgd) in cold.iter().zip(train(sgd.init())) {
        assert!((cold - sgd).abs() < 1e-6, "{cold} {sgd}");
    }
    let nearly = train(config().with_temperature(1e-14).init());
    for (nearly, cold) in nearly.iter().zip(cold) {
        assert!((nearly - cold).abs() < 1e-6);
    }
}

/// Steps of 4 summed gradients of a mean loss, where N is `4 · N / 4`.
pub fn accumulated(optimizer: &mut ModuleOptimizer, weight: Weight) -> Weight {
    let loss = (weight.val() - 1.0).square().sum() * (4.0 * CURVATURE / 2.0);
    let grads = GradientsParams::from_grads(loss.backward(), &weight);
    optimizer.step(RATE / 4.0, weight, grads)
}

#[test]
fn summed_gradients_of_several_batches_sample_the_same_posterior_by_the_documented_settings() {
    let [mut one, mut four] = [N, N / 4].map(|dataset_size| {
        let config = SgldConfig::new(dataset_size).with_prior_std(PRIOR);
        config.with_seed(11).init()
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
fn parameters_have_noise_of_their_own_and_a_resumed_chain_goes_on() {
    let layer = burn::nn::LinearConfig::new(4, 4).init(&Device::flex().autodiff());
    let move_by_noise = |optimizer: &mut ModuleOptimizer, layer: &burn::nn::Linear| {
        let bias = layer.bias.as_ref().unwrap();
        let loss = (layer.weight.val().sum() + bias.val().sum()) * 0.0;
        let grads = GradientsParams::from_grads(loss.backward(), layer);
        optimizer.step(RATE, layer.clone(), grads)
    };
    let config = config().with_prior_std(1e6);
    let mut optimizer = config.init();
    let moved = move_by_noise(&mut optimizer, &layer);
    let weight = values(moved.weight.val() - layer.weight.val());
    let bias = |layer: &burn::nn::Linear| layer.bias.as_ref().unwrap().val();
    let bias_moved = values(bias(&moved) - bias(&layer));
    assert!(
        weight
            .iter()
            .zip(&bias_moved)
            .all(|(w, b)| (w - b).abs() > 1e-4)
    );
    // A second optimizer is another process: same numbers.
    let again = move_by_noise(&mut config.init(), &layer);
    assert_eq!(values(again.weight.val()), values(moved.weight.val()));

    let mut resumed = config
        .init()
        .from_bytes(optimizer.into_bytes().unwrap())
        .unwrap();
    let (on, over) = (
        move_by_noise(&mut optimizer, &moved),
        move_by_noise(&mut resumed, &moved),
    );
    assert_eq!(values(on.weight.val()), values(over.weight.val()));
    assert_eq!(values(bias(&on)), values(bias(&over)));
    let second = values(on.weight.val() - moved.weight.val());
    assert!(
        second
            .iter()
            .zip(&weight)
            .all(|(second, first)| (second - first).abs() > 1e-5)
    );
}

#[derive(Module, Debug)]
struct Two {
    first: Weight,
    second: Weight,
}

/// A parameter that was frozen until a record was loaded meets the optimizer before the one that trained. In a group of
/// its own its noise is nobody's; without, it is that of the other, three steps before.
#[test]
fn a_thawed_parameter_in_a_group_of_its_own_has_noise_of_its_own() {
    let leaf = || start(6, 0.0);
    let mut net = Two {
        first: leaf(),
        second: leaf(),
    };
    // Noise alone moves them.
    let config = config().with_prior_std(1e6);
    let step = |optimizer: &mut ModuleOptimizer, net: &Two, thawed: bool| {
        let mut loss = net.second.val().sum() * 0.0;
        if thawed {
            loss = loss + net.first.val().sum() * 0.0;
        }
        let grads = GradientsParams::from_grads(loss.backward(), net);
        optimizer.step(RATE, net.clone(), grads)
    };
    let moved = |to: &Weight, from: &Weight| values(to.val() - from.val());
    let mut optimizer = config.init();
    let mut of_second = Vec::new();
    for _ in 0..3 {
        let next = step(&mut optimizer, &net, false);
        of_second.push(moved(&next.second, &net.second));
        net = next;
    }
    let bytes = optimizer.into_bytes().unwrap();
    let group = ParamGroup::from_predicate("first");
    let grouped = config
        .init()
        .with_group(group, config.clone().with_seed(12).build(), None);
    let goes_on = |optimizer: ModuleOptimizer, uninterrupted: &mut ModuleOptimizer| {
        let mut resumed = optimizer.from_bytes(bytes.clone()).unwrap();
        let mut net = net.clone();
        let mut of_first = Vec::new();
        for _ in 0..3 {
            let next = step(&mut resumed, &net, true);
            of_first.push(moved(&next.first, &net.first));
            // The other goes on as if nothing had been.
            let expected = step(uninterrupted, &net, false);
            assert_eq!(values(next.second.val()), values(expected.second.val()));
            net = next;
        }
        of_first
    };
    let apart = |a: &f64, b: &f64| (a - b).abs() > 1e-4;
    for (first, second) in goes_on(grouped, &mut optimizer.clone())
        .iter()
        .zip(&of_second)
    {
        assert!(first.iter().zip(second).all(|(a, b)| apart(a, b)));
    }
    for (first, second) in goes_on(config.init(), &mut optimizer)
        .iter()
        .zip(&of_second)
    {
        assert!(!first.iter().zip(second).any(|(a, b)| apart(a, b)));
    }
}

#[test]
fn a_full_chain_keeps_every_other_network() {
    for capacity in [4, 5] {
        let mut chain = ChainConfig::new(3, 2).with_capacity(capacity).init();
        for step in 0..40 {
            chain.push(&start(1, f64::from(step)));
            assert!(chain.networks().len() <= capacity);
        }
        let kept: Vec<f64> = chain
            .networks()
            .iter()
            .map(|w| values(w.val())[0])
            .collect();
        let thinning = chain.thinning() as f64;
        let expected = (0..kept.len()).map(|k| 3.0 + k as f64 * thinning);
        assert_eq!(kept, expected.collect::<Vec<_>>(), "capacity {capacity}");
        assert!(
            3.0 + kept.len() as f64 * thinning >= 40.0,
            "the end is left out"
        );
        let owned: Vec<f64> = chain
            .into_networks()
            .iter()
            .map(|w| values(w.val())[0])
            .collect();
        assert_eq!(owned, kept);
    }
}
