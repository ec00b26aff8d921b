//! The moments of what is linear in its input and in its weights.

use blitz_core::{WeightMoments, at_least_f32};
use burn::module::Param;
use burn::tensor::Tensor;

use super::value::Moments;
use crate::axes::{Features, along};
use crate::rows::expanded;

/// The moments of `op(input, weight, bias)`, all independent:
///
/// ```text
/// E   = op(E x, E w, E b)
/// Var = op(Var x, E w²) + op((E x)², Var w) + Var b
/// ```
///
/// Where the input is certain, as that of a network, one of the products falls away.
pub(crate) fn propagate<const I: usize, const W: usize, const O: usize>(
    features: Features,
    input: Moments<I>,
    weight: &Param<Tensor<W>>,
    bias: Option<&Param<Tensor<1>>>,
    op: impl Fn(Tensor<I>, Tensor<W>, Option<Tensor<1>>) -> Tensor<O>,
) -> Moments<O> {
    let weight = WeightMoments::of(weight);
    let of_weights = weight.variance.clone().map(|variance| {
        let squares = at_least_f32(input.mean.clone()).square();
        op(squares, variance, None)
    });
    let of_input = input
        .variance
        .map(|variance| op(variance, weight.second_moment(), None));
    let parts = [of_weights, of_input];
    let (mean, variance) = combined(features, input.mean, weight.mean, parts, bias, op);
    Moments { mean, variance }
}

/// The mean as that of [`propagate`], and the variance of its first two terms and of the bias.
pub(crate) fn combined<const I: usize, const W: usize, const O: usize>(
    features: Features,
    input: Tensor<I>,
    weight: Tensor<W>,
    [of_weights, of_input]: [Option<Tensor<O>>; 2],
    bias: Option<&Param<Tensor<1>>>,
    op: impl Fn(Tensor<I>, Tensor<W>, Option<Tensor<1>>) -> Tensor<O>,
) -> (Tensor<O>, Option<Tensor<O>>) {
    let bias = bias.map(WeightMoments::of);
    let bias_mean = bias.as_ref().map(|bias| bias.mean.clone());
    let mean = op(input, weight, bias_mean);
    let of_bias = bias
        .and_then(|bias| bias.variance)
        .map(|variance| expanded(along(variance, features.axis(O)), mean.dims()));
    let parts = [of_weights, of_input, of_bias].into_iter().flatten();
    (mean, parts.reduce(|sum, part| sum + part))
}
