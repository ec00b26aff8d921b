//! The fused operations as Burn sees them: on one backend's primitives, and dispatched to whichever backend a tensor is on.
#![allow(deprecated)] // ndarray stays supported here.

use burn::backend::{Backend, backend_extension, tensor::FloatTensor};

use super::formula::{AdamStep, NoiseSpan, NormalSum, ScaleMixture, Spread};
use super::link::KlLink;
use super::lstm;
#[cfg(any(feature = "flex", feature = "ndarray", feature = "cubecl"))]
use super::lstm::LstmSteps;

/// The fused operations and their derivatives on the primitives of one backend.
///
/// Tensors are read in row-major order, whatever their strides; `mu` and `rho` have the same number of elements, not
/// necessarily the same shape. Arithmetic is in `f32`, or in `f64` for `f64` tensors; half-precision tensors are rounded
/// once, at the end. A result has the element type of its first argument.
pub trait FusedKernels: Backend {
    /// `ε`, shaped like `like`.
    fn standard_normal(like: FloatTensor<Self>, noise: NoiseSpan) -> FloatTensor<Self>;

    /// `μ + σ ε`, shaped like `mu`.
    fn draw(mu: FloatTensor<Self>, rho: FloatTensor<Self>, noise: NoiseSpan) -> FloatTensor<Self>;

    /// The gradient of [`draw`](Self::draw) in ρ, shaped like `rho`; the one in μ is `grad` itself.
    fn draw_backward(
        grad: FloatTensor<Self>,
        rho: FloatTensor<Self>,
        noise: NoiseSpan,
    ) -> FloatTensor<Self>;

    /// `Σ c + a ln σ + b (μ² + σ²)`, of shape `[1]`.
    fn normal_sum(
        mu: FloatTensor<Self>,
        rho: FloatTensor<Self>,
        form: NormalSum,
    ) -> FloatTensor<Self>;

    /// The gradients of [`normal_sum`](Self::normal_sum) in μ and ρ, shaped like these.
    fn normal_sum_backward(
        grad: FloatTensor<Self>,
        mu: FloatTensor<Self>,
        rho: FloatTensor<Self>,
        form: NormalSum,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// [`draw`](Self::draw) and [`normal_sum`](Self::normal_sum).
    fn draw_and_sum(
        mu: FloatTensor<Self>,
        rho: FloatTensor<Self>,
        noise: NoiseSpan,
        form: NormalSum,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let sum = Self::normal_sum(mu.clone(), rho.clone(), form);
        (Self::draw(mu, rho, noise), sum)
    }

    /// The gradients of [`draw_and_sum`](Self::draw_and_sum) in μ and ρ, from those of the weight and of the sum.
    fn draw_and_sum_backward(
        grad: FloatTensor<Self>,
        sum_grad: FloatTensor<Self>,
        mu: FloatTensor<Self>,
        rho: FloatTensor<Self>,
        noise: NoiseSpan,
        form: NormalSum,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let (mu_grad, rho_grad) = Self::normal_sum_backward(sum_grad, mu, rho.clone(), form);
        let of_draw = Self::draw_backward(grad.clone(), rho, noise);
        (
            Self::float_add(mu_grad, grad),
            Self::float_add(rho_grad, of_draw),
        )
    }

    /// Whether a gradient of shape `[1]` is zero, if that can be seen without waiting for the device; `false` where it can't.
    fn is_known_zero(grad: &FloatTensor<Self>) -> bool {
        let _ = grad;
        false
    }

    /// `Σ ln q(w) − ln p(w)` at `w = μ + σ ε`, for a scale mixture p, of shape `[1]`.
    fn mixture_kl(
        mu: FloatTensor<Self>,
        rho: FloatTensor<Self>,
        noise: NoiseSpan,
        prior: ScaleMixture,
    ) -> FloatTensor<Self>;

    /// The gradients of [`mixture_kl`](Self::mixture_kl) in μ and ρ, shaped like these.
    fn mixture_kl_backward(
        grad: FloatTensor<Self>,
        mu: FloatTensor<Self>,
        rho: FloatTensor<Self>,
        noise: NoiseSpan,
        prior: ScaleMixture,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// The weight, and the first and second moments of its gradient, after a step of Adam. Buffers that nobody else holds are
    /// written over.
    fn adam_step(
        weight: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        moment_1: FloatTensor<Self>,
        moment_2: FloatTensor<Self>,
        step: AdamStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let scaled = |tensor: FloatTensor<Self>, by: f32| Self::float_mul_scalar(tensor, by.into());
        let moment_1 = Self::float_add(
            scaled(moment_1, step.beta_1),
            scaled(grad.clone(), 1.0 - step.beta_1),
        );
        let square = Self::float_mul(grad.clone(), grad);
        let moment_2 = Self::float_add(
            scaled(moment_2, step.beta_2),
            scaled(square, 1.0 - step.beta_2),
        );
        let epsilon = step.epsilon * step.root_correction();
        let divisor = Self::float_add_scalar(Self::float_sqrt(moment_2.clone()), epsilon.into());
        let direction = scaled(moment_1.clone(), step.combined_correction());
        let delta = Self::float_mul_scalar(
            Self::float_div(direction, divisor),
            step.learning_rate.into(),
        );
        (Self::float_sub(weight, delta), moment_1, moment_2)
    }

    /// One step of an LSTM's cell, of the gates' pre-activations `[batch, 4 · hidden]`, in the order input, forget, output, candidate, and
    /// the cell state: the gates behind their activations, `c' = f c + i tanh(g)` and `h' = o tanh(c')`.
    fn lstm_cell(
        gates: FloatTensor<Self>,
        cell: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        lstm::cell::<Self>(gates, cell)
    }

    /// The gradients of [`lstm_cell`](Self::lstm_cell) in the pre-activations and the cell state before, from the gates behind
    /// their activations, the cell states before and after, and the gradients of the hidden and the cell state.
    fn lstm_cell_backward(
        gates: FloatTensor<Self>,
        cells: [FloatTensor<Self>; 2],
        hidden_grad: FloatTensor<Self>,
        cell_grad: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        lstm::cell_backward::<Self>(gates, cells, hidden_grad, cell_grad)
    }

    /// `σ` or `σ²`, shaped like `rho`.
    fn spread(rho: FloatTensor<Self>, spread: Spread) -> FloatTensor<Self>;

    /// The gradient of [`spread`](Self::spread) in ρ.
    fn spread_backward(
        grad: FloatTensor<Self>,
        rho: FloatTensor<Self>,
        spread: Spread,
    ) -> FloatTensor<Self>;

    /// `m + √v ε` with `v` no smaller than [`SMALLEST_VARIANCE`](super::formula::SMALLEST_VARIANCE), shaped like `mean`.
    fn draw_output(
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        noise: NoiseSpan,
    ) -> FloatTensor<Self>;

    /// The gradient of [`draw_output`](Self::draw_output) in v, zero where v is below the smallest variance; the one in m is
    /// `grad` itself.
    fn draw_output_backward(
        grad: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        noise: NoiseSpan,
    ) -> FloatTensor<Self>;
}

/// The fused operations, differentiable: [`FusedKernels`] without the derivatives.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(feature = "cubecl"),
    Autodiff
)]
pub trait FusedOps: Backend {
    /// [`FusedKernels::standard_normal`].
    fn standard_normal(like: FloatTensor<Self>, noise: NoiseSpan) -> FloatTensor<Self>;

    /// [`FusedKernels::draw`].
    fn draw(mu: FloatTensor<Self>, rho: FloatTensor<Self>, noise: NoiseSpan) -> FloatTensor<Self>;

    /// [`FusedKernels::normal_sum`].
    fn normal_sum(
        mu: FloatTensor<Self>,
        rho: FloatTensor<Self>,
        form: NormalSum,
    ) -> FloatTensor<Self>;

    /// [`FusedKernels::draw_and_sum`], linked.
    fn draw_and_sum(
        mu: FloatTensor<Self>,
        rho: FloatTensor<Self>,
        noise: NoiseSpan,
        form: NormalSum,
        link: KlLink,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// `loss + weight · kl`, where the KL is linked to a draw.
    fn add_linked(
        loss: FloatTensor<Self>,
        kl: FloatTensor<Self>,
        weight: f64,
        link: KlLink,
    ) -> FloatTensor<Self>;

    /// [`FusedKernels::mixture_kl`].
    fn mixture_kl(
        mu: FloatTensor<Self>,
        rho: FloatTensor<Self>,
        noise: NoiseSpan,
        prior: ScaleMixture,
    ) -> FloatTensor<Self>;

    /// [`FusedKernels::adam_step`], without a gradient.
    fn adam_step(
        weight: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        moment_1: FloatTensor<Self>,
        moment_2: FloatTensor<Self>,
        step: AdamStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// An LSTM over a sequence of pre-activations `[steps, batch, 4 · hidden]`, to which each step adds the hidden state times `weight`:
    /// the hidden states, and behind them the last cell state, `[steps + 1, batch, hidden]`.
    fn lstm(
        pre_activations: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        hidden: FloatTensor<Self>,
        cell: FloatTensor<Self>,
    ) -> FloatTensor<Self>;

    /// [`FusedKernels::spread`].
    fn spread(rho: FloatTensor<Self>, spread: Spread) -> FloatTensor<Self>;

    /// [`FusedKernels::draw_output`].
    fn draw_output(
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        noise: NoiseSpan,
    ) -> FloatTensor<Self>;
}

/// `loss + weight · kl`.
pub(super) fn weighted_sum<B: Backend>(
    loss: FloatTensor<B>,
    kl: FloatTensor<B>,
    weight: f64,
) -> FloatTensor<B> {
    B::float_add(loss, B::float_mul_scalar(kl, weight.into()))
}

/// A backend without a gradient: its operations are its kernels.
#[cfg(any(feature = "flex", feature = "ndarray", feature = "cubecl"))]
macro_rules! ops_are_kernels {
    ($(@[$($generics:tt)*])? $backend:ty) => {
        impl$(<$($generics)*>)? FusedOps for $backend {
            fn standard_normal(like: FloatTensor<Self>, noise: NoiseSpan) -> FloatTensor<Self> {
                <Self as FusedKernels>::standard_normal(like, noise)
            }

            fn draw(
                mu: FloatTensor<Self>,
                rho: FloatTensor<Self>,
                noise: NoiseSpan,
            ) -> FloatTensor<Self> {
                <Self as FusedKernels>::draw(mu, rho, noise)
            }

            fn normal_sum(
                mu: FloatTensor<Self>,
                rho: FloatTensor<Self>,
                form: NormalSum,
            ) -> FloatTensor<Self> {
                <Self as FusedKernels>::normal_sum(mu, rho, form)
            }

            fn draw_and_sum(
                mu: FloatTensor<Self>,
                rho: FloatTensor<Self>,
                noise: NoiseSpan,
                form: NormalSum,
                _link: KlLink,
            ) -> (FloatTensor<Self>, FloatTensor<Self>) {
                <Self as FusedKernels>::draw_and_sum(mu, rho, noise, form)
            }

            fn add_linked(
                loss: FloatTensor<Self>,
                kl: FloatTensor<Self>,
                weight: f64,
                _link: KlLink,
            ) -> FloatTensor<Self> {
                weighted_sum::<Self>(loss, kl, weight)
            }

            fn mixture_kl(
                mu: FloatTensor<Self>,
                rho: FloatTensor<Self>,
                noise: NoiseSpan,
                prior: ScaleMixture,
            ) -> FloatTensor<Self> {
                <Self as FusedKernels>::mixture_kl(mu, rho, noise, prior)
            }

            fn adam_step(
                weight: FloatTensor<Self>,
                grad: FloatTensor<Self>,
                moment_1: FloatTensor<Self>,
                moment_2: FloatTensor<Self>,
                step: AdamStep,
            ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
                <Self as FusedKernels>::adam_step(weight, grad, moment_1, moment_2, step)
            }

            fn lstm(
                pre_activations: FloatTensor<Self>,
                weight: FloatTensor<Self>,
                hidden: FloatTensor<Self>,
                cell: FloatTensor<Self>,
            ) -> FloatTensor<Self> {
                LstmSteps::<Self>::run(pre_activations, &weight, hidden, cell).output()
            }

            fn spread(rho: FloatTensor<Self>, spread: Spread) -> FloatTensor<Self> {
                <Self as FusedKernels>::spread(rho, spread)
            }

            fn draw_output(
                mean: FloatTensor<Self>,
                variance: FloatTensor<Self>,
                noise: NoiseSpan,
            ) -> FloatTensor<Self> {
                <Self as FusedKernels>::draw_output(mean, variance, noise)
            }
        }
    };
}

#[cfg(feature = "flex")]
ops_are_kernels!(burn::backend::Flex);
#[cfg(feature = "ndarray")]
ops_are_kernels!(burn::backend::NdArray);
#[cfg(feature = "cubecl")]
ops_are_kernels!(burn_cubecl::CubeBackend);
#[cfg(feature = "cubecl")]
ops_are_kernels!(@[B: burn_fusion::FusionBackend + FusedKernels] burn_fusion::Fusion<B>);
