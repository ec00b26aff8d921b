//! The distribution of each weight by itself.

use burn::tensor::Tensor;

use super::square_sum;

/// The marginal distributions of the weights of one tensor; all three tensors have its shape.
#[derive(Debug, Clone)]
pub struct Marginals<const D: usize> {
    /// The means.
    pub mean: Tensor<D>,
    /// The deviations.
    pub std: Tensor<D>,
    /// The logarithms of the deviations, kept apart since they stay finite where the deviation underflows.
    pub log_std: Tensor<D>,
    /// What they are besides.
    pub family: MarginalFamily,
}

impl<const D: usize> Marginals<D> {
    /// `E w²` of each weight.
    pub(crate) fn second_moment(&self) -> Tensor<D> {
        self.mean.clone().square() + self.std.clone().square()
    }

    /// `Σ E w²`, the same in every run.
    pub(crate) fn second_moments(&self) -> Tensor<1> {
        square_sum(&self.mean) + square_sum(&self.std)
    }
}

/// The family of a weight's marginal distribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MarginalFamily {
    /// Normal.
    Normal,
    /// Laplace (double exponential).
    Laplace,
    /// Known by its mean and deviation only.
    Other,
}
