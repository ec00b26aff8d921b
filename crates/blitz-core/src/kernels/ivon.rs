//! A step of IVON, in one pass over a CPU's memory.

use burn::tensor::Tensor;

use super::formula::IvonStep;
#[cfg(any(feature = "flex", feature = "ndarray"))]
use super::{cpu, fuses, kind};

/// The mean, the Hessian's estimate h and the mean of the gradient after a step of IVON (Shen et al., *Variational learning is effective for
/// large deep networks*, ICML 2024, algorithm 1), of mean, gradient, the gradient in h, h and the mean of the gradient before:
///
/// ```text
/// ĥ = −2 λ (h + δ)² ∂/∂h
/// h ← h + (1 − β₂) (ĥ − h) + ½ (1 − β₂)² (ĥ − h)² / (h + δ)
/// g̅ ← β₁ g̅ + (1 − β₁) ∂/∂m
/// m ← m − lr clip((g̅ / (1 − β₁ᵗ) + δ m) / (h + δ))
/// ```
///
/// Nothing is random, and nothing is differentiated. `None` where the tensors don't lie in a CPU's memory, or are of different element types.
///
/// # Panics
///
/// Panics unless all have equally many elements.
#[must_use]
#[cfg_attr(
    not(any(feature = "flex", feature = "ndarray")),
    expect(unused_variables, reason = "there is no CPU's memory")
)]
pub fn ivon_step(inputs: [Tensor<1>; 5], step: IvonStep) -> Option<[Tensor<1>; 3]> {
    #[cfg(any(feature = "flex", feature = "ndarray"))]
    if fuses(inputs.each_ref().map(kind)) && inputs.iter().all(|input| !input.is_autodiff()) {
        return cpu::in_memory!(inputs, |inputs| cpu::ivon::ivon_step(inputs, step));
    }
    None
}
