//! The operations in which a step of variational inference spends its time, each in one pass over memory.
//!
//! Plain tensor operations walk a weight's memory a dozen times for one draw and keep its noise until the backward
//! pass. Here a draw, a KL and their gradients are one pass each, and a backward pass makes its noise anew. The
//! operations are a Burn [backend extension](burn::backend::backend_extension): vectorised and multi-threaded on Flex
//! and NdArray, one kernel source for all of CubeCL's devices (wgpu, CUDA, ROCm, Metal, its own CPU), with Fusion or
//! without. On other devices, such as LibTorch's and remote ones, everything is computed by Burn's tensor operations
//! with noise made on the host, to the same numbers up to rounding.
//!
//! Which of the two runs is asked of the device ([`is_fused`]); [`without_fused`] shows the difference.

mod autodiff;
pub(crate) mod backend;
pub(crate) mod convolution;
#[cfg(any(feature = "flex", feature = "ndarray"))]
mod cpu;
#[cfg(feature = "cubecl")]
mod cube;
pub(crate) mod formula;
#[cfg(feature = "cubecl")]
mod fusion;
mod ivon;
pub(crate) mod linked;
pub(crate) mod lstm;
mod moments;
mod pooling;
mod random;
#[cfg(test)]
mod tests;

use std::cell::Cell;

use burn::backend::{Dispatch, DispatchDevice};
use burn::tensor::{DType, Device, Tensor, s};

use backend::FusedOps;
use formula::{Map, NoiseSpan, NormalSum, ScaleMixture, Spread, Sum};

pub use convolution::conv2d;
#[doc(hidden)]
pub use formula::wide_type;
pub use formula::{AdamStep, IvonStep, Precision};
pub use ivon::ivon_step;
pub(crate) use linked::{add_linked, draw_and_sum};
pub use moments::{larger_moments, leaky_relu_moments};
pub use pooling::max_pool2d;
pub(crate) use random::{Random, random};

/// Whether blitz has fused operations for the device, in this build.
///
/// A backend counts only if it was switched on by a feature of blitz, such as `blitz-layers/wgpu`: one that Burn alone
/// was built with works, by tensor operations.
///
/// ```
/// use blitz_core::kernels::is_fused;
/// use burn::tensor::Device;
///
/// assert!(is_fused(&Device::flex()));
/// assert!(is_fused(&Device::flex().autodiff()));
/// ```
pub fn is_fused(device: &Device) -> bool {
    kernels_of(device.as_dispatch()).is_some()
}

/// Whether the device's tensors lie in the CPU's memory and are computed when they are asked for, in this build: to
/// read one is not to wait for a queue. False for a backend without fused operations.
///
/// ```
/// use blitz_core::kernels::is_in_memory;
/// use burn::tensor::Device;
///
/// assert!(is_in_memory(&Device::flex().autodiff()));
/// ```
pub fn is_in_memory(device: &Device) -> bool {
    kernels_of(device.as_dispatch()) == Some(Kernels::InMemory)
}

/// Who computes the fused operations of a device.
#[derive(PartialEq)]
#[allow(dead_code)] // Depends on the backends in the build.
enum Kernels {
    /// The CPU, in its own memory.
    InMemory,
    /// A device, by CubeCL.
    Cube,
}

fn kernels_of(device: &DispatchDevice) -> Option<Kernels> {
    match device {
        #[cfg(feature = "flex")]
        DispatchDevice::Flex(_) => Some(Kernels::InMemory),
        #[cfg(feature = "ndarray")]
        DispatchDevice::NdArray(_) => Some(Kernels::InMemory),
        #[cfg(feature = "cubecl")]
        DispatchDevice::Cube(_) => Some(Kernels::Cube),
        DispatchDevice::Autodiff(device) => kernels_of(device),
        #[allow(unreachable_patterns)] // Depends on the backends in the build.
        _ => None,
    }
}

/// Whether the CPU has registers for products; see [`lanes`](cpu::lanes).
fn has_registers() -> bool {
    #[cfg(any(feature = "flex", feature = "ndarray"))]
    return !cpu::lanes::Registers::available().is_empty();
    #[cfg(not(any(feature = "flex", feature = "ndarray")))]
    false
}

thread_local! {
    static SWITCHED_OFF: Cell<bool> = const { Cell::new(false) };
}

/// Runs `f` with Burn's tensor operations in the place of the fused ones, on this thread: to compare the two, in tests
/// and benchmarks.
///
/// A backward pass is that of the operations that were recorded, wherever it is run.
///
/// ```
/// use blitz_core::kernels::without_fused;
/// use blitz_core::prelude::*;
/// use burn::nn::LinearConfig;
/// use burn::tensor::{Device, Tolerance};
///
/// let layer = LinearConfig::new(8, 4).init(&Device::flex()).bayesianize(&BayesianizeConfig::new());
/// let fused = layer.with_draw(1, 0, |layer| layer.weight.val());
/// let plain = without_fused(|| layer.with_draw(1, 0, |layer| layer.weight.val()));
/// fused.into_data().assert_approx_eq::<f32>(&plain.into_data(), Tolerance::absolute(1e-6));
/// ```
pub fn without_fused<R>(f: impl FnOnce() -> R) -> R {
    struct Restore(bool);

    impl Drop for Restore {
        fn drop(&mut self) {
            SWITCHED_OFF.set(self.0);
        }
    }

    let _restore = Restore(SWITCHED_OFF.replace(true));
    f()
}

/// Whether an operation of these tensors, of a device and a type of elements each, is to be a fused one.
fn fuses<const N: usize>(tensors: [(Device, DType); N]) -> bool {
    if SWITCHED_OFF.get() {
        return false;
    }
    let first = tensors[0].1;
    let is_float = matches!(first, DType::F32 | DType::F64 | DType::F16 | DType::BF16);
    is_float
        && tensors.iter().all(|(_, dtype)| *dtype == first)
        && tensors.iter().all(|(device, _)| is_fused(device))
}

fn kind<const D: usize>(tensor: &Tensor<D>) -> (Device, DType) {
    (tensor.device(), tensor.dtype())
}

/// One number for every element, shaped like the location; `None` where there is no fused operation for the tensors.
fn map<const D: usize, const S: usize>(
    op: Map,
    location: &Tensor<D>,
    scale: &Tensor<S>,
) -> Option<Tensor<D>> {
    fuses([kind(location), kind(scale)]).then(|| {
        let (location, scale) = (
            location.clone().into_dispatch(),
            scale.clone().into_dispatch(),
        );
        Tensor::from_dispatch(Dispatch::map(location, scale, op))
    })
}

/// One number for all elements, of shape `[1]`, in `f32` of tensors in half precision; `None` as in [`map`].
fn sum<const D: usize, const R: usize>(
    op: Sum,
    mu: &Tensor<D>,
    rho: &Tensor<R>,
) -> Option<Tensor<1>> {
    has_sums(mu, rho).then(|| {
        let (mu, rho) = (mu.clone().into_dispatch(), rho.clone().into_dispatch());
        Tensor::from_dispatch(Dispatch::sum(mu, rho, op))
    })
}

/// Standard normals shaped like `like`; `None` where there is no fused operation for it, as in the functions below.
pub(crate) fn standard_normal<const D: usize>(
    like: &Tensor<D>,
    noise: NoiseSpan,
) -> Option<Tensor<D>> {
    map(Map::StandardNormal(noise), like, like)
}

/// `μ + softplus(ρ) ε`, with ρ flat.
pub(crate) fn draw<const D: usize>(
    mu: &Tensor<D>,
    rho: &Tensor<1>,
    noise: NoiseSpan,
) -> Option<Tensor<D>> {
    map(Map::Draw(noise), mu, rho)
}

/// `μ + σ ε`, with σ flat: the bits of [`draw`] at the ρ that σ is of.
pub(crate) fn draw_scaled<const D: usize>(
    mu: &Tensor<D>,
    std: &Tensor<1>,
    noise: NoiseSpan,
) -> Option<Tensor<D>> {
    map(Map::DrawScaled(noise), mu, std)
}

/// `μ + ε / √(λ (h + δ))`, with h flat.
pub(crate) fn draw_precise<const D: usize>(
    mu: &Tensor<D>,
    h: &Tensor<1>,
    precision: Precision,
    noise: NoiseSpan,
) -> Option<Tensor<D>> {
    map(Map::DrawPrecise(noise, precision), mu, h)
}

/// `mean + √variance · ε`.
pub(crate) fn draw_output<const D: usize>(
    mean: &Tensor<D>,
    variance: &Tensor<D>,
    noise: NoiseSpan,
) -> Option<Tensor<D>> {
    map(Map::DrawOutput(noise), mean, variance)
}

/// `softplus(ρ)` or its square.
pub(crate) fn spread<const D: usize>(rho: &Tensor<D>, spread: Spread) -> Option<Tensor<D>> {
    map(Map::Spread(spread), rho, rho)
}

/// Whether there are sums over these tensors.
pub(crate) fn has_sums<const D: usize, const R: usize>(mu: &Tensor<D>, rho: &Tensor<R>) -> bool {
    fuses([kind(mu), kind(rho)])
}

/// A sum over independent normals `N(μ, softplus(ρ)²)`.
pub(crate) fn normal_sum<const D: usize, const R: usize>(
    mu: &Tensor<D>,
    rho: &Tensor<R>,
    form: NormalSum,
) -> Option<Tensor<1>> {
    sum(Sum::Normal(form), mu, rho)
}

/// A sum over independent normals `N(μ, 1 / (λ (h + δ)))`.
pub(crate) fn precise_sum<const D: usize, const R: usize>(
    mu: &Tensor<D>,
    h: &Tensor<R>,
    precision: Precision,
    form: NormalSum,
) -> Option<Tensor<1>> {
    sum(Sum::Precise(form, precision), mu, h)
}

/// `Σ μ²`.
pub(crate) fn square_sum<const D: usize>(mu: &Tensor<D>) -> Option<Tensor<1>> {
    sum(Sum::Squares, mu, &mu.clone().detach())
}

/// `Σ ln q(w) − ln p(w)` at the weights `μ + softplus(ρ) ε`.
pub(crate) fn mixture_kl<const D: usize, const R: usize>(
    mu: &Tensor<D>,
    rho: &Tensor<R>,
    noise: NoiseSpan,
    prior: ScaleMixture,
) -> Option<Tensor<1>> {
    sum(Sum::Mixture(prior, noise), mu, rho)
}

/// One step of Adam: the new weight, and the new moments in the order in which they were given.
///
/// The numbers are those of Burn's own `Adam`, to the bit on CPUs, where weight and moments are updated in one pass.
/// Without a fused operation for the device, or if the tensors are of different element types, the same is computed by
/// tensor operations. `grad` and the moments are written over where nobody else holds them. Nothing is differentiated.
///
/// # Panics
///
/// Panics unless all have one shape.
#[must_use]
pub fn adam_step<const D: usize>(
    weight: Tensor<D>,
    grad: Tensor<D>,
    moments: [Tensor<D>; 2],
    step: AdamStep,
) -> (Tensor<D>, [Tensor<D>; 2]) {
    let [moment_1, moment_2] = moments;
    let shapes = [&grad, &moment_1, &moment_2].map(|tensor| tensor.shape());
    assert!(
        shapes.iter().all(|shape| *shape == weight.shape()),
        "a weight of shape {:?} needs a gradient and moments of that shape, got {shapes:?}",
        weight.shape()
    );
    let kinds = [&weight, &grad, &moment_1, &moment_2].map(kind);
    if fuses(kinds) {
        let (weight, moment_1, moment_2) = Dispatch::adam_step(
            weight.into_dispatch(),
            grad.into_dispatch(),
            moment_1.into_dispatch(),
            moment_2.into_dispatch(),
            step,
        );
        let moments = [moment_1, moment_2].map(Tensor::from_dispatch);
        return (Tensor::from_dispatch(weight), moments);
    }
    let moment_1 = moment_1
        .mul_scalar(step.beta_1)
        .add(grad.clone().mul_scalar(1.0 - step.beta_1));
    let moment_2 = moment_2
        .mul_scalar(step.beta_2)
        .add(grad.square().mul_scalar(1.0 - step.beta_2));
    let epsilon = step.epsilon * step.root_correction();
    let delta = moment_1
        .clone()
        .mul_scalar(step.combined_correction())
        .div(moment_2.clone().sqrt().add_scalar(epsilon))
        .mul_scalar(step.learning_rate);
    (weight - delta, [moment_1, moment_2])
}

/// An LSTM over a whole sequence: the hidden states `[steps, batch, hidden]` and the last cell state `[batch, hidden]`;
/// `None` where there is no fused operation for it.
///
/// `pre_activations`, `[steps, batch, 4 · hidden]`, are what the input contributes to the input, forget and output gate
/// and to the candidate, in this order, biases included. Each step adds `h U` to its part, with `U` the `weight`,
/// `[hidden, 4 · hidden]`, and computes
///
/// ```text
/// c' = σ(f) c + σ(i) tanh(g)
/// h' = σ(o) tanh(c')
/// ```
///
/// Nothing is random. Differentiable in all four.
///
/// # Panics
///
/// Panics if the shapes don't fit, and without steps.
#[must_use]
pub fn lstm(
    pre_activations: Tensor<3>,
    weight: Tensor<2>,
    hidden: Tensor<2>,
    cell: Tensor<2>,
) -> Option<(Tensor<3>, Tensor<2>)> {
    let [steps, batch, width] = pre_activations.dims();
    let [size, _] = weight.dims();
    assert!(steps > 0, "an LSTM needs a sequence of at least one step");
    assert!(
        width == 4 * size
            && weight.dims() == [size, width]
            && [hidden.dims(), cell.dims()] == [[batch, size]; 2],
        "an LSTM needs pre-activations [steps, batch, 4 · hidden], a weight [hidden, 4 · hidden] and states [batch, hidden], got \
         {:?}, {:?}, {:?} and {:?}",
        pre_activations.dims(),
        weight.dims(),
        hidden.dims(),
        cell.dims()
    );
    let kinds = [
        kind(&pre_activations),
        kind(&weight),
        kind(&hidden),
        kind(&cell),
    ];
    fuses(kinds).then(|| {
        let output = Tensor::<3>::from_dispatch(Dispatch::lstm(
            pre_activations.into_dispatch(),
            weight.into_dispatch(),
            hidden.into_dispatch(),
            cell.into_dispatch(),
        ));
        let cell = output.clone().slice(s![steps..]).squeeze_dim(0);
        (output.slice(s![..steps]), cell)
    })
}
