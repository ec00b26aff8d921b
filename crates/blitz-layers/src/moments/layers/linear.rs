//! Linear layers, and what leaves moments as they are.

use blitz_core::ColumnMoments;
use burn::module::Param;
use burn::nn::{Dropout, Identity, Linear};
use burn::tensor::{Tensor, assert_shape};

use crate::axes::Features;
use crate::moments::{Correlations, ForwardMoments, Moments, combined};
use crate::rows::linear;

/// Exact, of independent inputs or of inputs with their covariances, also of a full-rank posterior.
impl<const D: usize, C: Correlations> ForwardMoments<Moments<D, C>> for Linear {
    type Output = Moments<D, C>;

    fn forward_moments(&self, input: Moments<D, C>) -> Moments<D, C> {
        of_linear(input, &self.weight, self.bias.as_ref())
    }
}

/// The moments of `x W + b`.
pub(crate) fn of_linear<const D: usize, C: Correlations>(
    input: Moments<D, C>,
    weight: &Param<Tensor<2>>,
    bias: Option<&Param<Tensor<1>>>,
) -> Moments<D, C> {
    let [d_input, _] = weight.base().dims();
    assert_shape!(input.mean, [.., d_input]);
    let weight = ColumnMoments::of(weight);
    let of_weights = weight.output_variance(input.mean.clone());
    let (of_input, between) = input.variance.map_or_else(Default::default, |spread| {
        let (variance, between) = C::split(spread);
        let (variance, between) = C::linear(variance, between, &weight);
        (Some(variance), between)
    });
    let parts = [of_weights, of_input];
    let (weights, features) = (weight.weights.mean, Features::Last);
    let (mean, variance) = combined(features, input.mean, weights, parts, bias, linear);
    Moments {
        mean,
        variance: variance.map(|variance| C::join(variance, between)),
    }
}

/// As in prediction, where Burn's dropout drops nothing.
impl<const D: usize, C: Correlations> ForwardMoments<Moments<D, C>> for Dropout {
    type Output = Moments<D, C>;

    fn forward_moments(&self, input: Moments<D, C>) -> Moments<D, C> {
        input
    }
}

impl<const D: usize, C: Correlations> ForwardMoments<Moments<D, C>> for Identity {
    type Output = Moments<D, C>;

    fn forward_moments(&self, input: Moments<D, C>) -> Moments<D, C> {
        input
    }
}
