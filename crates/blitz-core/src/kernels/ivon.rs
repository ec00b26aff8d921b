//! A step of IVON, in one pass over memory.

use burn::backend::Dispatch;
use burn::tensor::Tensor;

use super::backend::FusedOps;
use super::formula::IvonStep;
use super::{fuses, kind};

/// The mean, the Hessian's estimate h and the mean of the gradient after a step of IVON (Shen et al., *Variational
/// learning is effective for large deep networks*, ICML 2024, algorithm 1), of mean, gradient, the gradient in h, h and
/// the mean of the gradient before; and `momentum_weight`, of shape `[1]`, which is `1 − β₁ᵗ`:
///
/// ```text
/// ĥ = −2 λ (h + δ)² ∂/∂h
/// h ← h + (1 − β₂) (ĥ − h) + ½ (1 − β₂)² (ĥ − h)² / (h + δ)
/// g̅ ← β₁ g̅ + (1 − β₁) ∂/∂m
/// m ← m − lr clip((g̅ / (1 − β₁ᵗ) + δ m) / (h + δ))
/// ```
///
/// Nothing is random, and nothing is differentiated. On CPUs the numbers are those of tensor operations to the bit.
/// `None` where there is no fused operation for the tensors, or if they are of different element types.
///
/// # Panics
///
/// Panics unless the five have equally many elements, and `momentum_weight` one.
#[must_use]
pub fn ivon_step(
    [mean, grad, grad_hess, hess, momentum]: [Tensor<1>; 5],
    momentum_weight: Tensor<1>,
    step: IvonStep,
) -> Option<[Tensor<1>; 3]> {
    let lens = [&grad, &grad_hess, &hess, &momentum].map(|tensor| tensor.dims()[0]);
    let [len, weights] = [&mean, &momentum_weight].map(|tensor| tensor.dims()[0]);
    assert!(
        lens == [len; 4] && weights == 1,
        "a step of IVON on {len} means needs {len} of each of the other four and one weight of the momentum, got {lens:?} and {weights}"
    );
    let tensors = [&mean, &grad, &grad_hess, &hess, &momentum, &momentum_weight];
    fuses(tensors.map(kind)).then(|| {
        let outputs: [_; 3] = Dispatch::ivon_step(
            mean.into_dispatch(),
            grad.into_dispatch(),
            grad_hess.into_dispatch(),
            hess.into_dispatch(),
            momentum.into_dispatch(),
            momentum_weight.into_dispatch(),
            step,
        )
        .into();
        outputs.map(Tensor::from_dispatch)
    })
}
