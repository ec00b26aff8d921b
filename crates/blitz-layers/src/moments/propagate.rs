//! The moments of what is linear in its input and in its weights.

use blitz_core::{WeightMoments, at_least_f32};
use burn::module::{Param, ParamId};
use burn::tensor::Tensor;

use super::value::Moments;

/// On which axis the output's features are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Units {
    /// The last.
    Last,
    /// Axis 1, after the rows.
    Second,
}

/// A parameter of a Burn layer that lives for one call.
pub(super) fn fixed<const D: usize>(value: Tensor<D>) -> Param<Tensor<D>> {
    // As it is, with its place in the autodiff graph; the id is never looked at.
    Param::initialized(ParamId::from(0), value)
}

/// The values on this axis of a tensor of `D` axes.
pub(super) fn along<const D: usize>(values: Tensor<1>, axis: usize) -> Tensor<D> {
    let mut shape = [1; D];
    shape[axis] = values.dims()[0];
    values.reshape(shape)
}

/// The moments of `op(input, weight, bias)`, all independent:
///
/// ```text
/// E   = op(E x, E w, E b)
/// Var = op(Var x, E w²) + op((E x)², Var w) + Var b
/// ```
///
/// Where the input is certain, as that of a network, one of the products falls away.
pub(crate) fn propagate<const I: usize, const W: usize, const O: usize>(
    units: Units,
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
    combined(units, input, weight, of_weights, bias, op)
}

/// As [`propagate`], where the second term is known: that of the weights' uncertainty.
pub(crate) fn combined<const I: usize, const W: usize, const O: usize>(
    units: Units,
    input: Moments<I>,
    weight: WeightMoments<W>,
    of_weights: Option<Tensor<O>>,
    bias: Option<&Param<Tensor<1>>>,
    op: impl Fn(Tensor<I>, Tensor<W>, Option<Tensor<1>>) -> Tensor<O>,
) -> Moments<O> {
    let bias = bias.map(WeightMoments::of);
    let of_input = input
        .variance
        .map(|variance| op(variance, weight.second_moment(), None));
    let bias_mean = bias.as_ref().map(|bias| bias.mean.clone());
    let mean = op(input.mean, weight.mean, bias_mean);
    let of_bias = bias.and_then(|bias| bias.variance).map(|variance| {
        let axis = match units {
            Units::Last => O - 1,
            Units::Second => 1,
        };
        along::<O>(variance, axis).expand(mean.dims())
    });
    let parts = [of_weights, of_input, of_bias];
    Moments {
        variance: parts.into_iter().flatten().reduce(|sum, part| sum + part),
        mean,
    }
}
