//! Pruning by signal to noise, and the networks it leaves behind.

use blitz_core::prelude::*;
use blitz_core::{NormalPosterior, NormalPosteriorConfig, NormalPrior, Posterior, Variational};
use burn::module::{Module, Param, ParamGroup, Quantizer};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::store::ModuleRecord;
use burn::tensor::quantization::{Calibration, QuantValue};
use burn::tensor::{DType, Device, Tensor};

use crate::net::{Net, devices, scalar, values};

const STD: f64 = 0.5;

/// A Bayesian layer with these means, deviations of 1/2, and a deterministic bias.
fn layer(means: &[f32], device: &Device) -> Linear {
    let mut layer = LinearConfig::new(means.len(), 1).init(device);
    let weight = Tensor::<1>::from_floats(means, device).reshape([means.len(), 1]);
    layer.weight = Param::from_tensor(weight);
    let config = BayesianizeConfig::new().with_posterior(PosteriorConfig::normal(STD));
    layer.bayesianize(&config.only("weight"))
}

fn draw(layer: &Linear, index: u64) -> Vec<f32> {
    layer.with_draw(1, index, |layer| values(layer.weight.val()))
}

#[test]
fn the_ratio_is_the_mean_over_the_deviation() {
    for device in devices() {
        let ratios = layer(&[1.0, -2.0, 0.0], &device).weight_marginals();
        assert_eq!(ratios.len(), 1);
        assert_eq!(ratios[0].path, "weight");
        for (ratio, expected) in ratios[0].signal_to_noise().iter().zip([2.0, 4.0, 0.0]) {
            assert!((ratio - expected).abs() < 1e-5);
        }
    }
}

#[test]
fn pruned_weights_are_zero_in_the_mean_and_in_every_draw_and_the_others_unchanged() {
    for device in devices() {
        let before = layer(&[0.3, -2.0, -0.1, 1.0], &device);
        let (after, report) = before.clone().prune_by_signal_to_noise(0.5);
        assert_eq!((report.pruned, report.total), (2, 4));
        assert!((report.threshold.unwrap() - 0.6).abs() < 1e-5);
        assert_eq!(
            values(after.mean_network().weight.val()),
            [0.0, -2.0, 0.0, 1.0]
        );
        assert_eq!(values(after.weight.base()), [0.0, -2.0, 0.0, 1.0]);
        for index in 0..5 {
            let (old, new) = (draw(&before, index), draw(&after, index));
            assert_eq!(new, [0.0, old[1], 0.0, old[3]]);
            let sampled = values(after.sample_network(1, index).weight.val());
            assert_eq!(sampled, new);
        }
        let fresh = values(after.weight.val());
        assert_eq!((fresh[0], fresh[2]), (0.0, 0.0));
    }
}

#[test]
fn local_reparameterization_and_flipout_see_the_zeros() {
    use blitz_core::WeightReading;

    let (net, _) = layer(&[0.3, -2.0, -0.1, 1.0], &Device::flex()).prune_by_signal_to_noise(0.5);
    let _draw = net.draw(1, 0);
    let WeightReading::Split(normal) = WeightReading::with_variance(&net.weight) else {
        panic!("a normal posterior")
    };
    let std = values(normal.part.sqrt());
    assert_eq!((std[0], std[2]), (0.0, 0.0));
    assert!((std[1] - 0.5).abs() < 1e-6);
    let WeightReading::Split(perturbed) = WeightReading::with_perturbation(&net.weight) else {
        panic!("a normal posterior")
    };
    let delta = values(perturbed.part);
    assert_eq!((delta[0], delta[2]), (0.0, 0.0));
    assert!(delta[1] != 0.0);
}

#[test]
fn the_share_is_of_all_weights_together_and_deterministic_ones_are_untouched() {
    let device = Device::flex();
    let mut net = Net::plain(&device);
    net.hidden.weight = Param::from_tensor(Tensor::full([3, 5], 0.1, &device));
    net.output.weight = Param::from_tensor(Tensor::full([5, 2], 0.2, &device));
    let net = net.bayesianize(&BayesianizeConfig::new().only(WeightFilter::matrices()));
    let bias = values(net.hidden.bias.as_ref().unwrap().val());
    let (net, report) = net.prune_by_signal_to_noise(0.6);
    let shares: Vec<_> = report
        .tensors
        .iter()
        .map(|t| (t.path.as_str(), t.pruned, t.total))
        .collect();
    assert_eq!(
        shares,
        [("hidden.weight", 15, 15), ("output.weight", 0, 10)]
    );
    assert_eq!(values(net.hidden.bias.as_ref().unwrap().val()), bias);
    assert_eq!(values(net.norm.gamma.val()), [1.0; 5]);
    assert!(
        net.hidden.bias.as_ref().unwrap().is_require_grad() == net.norm.gamma.is_require_grad()
    );
}

#[test]
fn of_equal_ratios_exactly_the_share_is_pruned_from_the_front() {
    let net = layer(&[1.0, -1.0, 1.0, 1.0, -1.0], &Device::flex());
    for (share, expected) in [(0.0, 0), (0.2, 1), (0.5, 3), (0.69, 3), (1.0, 5)] {
        let (net, report) = net.clone().prune_by_signal_to_noise(share);
        assert_eq!(report.pruned, expected, "{share}");
        let mean = values(net.mean_network().weight.val());
        let zeros: Vec<bool> = mean.iter().map(|mean| *mean == 0.0).collect();
        let front: Vec<bool> = (0..5).map(|index| index < expected).collect();
        assert_eq!(zeros, front);
    }
}

#[test]
fn a_share_of_zero_changes_nothing_and_one_of_one_leaves_nothing() {
    let net = layer(&[0.3, -2.0], &Device::flex());
    let (same, report) = net.clone().prune_by_signal_to_noise(0.0);
    assert_eq!(report.threshold, None);
    assert_eq!(draw(&same, 0), draw(&net, 0));
    assert_eq!(same.num_posterior_params(), net.num_posterior_params());
    let (nothing, report) = net.prune_by_signal_to_noise(1.0);
    assert_eq!(report.pruned, 2);
    assert_eq!(draw(&nothing, 0), [0.0, 0.0]);
}

#[test]
fn pruning_again_counts_what_is_pruned_already() {
    let (net, _) = layer(&[0.3, -2.0, 0.1, 1.0], &Device::flex()).prune_by_signal_to_noise(0.5);
    let (net, report) = net.prune_by_signal_to_noise(0.75);
    assert_eq!(report.pruned, 3);
    assert_eq!(
        values(net.mean_network().weight.val()),
        [0.0, -2.0, 0.0, 0.0]
    );
}

#[test]
fn a_smaller_share_brings_no_pruned_weight_back() {
    for device in devices() {
        let (net, _) = layer(&[0.3, -2.0, 0.1, 1.0], &device).prune_by_signal_to_noise(0.5);
        for share in [0.0, 0.2, 0.5] {
            let (again, report) = net.clone().prune_by_signal_to_noise(share);
            assert_eq!((report.pruned, report.total), (2, 4), "{share}");
            assert_eq!(report.tensors[0].pruned, 2, "{share}");
            assert_eq!(report.threshold, Some(0.0), "{share}");
            assert_eq!(draw(&again, 0), draw(&net, 0), "{share}");
        }
    }
}

#[test]
fn what_was_pruned_before_goes_before_weights_whose_mean_is_zero_by_itself() {
    // The first two have the ratio 0, and the last one is pruned.
    let (net, _) = layer(&[1.0, 2.0, 0.1], &Device::flex()).prune_by_signal_to_noise(0.4);
    let zeros = |mut net: Linear| {
        net.weight = net.weight.map(|mean| mean.zeros_like());
        Ok::<_, std::convert::Infallible>(net)
    };
    let net = net.map_means(zeros).unwrap();
    let (net, report) = net.prune_by_signal_to_noise(0.6);
    assert_eq!(report.pruned, 2);
    let weights = draw(&net, 0);
    assert_eq!((weights[0], weights[2]), (0.0, 0.0));
    assert!(weights[1] != 0.0);
}

#[test]
fn the_report_prints_as_a_table() {
    let (_, report) =
        layer(&[0.25, -2.0, 0.125, 1.0], &Device::flex()).prune_by_signal_to_noise(0.5);
    let table = "weights      total     pruned     share\n\
                 weight           4          2   50.00 %\n\
                 all              4          2   50.00 %\n\
                 signal-to-noise ratios up to 5.0000e-1 were pruned";
    assert_eq!(report.to_string(), table);
}

#[test]
fn pruned_weights_stay_zero_in_training_and_their_kl_falls_away() {
    let device = Device::flex().autodiff();
    let (mut net, _) = layer(&[0.3, -2.0, 0.1, 1.0], &device).prune_by_signal_to_noise(0.5);
    // What two weights with a mean of zero and a deviation of 1/2 cost against a standard normal.
    let wasted = 2.0 * (STD.powi(2) / 2.0 - 0.5 - STD.ln());
    let (_, all) = net.clone().prune_by_signal_to_noise(1.0);
    assert_eq!(all.pruned, 4);
    let mut optimizer = AdamConfig::new().init();
    let kept = |net: &Linear| {
        let weight = &net.weight;
        let posterior = weight
            .reparameterization::<blitz_core::BuiltinVariational>()
            .unwrap();
        let std = values(posterior.posterior.std_dev(weight.base()));
        let mu = values(weight.base());
        let kl = |i: usize| {
            let (s, m) = (f64::from(std[i]), f64::from(mu[i]));
            (s * s + m * m - 1.0) / 2.0 - s.ln()
        };
        (kl(1) + kl(3), kl(0) + kl(2))
    };
    assert!((kept(&net).1 - wasted).abs() < 1e-5);
    for step in 0..150 {
        let guard = net.draw(1, step);
        let y = net.forward(Tensor::<2>::ones([1, 4], &device));
        let grads = (y.sum().square() * 10.0 + net.kl_cost()).backward();
        drop(guard);
        let grads = GradientsParams::from_grads(grads, &net);
        net = optimizer.step(0.02, net, grads);
    }
    let weights = draw(&net, 0);
    assert_eq!((weights[0], weights[2]), (0.0, 0.0));
    assert!(weights[1] != 0.0 && weights[3] != 0.0);
    let (kept, pruned) = kept(&net);
    assert!((scalar(net.kl_cost()) - kept - pruned).abs() < 1e-4);
    assert!(pruned < 0.01 * wasted, "{pruned} of {wasted} is left");
}

#[test]
fn what_is_pruned_survives_records_valid_and_devices() {
    let device = Device::flex().autodiff();
    let (net, _) = layer(&[0.3, -2.0, 0.1, 1.0], &device).prune_by_signal_to_noise(0.5);
    let expected = draw(&net, 0);
    assert_eq!(draw(&net.valid(), 0), expected);
    assert_eq!(draw(&net.valid().train(), 0), expected);
    let [_, ndarray] = devices();
    let moved = draw(&net.valid().to_device(&ndarray), 0);
    assert_eq!((moved[0], moved[2]), (0.0, 0.0));

    let bytes = net.clone().into_record().into_bytes().unwrap();
    let record = || ModuleRecord::from_bytes(bytes.clone()).unwrap();
    // A module that was never pruned has no room for it, and says so.
    let new = layer(&[1.0; 4], &device);
    let error = new
        .clone()
        .try_load_record(record())
        .unwrap_err()
        .to_string();
    assert!(error.contains("weight.bayes.mask"), "{error}");
    let loaded = new.prune_by_signal_to_noise(0.0).0.load_record(record());
    assert_eq!(draw(&loaded, 0), expected);
}

#[test]
fn frozen_sampling_and_unfreezing_do_not_bring_pruned_weights_back() {
    let device = Device::flex().autodiff();
    let (net, _) = layer(&[0.3, -2.0, 0.1, 1.0], &device).prune_by_signal_to_noise(0.5);
    let frozen = net.clone().freeze_sampling();
    assert_eq!(draw(&frozen, 0), [0.0, -2.0, 0.0, 1.0]);
    let unfrozen = net.freeze().unfreeze();
    let y = unfrozen.with_draw(1, 0, |net| net.forward(Tensor::<2>::ones([1, 4], &device)));
    let grads = GradientsParams::from_grads(y.sum().backward(), &unfrozen);
    let trained = burn::optim::SgdConfig::new()
        .init()
        .step(0.1, unfrozen, grads);
    let weights = draw(&trained, 0);
    assert_eq!((weights[0], weights[2]), (0.0, 0.0));
}

#[test]
#[should_panic(expected = "must lie in [0, 1], got 1.5")]
fn a_share_above_one_is_refused() {
    let _ = layer(&[1.0], &Device::flex()).prune_by_signal_to_noise(1.5);
}

#[test]
#[should_panic(expected = "must lie in [0, 1], got NaN")]
fn a_share_that_is_no_number_is_refused() {
    let _ = layer(&[1.0], &Device::flex()).prune_by_signal_to_noise(f64::NAN);
}

#[test]
#[should_panic(expected = "the signal-to-noise ratio of weight, weight 1, is NaN")]
fn a_weight_that_is_no_number_is_refused_by_its_place() {
    let _ = layer(&[1.0, f32::NAN], &Device::flex()).prune_by_signal_to_noise(0.5);
}

#[test]
fn a_module_without_posteriors_has_nothing_to_prune() {
    let (net, report) = Net::plain(&Device::flex()).prune_by_signal_to_noise(0.5);
    assert_eq!(
        (report.pruned, report.total, net.num_bayesian_weights()),
        (0, 0, 0)
    );
}

#[test]
fn materialized_networks_are_quantized_within_half_a_step() {
    let device = Device::flex();
    let config = BayesianizeConfig::new().with_posterior(PosteriorConfig::normal(0.05));
    let net = LinearConfig::new(32, 16).init(&device).bayesianize(&config);
    let scheme = device
        .settings()
        .quantization
        .scheme
        .with_value(QuantValue::Q8S);
    for plain in [net.mean_network(), net.sample_network(1, 0)] {
        let mut quantizer = Quantizer::new(Calibration::MinMax, scheme);
        let group = ParamGroup::from_path("weight");
        let quantized = plain.clone().quantize_weights_group(&mut quantizer, group);
        assert!(matches!(quantized.weight.val().dtype(), DType::QFloat(_)));

        let weight = values(plain.weight.val());
        let largest = weight.iter().fold(0f32, |largest, w| largest.max(w.abs()));
        // Symmetric in eight bits: 127 steps to the largest weight.
        let half_step = largest / 127.0 / 2.0;
        let back = values(quantized.weight.val().dequantize());
        for (back, weight) in back.iter().zip(&weight) {
            assert!(
                (back - weight).abs() <= half_step * 1.001,
                "{back} for {weight}"
            );
        }
        let x = Tensor::<2>::ones([3, 32], &device);
        let (expected, y) = (
            values(plain.forward(x.clone())),
            values(quantized.forward(x)),
        );
        for (y, expected) in y.iter().zip(&expected) {
            assert!(
                (y - expected).abs() <= 32.0 * half_step * 1.001,
                "{y} for {expected}"
            );
        }
    }
}

#[test]
fn posteriors_of_every_type_keep_it() {
    let net = Net::plain(&Device::flex()).bayesianize(&BayesianizeConfig::new().only("norm"));
    let net = net.moped(&MopedConfig::new().only("output"));
    let net = net.attach_posteriors(|weight| {
        let posterior = NormalPosteriorConfig::new().init(weight.shape, weight.device);
        Some((posterior, NormalPrior::new(1.0)))
    });
    let kl = scalar(net.kl_cost());
    let draw = |net: &Net| {
        net.with_draw(1, 0, |net| {
            (
                values(net.hidden.weight.val()),
                values(net.output.weight.val()),
            )
        })
    };
    let (pruned, _) = net.clone().prune_by_signal_to_noise(0.0);
    assert!((scalar(pruned.kl_cost()) - kl).abs() < 1e-5 * kl);
    assert_eq!(draw(&pruned), draw(&net));
    assert_eq!(pruned.num_bayesian_weights(), 40);
    assert!(
        pruned
            .output
            .weight
            .reparameterization::<blitz_core::MopedVariational>()
            .is_some()
    );
    let hidden = &pruned.hidden.weight;
    assert!(
        hidden
            .reparameterization::<Variational<NormalPosterior, NormalPrior>>()
            .is_some()
    );
}

#[test]
#[should_panic(expected = "output.weight holds the reparameterization \"lora\"")]
fn adapters_of_other_kinds_are_not_merged_in_silence() {
    use burn::module::Lora;

    let net = Net::plain(&Device::flex()).bayesianize(&BayesianizeConfig::new().only("hidden"));
    let group = ParamGroup::from_path("output.weight");
    let net = net.apply_lora(Lora::new(2, 1.0).set_param_group(group));
    assert_eq!(net.weight_marginals().len(), 2);
    let _ = net.prune_by_signal_to_noise(0.5);
}
