//! The other half of an antithetic pair.

use burn::tensor::Tensor;

use super::{at_least_f32, in_type_of};

/// `2 mean − value`: as probable as `value` if its distribution is symmetric about the mean.
///
/// Twice the mean is exact, so that the result is rounded once, and of the same value the same on every device. In
/// `f32` at least: twice a mean may have no place in 16 bits.
pub(crate) fn reflected<const D: usize>(mean: Tensor<D>, value: Tensor<D>) -> Tensor<D> {
    let wide = at_least_f32(mean.clone());
    let value = in_type_of(value, &wide);
    in_type_of(wide.mul_scalar(2.0) - value, &mean)
}
