//! A KL and a draw of the same parameters, whose gradients are computed in one pass.
//!
//! Where both belong to one loss, a backward pass would walk the parameters twice and then add the two gradients. That
//! is more memory traffic than everything else a step does with a posterior. With a link between the two, each loss
//! leaves its gradient of the KL here, and the draw's backward pass adds their sum to its own gradients. The KL's own
//! pass comes later. It has the rest: what was left after the draw's pass, and what reached the KL without the link. As
//! a rule that is nothing. Where no loss reaches the draw, or none left anything, each does its own work. The gradients
//! are the same in every case.
//!
//! Burn runs backward steps by depth, deepest first. A loss is deeper than the draw that it depends on. The draw is
//! deeper than the KL since its parameters come to it through a step of their own. It is no child of the KL: Burn
//! consumes the steps that a backward pass walks, and a loss of the draw alone must leave those of the KL to another.

pub(super) mod autodiff;
#[cfg(any(feature = "flex", feature = "ndarray"))]
pub(super) mod cpu;
#[cfg(test)]
pub(super) mod tests;

use std::any::Any;
use std::sync::{Arc, Mutex, MutexGuard};

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, GradientCheckpointingStrategy, TensorMetadata};
use burn::tensor::{DType, Tensor};

use super::backend::{FusedKernels, FusedOps};
use super::formula::{NoiseSpan, NormalSum};
use super::{fuses, kind};

/// A weight's draw and its KL, of shape `[1]`, in one pass over the parameters.
///
/// `None` without a fused operation for them, and in three cases in which they stay apart:
///
/// - without autodiff: there is no backward pass to share;
/// - with gradient checkpointing, which forgets the weight and makes it again;
/// - in a training distributed over devices, where Burn counts the gradients that a parameter gets.
pub(crate) fn draw_and_sum<const D: usize>(
    mu: &Tensor<D>,
    rho: &Tensor<1>,
    noise: NoiseSpan,
    form: NormalSum,
    link: KlLink,
) -> Option<(Tensor<D>, Tensor<1>)> {
    let strategy = mu.device().gradient_checkpointing_strategy();
    let shares = strategy == Some(GradientCheckpointingStrategy::Disabled)
        && !mu.is_distributed()
        && !rho.is_distributed();
    (shares && fuses([kind(mu), kind(rho)])).then(|| {
        let (mu, rho) = (mu.clone().into_dispatch(), rho.clone().into_dispatch());
        let (weight, sum) = Dispatch::draw_and_sum(mu, rho, noise, form, link);
        (Tensor::from_dispatch(weight), Tensor::from_dispatch(sum))
    })
}

/// `loss + weight · kl`, where the KL is linked to a draw. Only for what [`draw_and_sum`] returned.
///
/// In the wider of the two types.
pub(crate) fn add_linked(loss: Tensor<1>, kl: Tensor<1>, weight: f64, link: KlLink) -> Tensor<1> {
    let is_narrow = match loss.dtype() {
        DType::F64 => false,
        DType::F32 => kl.dtype() == DType::F64,
        _ => true,
    };
    let loss = if is_narrow {
        loss.cast(kl.dtype())
    } else {
        loss
    };
    let (loss, kl) = (loss.into_dispatch(), kl.into_dispatch());
    Tensor::from_dispatch(Dispatch::add_linked(loss, kl, weight, link))
}

/// The kernels of a draw and its KL together.
pub trait LinkedKernels: FusedKernels {
    /// [`Map::Draw`](super::formula::Map::Draw) and [`Sum::Normal`](super::formula::Sum::Normal).
    fn draw_and_sum(
        mu: FloatTensor<Self>,
        rho: FloatTensor<Self>,
        noise: NoiseSpan,
        form: NormalSum,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// The gradients of [`draw_and_sum`](Self::draw_and_sum) in μ and ρ, from those of the weight and of the sum.
    fn draw_and_sum_backward(
        grad: FloatTensor<Self>,
        sum_grad: FloatTensor<Self>,
        mu: FloatTensor<Self>,
        rho: FloatTensor<Self>,
        noise: NoiseSpan,
        form: NormalSum,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// Whether a gradient of shape `[1]` is zero, as far as that is seen without waiting for the device; `zero` is one
    /// that it may be.
    fn is_known_zero(grad: &FloatTensor<Self>, zero: Option<&FloatTensor<Self>>) -> bool;
}

/// `loss + weight · kl`, in the loss's type, which is not the narrower one.
pub(super) fn weighted_sum<B: Backend>(
    loss: FloatTensor<B>,
    kl: FloatTensor<B>,
    weight: f64,
) -> FloatTensor<B> {
    let kl = as_type_of::<B>(B::float_mul_scalar(kl, weight.into()), &loss);
    B::float_add(loss, kl)
}

fn as_type_of<B: Backend>(tensor: FloatTensor<B>, like: &FloatTensor<B>) -> FloatTensor<B> {
    if tensor.dtype() == like.dtype() {
        tensor
    } else {
        B::float_cast(tensor, like.dtype().into())
    }
}

/// What a loss left: a float tensor of the backend.
type Left = Box<dyn Any + Send>;

/// Shared by the backward steps of a draw, of a KL and of the losses that both belong to.
#[derive(Clone, Default)]
pub struct KlLink(Arc<Mutex<Linked>>);

#[derive(Default)]
struct Linked {
    /// The losses' gradient of the KL.
    gradient: Option<Left>,
    /// The zero that a loss gave the KL for its gradient.
    zero: Option<Left>,
    /// How many losses there were.
    losses: usize,
}

impl std::fmt::Debug for KlLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let is_left = self.lock().gradient.is_some();
        f.debug_struct("KlLink").field("is_left", &is_left).finish()
    }
}

impl KlLink {
    fn lock(&self) -> MutexGuard<'_, Linked> {
        self.0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// A loss leaves its gradient of the KL, which `add` adds to that of the losses before, and the zero that it gave
    /// the KL instead.
    pub(super) fn leave<T: Send + 'static>(
        &self,
        gradient: T,
        zero: T,
        add: impl FnOnce(T, T) -> T,
    ) {
        let mut linked = self.lock();
        let sum = match linked.gradient.take().map(of_backend::<T>) {
            Some(earlier) => add(earlier, gradient),
            None => gradient,
        };
        linked.gradient = Some(Box::new(sum));
        linked.zero = (linked.losses == 0).then(|| Box::new(zero) as Left);
        linked.losses += 1;
    }

    /// Takes what was left, and with it the duty to compute the KL's gradients from it.
    pub(super) fn take<T: Send + 'static>(&self) -> Option<T> {
        self.lock().gradient.take().map(of_backend::<T>)
    }

    /// Takes the zero that was given to the KL, if one loss alone gave it one.
    pub(super) fn take_zero<T: Send + 'static>(&self) -> Option<T> {
        let mut linked = self.lock();
        linked.losses = 0;
        linked.zero.take().map(of_backend::<T>)
    }
}

fn of_backend<T: 'static>(gradient: Left) -> T {
    match gradient.downcast() {
        Ok(gradient) => *gradient,
        Err(_) => unreachable!("a loss and its draw are on one backend"),
    }
}
