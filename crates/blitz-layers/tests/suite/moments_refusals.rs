//! What a pass of moments refuses, and by which name.

use blitz_core::{KeptMoments, LowRankNormalPosteriorConfig, MomentsError, WeightMoments};
use blitz_layers::moments::{ForwardMoments, Moments};
use blitz_layers::prelude::*;
use burn::module::{Lora, Module, ParamGroup};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Int, Tensor};

use crate::statistics::values;

/// A network that says of its moments what it is told to.
#[derive(Module, Debug)]
struct Net {
    first: BayesianLinear,
    second: Linear,
    dropout: McDropout,
}

fn net() -> Net {
    let device = Device::flex();
    let second = LinearConfig::new(3, 1).init(&device);
    Net {
        first: BayesianLinearConfig::new(2, 3).init(&device),
        second: second.bayesianize(&BayesianizeConfig::new()),
        dropout: McDropoutConfig::new(0.2).init(),
    }
}

fn input() -> Tensor<2> {
    Tensor::from_floats([[1.0, -0.5]], &Device::flex())
}

fn complete(net: &Net) -> Moments<2> {
    let x = net
        .dropout
        .forward_moments(net.first.forward_moments(input()));
    net.second.forward_moments(x.relu())
}

fn left_out<R: std::fmt::Debug>(result: Result<R, MomentsError>) -> Vec<String> {
    match result {
        Err(MomentsError::LeftOut { parts }) => parts,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_pass_with_all_of_a_network_is_taken() {
    let output = net().with_moments(complete).unwrap();
    assert!(values(output.variance())[0] > 0.0);
}

#[test]
fn a_layer_that_is_left_out_is_named() {
    let result = net().with_moments(|net| {
        let x = net
            .dropout
            .forward_moments(net.first.forward_moments(input()));
        x.mean.narrow(1, 0, 1)
    });
    assert_eq!(left_out(result), ["second.weight", "second.bias"]);
}

#[test]
fn a_layer_that_is_run_by_its_forward_is_named() {
    let result = net().with_moments(|net| {
        let x = net
            .dropout
            .forward_moments(net.first.forward_moments(input()));
        Moments::certain(net.second.forward(x.relu().mean))
    });
    assert_eq!(left_out(result), ["second.weight", "second.bias"]);
}

#[test]
fn estimators_that_ask_for_variances_on_their_own_are_named() {
    for estimator in [Estimator::LocalReparameterization, Estimator::Flipout] {
        let layer = BayesianLinearConfig::new(2, 3)
            .with_estimator(estimator)
            .init(&Device::flex());
        let result = layer.with_moments(|layer| layer.forward(input()));
        assert_eq!(left_out(result), ["weight", "bias"], "{estimator:?}");
        // Nothing was drawn for it.
        let mean = layer.with_mean(|layer| values(layer.forward(input())));
        let _ = layer.with_moments(|layer| assert_eq!(values(layer.forward(input())), mean));
    }
}

#[test]
fn a_weight_that_is_read_both_ways_is_named() {
    let result = net().with_moments(|net| {
        let output = complete(net);
        output.mean + net.second.forward(net.first.forward_moments(input()).mean)
    });
    assert_eq!(left_out(result), ["second.weight", "second.bias"]);
}

#[test]
fn dropout_that_is_run_by_its_forward_is_named() {
    let result = net().with_moments(|net| {
        let x = net.first.forward_moments(input()).relu();
        let x = Moments {
            mean: net.dropout.forward(x.mean),
            ..x
        };
        net.second.forward_moments(x)
    });
    assert_eq!(left_out(result), ["dropout"]);
}

#[test]
fn recurrent_layers_and_vectors_of_bounded_norm_are_named() {
    let device = Device::flex();
    let lstm = BayesianLstmConfig::new(2, 3, true).init(&device);
    let series = Tensor::<3>::ones([1, 4, 2], &device);
    let parts = left_out(lstm.with_moments(|lstm| lstm.forward(series, None).0));
    assert!(
        parts.iter().any(|part| part.contains("forget")),
        "{parts:?}"
    );

    let config = BayesianEmbeddingConfig::new(4, 2).with_max_norm(Some(1.0));
    let words = Tensor::from_ints([[1, 2]], &device);
    let parts = left_out(
        config
            .init(&device)
            .with_moments(|e| e.forward_moments(words)),
    );
    assert_eq!(parts, ["weight"]);
}

#[test]
fn correlated_posteriors_are_named() {
    let posterior = PosteriorConfig::LowRankNormal(LowRankNormalPosteriorConfig::new());
    let config = BayesianLinearConfig::new(2, 3).with_posterior(posterior);
    let result = config
        .init(&Device::flex())
        .with_moments(|layer| layer.forward_moments(input()));
    let error = result.unwrap_err();
    let MomentsError::Correlated { weights } = &error else {
        panic!("{error}")
    };
    assert!(weights.contains(&"weight".to_string()), "{weights:?}");
    assert!(error.to_string().contains("predict by draws"));
}

#[test]
fn a_full_rank_posterior_has_moments_in_linear_layers_alone() {
    let device = Device::flex();
    let posterior = PosteriorConfig::full_rank_normal(0.1);
    let linear = BayesianLinearConfig::new(2, 3).with_posterior(posterior.clone());
    let linear = linear.init(&device);
    let moments = linear.with_moments(|layer| layer.forward_moments(input()));
    assert!(values(moments.unwrap().variance())[0] > 0.0);
    // The variances of single weights are not enough for a layer of one's own.
    let error = linear
        .with_moments(|layer| WeightMoments::of(&layer.weight))
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("the posteriors of weight correlate"),
        "{error}"
    );
    let conv = BayesianConv2dConfig::new([1, 2], [2, 2]).with_posterior(posterior);
    let image = Tensor::<4>::ones([1, 1, 3, 3], &device);
    let result = conv
        .init(&device)
        .with_moments(|layer| layer.forward_moments(image));
    let Err(MomentsError::Correlated { weights }) = result else {
        panic!("{result:?}")
    };
    assert_eq!(weights, ["weight"]);
}

#[test]
fn pruned_weights_of_a_full_rank_posterior_have_no_variance() {
    let posterior = PosteriorConfig::full_rank_normal(0.5);
    let config = BayesianLinearConfig::new(3, 2).with_bias(false);
    let layer = config.with_posterior(posterior).init(&Device::flex());
    let (pruned, _) = layer.prune_by_signal_to_noise(0.5);
    let one_hot = Tensor::<2>::eye(3, &Device::flex());
    let moments = pruned.with_moments(|layer| layer.forward_moments(one_hot));
    let variance = values(moments.unwrap().variance());
    let weights = values(pruned.weight.base());
    let kept = variance.iter().filter(|v| **v > 0.0).count();
    assert_eq!(kept, 3, "{variance:?}, {weights:?}");
}

#[test]
fn weights_without_moments_are_read_as_their_means_without_a_pass_too() {
    let device = Device::flex();
    let posterior = PosteriorConfig::LowRankNormal(LowRankNormalPosteriorConfig::new());
    let layer = BayesianLinearConfig::new(2, 3)
        .with_posterior(posterior)
        .init(&device);
    let moments = WeightMoments::of(&layer.weight);
    assert!(moments.variance.is_none());
    assert_eq!(values(moments.mean), values(layer.weight.base()));

    let factors = BayesianizeConfig::new().with_posterior(PosteriorConfig::normal(0.5));
    let adapted = LinearConfig::new(4, 3)
        .init(&device)
        .apply_lora(Lora::new(2, 4.0));
    let adapted = adapted.bayesianize(&factors.only(WeightFilter::path("**.lora.*")));
    assert!(adapted.num_bayesian_weights() > 0);
    let mean = values(adapted.mean_network().weight.val());
    let read = || values(WeightMoments::of(&adapted.weight).mean);
    assert_eq!(read(), mean);
    // Nor are they those of a draw.
    assert_eq!(adapted.with_draw(1, 0, |_| read()), mean);

    let config = BayesianEmbeddingConfig::new(4, 2).with_max_norm(Some(1.0));
    let bounded = config.init(&device);
    let words = || Tensor::<2, Int>::from_ints([[1, 2]], &device);
    let mean = bounded.with_mean(|layer| values(layer.forward(words())));
    assert_eq!(values(bounded.forward_moments(words()).mean), mean);
}

#[test]
fn a_weight_made_of_factors_is_named_and_told_what_to_do() {
    let adapted = LinearConfig::new(4, 3).init(&Device::flex());
    let adapted = adapted.apply_lora(Lora::new(2, 4.0));
    let adapted =
        adapted.bayesianize(&BayesianizeConfig::new().only(WeightFilter::path("**.lora.*")));
    let x = Tensor::<2>::ones([1, 4], &Device::flex());
    let error = adapted
        .with_moments(|net| net.forward_moments(x))
        .unwrap_err();
    let message = error.to_string();
    assert!(
        message.contains("lora") && message.contains("made of factors (LoRA)"),
        "{message}"
    );
}

#[test]
fn frozen_weights_have_no_variance_and_need_none() {
    let net = net()
        .freeze_sampling_group(ParamGroup::from_path("second.weight"))
        .freeze_sampling_group(ParamGroup::from_path("second.bias"));
    let output = net.with_moments(|net| {
        let x = net
            .dropout
            .forward_moments(net.first.forward_moments(input()));
        net.second.forward(x.relu().mean)
    });
    assert!(output.is_ok());
    let frozen = net.freeze_sampling().with_moments(complete).unwrap();
    assert!(frozen.variance.is_none());
}

#[test]
fn the_mean_mode_has_no_variance() {
    let output = net().with_mean(complete);
    assert!(output.variance.is_none());
}

#[test]
fn kept_moments_change_nothing() {
    let net = net();
    let mut kept = KeptMoments::default();
    let fresh = net.with_moments(complete).unwrap();
    for _ in 0..3 {
        let output = net.with_kept_moments(&mut kept, complete).unwrap();
        assert_eq!(values(output.mean.clone()), values(fresh.mean.clone()));
        assert_eq!(values(output.variance()), values(fresh.variance()));
    }
    // What was kept is no reason to leave a layer out.
    let result = net.with_kept_moments(&mut kept, |net| net.first.forward_moments(input()).mean);
    assert_eq!(
        left_out(result),
        ["second.weight", "second.bias", "dropout"]
    );
}

#[test]
fn a_draw_inside_of_a_pass_is_no_part_of_it() {
    let net = net();
    let result = net.with_moments(|net| net.with_draw(1, 0, |net| net.first.forward(input())));
    assert_eq!(left_out(result).len(), 5);
}

#[test]
fn a_pass_moves_no_draw() {
    let net = net();
    let draw = || net.with_draw(9, 4, |net| values(net.first.forward(input())));
    let before = draw();
    let _pass = net.with_moments(complete).unwrap();
    assert_eq!(draw(), before);
    let inside = net.with_draw(9, 4, |net| {
        let first = values(net.first.forward(input()));
        let _pass = net.with_moments(complete).unwrap();
        (first, values(net.first.forward(input())))
    });
    assert_eq!(inside.0, inside.1);
    assert_eq!(inside.0, before);
}
