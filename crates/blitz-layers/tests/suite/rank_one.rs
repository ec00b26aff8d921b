//! Local reparameterization of variances of rank one, beside the same posterior without factors.

use blitz_layers::blitz_core::{BuiltinPosterior, NormalPrior};
use blitz_layers::conv::{
    BayesianConvTranspose1dConfig, BayesianConvTranspose2dConfig, BayesianConvTranspose3dConfig,
};
use blitz_layers::prelude::*;
use burn::module::{Module, ModuleVisitor, Param};
use burn::nn::{PaddingConfig1d, PaddingConfig2d};
use burn::tensor::{DType, Device, Gradients, Tensor};

use crate::digest::given;
use crate::elementwise::Elementwise;
use crate::seeded::normals;
use crate::statistics::values;

/// The layer with the same posteriors, elementwise.
fn elementwise<M: Module>(layer: &M) -> M {
    let posteriors = layer.posteriors::<BuiltinPosterior>();
    layer.clone().replace_posteriors(|weight| {
        let posterior = posteriors
            .iter()
            .find(|posterior| posterior.path == weight.path);
        let inner = posterior.unwrap().posterior.clone();
        Some((Elementwise { inner }, NormalPrior::new(1.0)))
    })
}

/// The gradients of all parameters, in the order of the traversal.
struct Collect<'a>(&'a Gradients, Vec<Vec<f64>>);

impl ModuleVisitor for Collect<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.1.push(values(param.base().grad(self.0).unwrap()));
    }
}

/// Output, gradient of the input, and gradients of the parameters of a draw.
fn of_draw<M: Module, const I: usize, const O: usize>(
    layer: &M,
    input: &Tensor<I>,
    forward: &impl Fn(&M, Tensor<I>) -> Tensor<O>,
) -> Vec<Vec<f64>> {
    let input = input.clone().require_grad();
    let _draw = layer.draw(3, 8);
    let output = forward(layer, input.clone());
    let loss = (output.clone().tanh() * 3.0).sum() + layer.kl_cost() * 0.1;
    let grads = loss.backward();
    let mut collect = Collect(
        &grads,
        vec![values(output), values(input.grad(&grads).unwrap())],
    );
    layer.visit(&mut collect);
    collect.1
}

fn assert_same<M: Module, const I: usize, const O: usize>(
    layer: M,
    dims: [usize; I],
    what: &str,
    forward: impl Fn(&M, Tensor<I>) -> Tensor<O>,
) {
    let layer = given(layer, 0.4, DType::F32);
    let device = layer.devices()[0].clone();
    let input = normals::<I>(5, dims, &device);
    let got = of_draw(&layer, &input, &forward);
    let expected = of_draw(&elementwise(&layer), &input, &forward);
    assert_eq!(got.len(), expected.len(), "{what}");
    for (part, (got, expected)) in got.iter().zip(&expected).enumerate() {
        // Rounding is that of the largest terms of a sum.
        let scale = expected
            .iter()
            .fold(0.0f64, |max, value| max.max(value.abs()));
        assert_eq!(got.len(), expected.len(), "{what}, {part}");
        for (got, expected) in got.iter().zip(expected) {
            let error = (got - expected).abs();
            assert!(
                error < 2e-5 * scale,
                "{what}, part {part}: {got} for {expected}"
            );
        }
    }
}

fn weights() -> blitz_layers::WeightsConfig {
    blitz_layers::WeightsConfig::new().with_posterior(PosteriorConfig::matrix_normal(0.2))
}

const LOCAL: Estimator = Estimator::LocalReparameterization;

#[allow(deprecated)] // ndarray stays supported here.
fn devices() -> [Device; 2] {
    [Device::flex().autodiff(), Device::ndarray().autodiff()]
}

#[test]
fn a_linear_layer_has_the_output_and_the_gradients_of_the_elementwise_variances() {
    for device in devices() {
        for bias in [true, false] {
            let layer = || {
                BayesianLinearConfig::new(7, 5)
                    .with_bias(bias)
                    .with_weights(weights())
                    .with_estimator(LOCAL)
                    .init(&device)
            };
            assert_same(layer(), [6, 7], "rows", |layer, x: Tensor<2>| {
                layer.forward(x)
            });
            assert_same(layer(), [7], "a row", |layer, x: Tensor<1>| {
                layer.forward(x)
            });
            assert_same(layer(), [2, 3, 4, 7], "four axes", |layer, x: Tensor<4>| {
                layer.forward(x)
            });
        }
    }
}

#[test]
fn convolutions_have_the_outputs_and_the_gradients_of_the_elementwise_variances() {
    for device in devices() {
        for (groups, bias) in [(1, true), (2, true), (2, false)] {
            let what = format!("{groups} groups");
            let layer = BayesianConv1dConfig::new(4, 6, 3)
                .with_groups(groups)
                .with_bias(bias)
                .with_padding(PaddingConfig1d::Same)
                .with_weights(weights())
                .with_estimator(LOCAL)
                .init(&device);
            assert_same(layer, [2, 4, 7], &what, |layer, x| layer.forward(x));
            let layer = BayesianConv2dConfig::new([4, 6], [3, 2])
                .with_groups(groups)
                .with_bias(bias)
                .with_stride([2, 1])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .with_weights(weights())
                .with_estimator(LOCAL)
                .init(&device);
            assert_same(layer, [2, 4, 6, 5], &what, |layer, x| layer.forward(x));
            let layer = BayesianConv3dConfig::new([4, 6], [2, 2, 2])
                .with_groups(groups)
                .with_bias(bias)
                .with_weights(weights())
                .with_estimator(LOCAL)
                .init(&device);
            assert_same(layer, [2, 4, 3, 4, 3], &what, |layer, x| layer.forward(x));
        }
    }
}

#[test]
fn transposed_convolutions_have_the_outputs_and_the_gradients_of_the_elementwise_variances() {
    for device in devices() {
        for (groups, bias) in [(1, true), (2, true), (2, false)] {
            let what = format!("{groups} groups, transposed");
            let layer = BayesianConvTranspose1dConfig::new([4, 6], 3)
                .with_groups(groups)
                .with_bias(bias)
                .with_stride(2)
                .with_weights(weights())
                .with_estimator(LOCAL)
                .init(&device);
            assert_same(layer, [2, 4, 5], &what, |layer, x| layer.forward(x));
            let layer = BayesianConvTranspose2dConfig::new([4, 6], [3, 2])
                .with_groups(groups)
                .with_bias(bias)
                .with_stride([2, 1])
                .with_padding([1, 0])
                .with_weights(weights())
                .with_estimator(LOCAL)
                .init(&device);
            assert_same(layer, [2, 4, 4, 5], &what, |layer, x| layer.forward(x));
            let layer = BayesianConvTranspose3dConfig::new([4, 6], [2, 2, 2])
                .with_groups(groups)
                .with_bias(bias)
                .with_weights(weights())
                .with_estimator(LOCAL)
                .init(&device);
            assert_same(layer, [2, 4, 3, 2, 3], &what, |layer, x| layer.forward(x));
        }
    }
}

#[test]
fn pruned_weights_are_sampled_elementwise() {
    let device = Device::flex();
    let layer = BayesianLinearConfig::new(7, 5)
        .with_weights(weights())
        .with_estimator(LOCAL)
        .init(&device);
    let layer = given(layer, 0.4, DType::F32);
    let input = normals::<2>(5, [6, 7], &device);
    let pruned = |layer: BayesianLinear, share: f64| {
        let (layer, _) = layer.prune_by_signal_to_noise(share);
        layer.with_draw(3, 8, |layer| values(layer.forward(input.clone())))
    };
    let by_elements = pruned(elementwise(&layer), 0.5);
    assert_eq!(pruned(layer.clone(), 0.5), by_elements);
    // Of all of them pruned, no output has a variance left.
    assert!(pruned(layer, 1.0).iter().all(|output| output.abs() < 1e-9));
}
