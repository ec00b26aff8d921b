//! The networks of `blitz_layers::models`.

use blitz_layers::blitz_core::Noise;
use blitz_layers::models::{LeNetConfig, Vgg, VggConfig};
use blitz_layers::prelude::*;
use burn::module::{Module, ModuleVisitor, Param};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::{Device, Gradients, Int, Tensor};

use crate::seeded::seeded_for_relu;
use crate::statistics::{ESTIMATORS, GATE, values};

/// A VGG that a debug build runs in milliseconds.
fn small(config: VggConfig) -> VggConfig {
    config.with_width(2).with_pooled_size(1).with_hidden(8)
}

fn images<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Noise::new(NoiseKey::new(40, 0, 0)).standard_normal(&Tensor::zeros(shape, device))
}

#[test]
fn lenet_has_the_known_numbers_of_weights() {
    let device = Device::flex();
    let weights = |config: LeNetConfig| config.init(&device).num_bayesian_weights();
    // 156 + 2,416 + 48,120 + 10,164 + 850, as LeNet-5 has with every map connected.
    assert_eq!(weights(LeNetConfig::new(10)), 61_706);
    let padded = LeNetConfig::new(10).with_image_size([32, 32]);
    assert_eq!(weights(padded.with_padding(0)), 61_706);
    // Without padding, 256 inputs to the first fully connected layer.
    assert_eq!(weights(LeNetConfig::new(10).with_padding(0)), 44_426);
}

#[test]
fn lenet_makes_logits_of_images_of_the_configured_size() {
    let device = Device::flex();
    for estimator in ESTIMATORS {
        let net = LeNetConfig::new(7)
            .with_channels(3)
            .with_image_size([16, 20])
            .with_estimator(estimator)
            .init(&device);
        let x = images([2, 3, 16, 20], &device);
        let draw = |index| net.with_draw(1, index, |net| values(net.forward(x.clone())));
        assert_eq!(draw(0).len(), 2 * 7);
        assert_eq!(draw(0), draw(0));
        assert_ne!(draw(0), draw(1));
    }
}

/// The sum of the squares of all gradients.
struct SquaredNorm<'a> {
    gradients: &'a Gradients,
    sum: f64,
}

impl ModuleVisitor for SquaredNorm<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = param.base().grad(self.gradients) {
            self.sum += values(gradient).iter().map(|g| g * g).sum::<f64>();
        }
    }
}

#[test]
fn the_gradient_of_lenets_negative_elbo_is_its_slope_with_every_estimator() {
    let device = Device::flex().autodiff();
    let x = images([8, 1, 12, 12], &device);
    let classes = Tensor::<1, Int>::from_ints([0, 1, 2, 0, 1, 2, 0, 1], &device);
    let cross_entropy = CrossEntropyLossConfig::new().init(&device);
    for estimator in ESTIMATORS {
        let net = LeNetConfig::new(3)
            .with_image_size([12, 12])
            .with_estimator(estimator)
            .init(&device);
        let net = seeded_for_relu(net, 5);
        // At the same draw, so that the step is all that differs.
        let loss = |net: &blitz_layers::models::LeNet| {
            net.with_draw(2, 0, |net| {
                let nll = cross_entropy.forward(net.forward(x.clone()), classes.clone());
                nll + net.kl_cost() / 60_000.0
            })
        };
        let gradients = loss(&net).backward();
        let mut squared_norm = SquaredNorm {
            gradients: &gradients,
            sum: 0.0,
        };
        net.visit(&mut squared_norm);
        let expected = squared_norm.sum;
        // Steps along the gradient and against it, of a thousandth of a nat.
        let step = 0.001 / expected;
        let after = |step: f64| {
            let gradients = GradientsParams::from_grads(loss(&net).backward(), &net);
            let moved = SgdConfig::new().init().step(step, net.clone(), gradients);
            values(loss(&moved))[0]
        };
        let slope = (after(-step) - after(step)) / (2.0 * step);
        assert!(
            (slope / expected - 1.0).abs() < 0.02,
            "{estimator:?}: {slope} for {expected}"
        );
    }
}

#[test]
fn vgg_has_the_published_numbers_of_weights_and_counts_them_without_allocating_any() {
    let device = Device::flex();
    // The paper's table 2, to the weight, as the reference implementations report them for 1000 classes: without and
    // with batch normalization.
    for (config, plain, normalized) in [
        (VggConfig::vgg11(1000), 132_863_336, 132_868_840),
        (VggConfig::vgg13(1000), 133_047_848, 133_053_736),
        (VggConfig::vgg16(1000), 138_357_544, 138_365_992),
        (VggConfig::vgg19(1000), 143_667_240, 143_678_248),
    ] {
        assert_eq!(config.init(&device).num_bayesian_weights(), plain);
        let net = config.with_batch_norm(true).init(&device);
        // Scales and shifts of the normalizations are parameters, but not Bayesian ones.
        assert_eq!(net.num_bayesian_weights(), plain);
        assert_eq!(plain + normalization_params(&net), normalized);
        assert!(!net.fc1.weight.is_initialized());
    }
}

fn normalization_params(net: &Vgg) -> usize {
    let convolutions = net.blocks.iter().flat_map(|block| &block.convolutions);
    let norms = convolutions.filter_map(|convolution| convolution.norm.as_ref());
    norms
        .map(|norm| norm.gamma.shape().num_elements() + norm.beta.shape().num_elements())
        .sum()
}

#[test]
fn vgg_makes_logits_of_every_depth_with_and_without_batch_norm() {
    let device = Device::flex();
    let x = images([2, 3, 32, 40], &device);
    for config in [
        VggConfig::vgg11(5),
        VggConfig::vgg13(5),
        VggConfig::vgg16(5),
        VggConfig::vgg19(5),
    ] {
        for batch_norm in [false, true] {
            let net = small(config.clone())
                .with_batch_norm(batch_norm)
                .init(&device);
            let draw = |index| net.with_draw(1, index, |net| net.forward(x.clone()));
            assert_eq!(draw(0).dims(), [2, 5]);
            assert_eq!(values(draw(0)), values(draw(0)));
            assert_ne!(values(draw(0)), values(draw(1)));
        }
    }
}

#[test]
fn vgg_pools_to_the_configured_size_and_takes_other_channels() {
    let device = Device::flex();
    let net = small(VggConfig::vgg11(3))
        .with_channels(1)
        .with_pooled_size(2)
        .init(&device);
    assert_eq!(net.fc1.weight.shape().dims(), [16 * 4, 8]);
    let logits = net.forward(images([1, 1, 64, 64], &device));
    assert_eq!(logits.dims(), [1, 3]);
}

#[test]
fn at_its_start_a_deep_vgg_still_tells_images_apart() {
    // With an initializer for linear units instead of ReLU's, 16 convolutions shrink the signal to nothing.
    let device = Device::flex();
    let net = VggConfig::vgg19(4)
        .with_width(8)
        .with_pooled_size(1)
        .with_hidden(32)
        .init(&device);
    for conv in net.blocks.iter().flat_map(|block| &block.convolutions) {
        let weights = values(conv.conv.weight.base());
        let [_, channels_in, height, width] = conv.conv.weight.dims();
        let expected = 2.0 / (channels_in * height * width) as f64;
        let variance = weights.iter().map(|w| w * w).sum::<f64>() / weights.len() as f64;
        let standard_error = expected * (2.0 / weights.len() as f64).sqrt();
        assert!(
            (variance - expected).abs() < GATE * standard_error,
            "{variance} for {expected}"
        );
    }
    let net = seeded_for_relu(net, 3);
    let x = images([2, 3, 32, 32], &device);
    let logits = values(net.with_mean(|net| net.forward(x)));
    let spread = (0..4).map(|class| (logits[class] - logits[4 + class]).abs());
    assert!(spread.fold(0.0, f64::max) > 0.01, "{logits:?}");
}

#[test]
fn batch_norm_trains_and_has_no_posterior() {
    let device = Device::flex().autodiff();
    let net = small(VggConfig::vgg11(3))
        .with_batch_norm(true)
        .with_dropout(0.0)
        .init(&device);
    // Eight convolutions and three fully connected layers, weight and bias.
    assert_eq!(net.kl_terms().len(), 2 * 11);
    let logits = net.forward(images([4, 3, 32, 32], &device));
    let gradients = logits.square().sum().backward();
    let norm = net.blocks[0].convolutions[0].norm.as_ref().unwrap();
    let gradient = values(norm.gamma.val().grad(&gradients).unwrap());
    assert!(gradient.iter().any(|g| *g != 0.0));
    // In prediction it is a fixed function of each row: a row does not depend on its batch.
    let net = net.valid();
    let device = Device::flex();
    let x = images([4, 3, 32, 32], &device);
    let mean = |x: Tensor<4>| values(net.with_mean(|net| net.forward(x)));
    let alone = mean(x.clone().narrow(0, 0, 1));
    for (alone, together) in alone.iter().zip(mean(x)) {
        assert!((alone - together).abs() < 1e-5);
    }
}

#[test]
fn records_restore_a_networks_draws() {
    let device = Device::flex();
    let x = images([2, 1, 28, 28], &device);
    let config = LeNetConfig::new(10).with_posterior(PosteriorConfig::normal(0.1));
    let (saved, other) = (config.init(&device), config.init(&device));
    let draw = |net: &blitz_layers::models::LeNet| {
        values(net.with_draw(6, 0, |net| net.forward(x.clone())))
    };
    assert_ne!(draw(&saved), draw(&other));
    assert_eq!(
        draw(&other.load_record(saved.clone().into_record())),
        draw(&saved)
    );

    let x = images([2, 3, 32, 32], &device);
    let config = small(VggConfig::vgg13(5)).with_batch_norm(true);
    let (saved, other) = (config.init(&device), config.init(&device));
    let draw = |net: &Vgg| values(net.with_draw(6, 0, |net| net.forward(x.clone())));
    assert_ne!(draw(&saved), draw(&other));
    assert_eq!(
        draw(&other.load_record(saved.clone().into_record())),
        draw(&saved)
    );
}

#[test]
fn configurations_survive_json() {
    use burn::config::Config;

    let config = VggConfig::vgg19(5)
        .with_batch_norm(true)
        .with_estimator(Estimator::Flipout);
    let json = serde_json::to_vec(&config).unwrap();
    let back = VggConfig::load_binary(&json).unwrap();
    assert_eq!(format!("{config:?}"), format!("{back:?}"));
    let config = LeNetConfig::new(5).with_image_size([32, 30]);
    let json = serde_json::to_vec(&config).unwrap();
    let back = LeNetConfig::load_binary(&json).unwrap();
    assert_eq!(format!("{config:?}"), format!("{back:?}"));
}

#[test]
#[should_panic(expected = "images of 28 × 11 with 0 zeros on each side are too small")]
fn lenet_refuses_images_too_small_for_it() {
    LeNetConfig::new(10)
        .with_image_size([28, 11])
        .with_padding(0)
        .init(&Device::flex());
}

#[test]
#[should_panic(expected = "[_, channels, height, width]")]
fn lenet_refuses_images_of_another_size() {
    let device = Device::flex();
    let net = LeNetConfig::new(10).init(&device);
    net.forward(Tensor::zeros([1, 1, 32, 32], &device));
}

#[test]
#[should_panic(expected = "one output feature, got 84 and 0")]
fn lenet_refuses_to_tell_no_classes_apart() {
    LeNetConfig::new(0).init(&Device::flex());
}

#[test]
#[should_panic(expected = "got 31 × 32")]
fn vgg_refuses_images_smaller_than_its_poolings() {
    let device = Device::flex();
    let net = small(VggConfig::vgg11(2)).init(&device);
    net.forward(Tensor::zeros([1, 3, 31, 32], &device));
}

#[test]
#[should_panic(expected = "got 0 and 7")]
fn vgg_refuses_a_width_of_zero() {
    VggConfig::vgg11(2).with_width(0).init(&Device::flex());
}
