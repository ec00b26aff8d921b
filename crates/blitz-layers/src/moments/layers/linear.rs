//! Linear layers, and what leaves moments as they are.

use burn::nn::{Dropout, Identity, Linear};
use burn::tensor::module::linear;

use crate::moments::{ForwardMoments, Moments, Units, propagate};

/// Exact, of independent inputs.
impl<const D: usize> ForwardMoments<Moments<D>> for Linear {
    type Output = Moments<D>;

    fn forward_moments(&self, input: Moments<D>) -> Moments<D> {
        let bias = self.bias.as_ref();
        propagate(Units::Last, input, &self.weight, bias, linear)
    }
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
