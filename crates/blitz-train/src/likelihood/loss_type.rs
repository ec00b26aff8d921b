//! The type that a loss is computed in: the one rule for outputs, targets and parameters of any mix of types.

use blitz_layers::blitz_core::wide_type;
use burn::tensor::{DType, Tensor};

/// `f64` for outputs of `f64`, else `f32`.
///
/// In half precision a loss would keep three digits, and a squared residual of 256 would exceed the largest number of
/// `f16`.
#[derive(Debug, Clone, Copy)]
pub(super) struct LossType(DType);

impl LossType {
    /// The type of the loss of a network's output.
    pub fn of<const D: usize>(output: &Tensor<D>) -> Self {
        Self(wide_type(output.dtype()))
    }

    /// The type of the loss, and the output in it.
    pub fn of_output<const D: usize>(output: Tensor<D>) -> (Self, Tensor<D>) {
        let this = Self::of(&output);
        (this, this.cast(output))
    }

    /// A target or a parameter in the loss's type. Its gradient comes back in its own.
    pub fn cast<const D: usize>(self, tensor: Tensor<D>) -> Tensor<D> {
        tensor.cast(self.0)
    }
}
