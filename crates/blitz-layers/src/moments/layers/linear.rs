//! Linear layers, and what leaves moments as they are.

use blitz_core::ColumnMoments;
use burn::module::Param;
use burn::nn::{Dropout, Identity, Linear};
use burn::tensor::{Tensor, assert_shape};

use crate::axes::Features;
use crate::moments::{ForwardMoments, Moments, combined};
use crate::rows::linear;

/// Exact, of independent inputs, also of a full-rank posterior.
impl<const D: usize> ForwardMoments<Moments<D>> for Linear {
    type Output = Moments<D>;

    fn forward_moments(&self, input: Moments<D>) -> Moments<D> {
        of_linear(input, &self.weight, self.bias.as_ref())
    }
}

/// The moments of `x W + b`.
pub(crate) fn of_linear<const D: usize>(
    input: Moments<D>,
    weight: &Param<Tensor<2>>,
    bias: Option<&Param<Tensor<1>>>,
) -> Moments<D> {
    let [d_input, _] = weight.base().dims();
    assert_shape!(input.mean, [.., d_input]);
    let weight = ColumnMoments::of(weight);
    let of_weights = weight.output_variance(input.mean.clone());
    combined(
        Features::Last,
        input,
        weight.weights,
        of_weights,
        bias,
        linear,
    )
}

/// As in prediction, where Burn's dropout drops nothing.
impl<const D: usize> ForwardMoments<Moments<D>> for Dropout {
    type Output = Moments<D>;

    fn forward_moments(&self, input: Moments<D>) -> Moments<D> {
        input
    }
}

impl<const D: usize> ForwardMoments<Moments<D>> for Identity {
    type Output = Moments<D>;

    fn forward_moments(&self, input: Moments<D>) -> Moments<D> {
        input
    }
}
