//! The fused operations as Burn sees them: on one backend's primitives, and dispatched to whichever backend a tensor is
//! on.
#![allow(deprecated)] // ndarray stays supported here.

use burn::backend::{Backend, TensorMetadata, backend_extension, tensor::FloatTensor};
use burn::tensor::{IntDType, TensorData};

use super::convolution::Window;
use super::formula::{AdamStep, IvonStep, Map, NoiseSpan, NormalSum, Rectified, Sum};
use super::linked::KlLink;
#[cfg(any(feature = "flex", feature = "ndarray", feature = "cubecl"))]
use super::linked::{LinkedKernels, weighted_sum};
use super::lstm::LstmSteps;
use super::random::Random;

/// The fused operations and their derivatives on the primitives of one backend.
///
/// Tensors are read in row-major order, whatever their strides. The two of an operation have the same number of
/// elements, not necessarily the same shape. Arithmetic is in `f32`, or in `f64` for `f64` tensors; half-precision
/// tensors are rounded once, at the end.
pub trait FusedKernels: Backend {
    /// The operation's output, shaped like `location` and of its type.
    fn map(location: FloatTensor<Self>, scale: FloatTensor<Self>, op: Map) -> FloatTensor<Self>;

    /// The gradient of [`map`](Self::map) in the scale, shaped like it; the one in a location that is read is `grad`
    /// itself.
    fn map_backward(
        grad: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        op: Map,
    ) -> FloatTensor<Self>;

    /// The sum, of shape `[1]`: in `f64` of `f64` tensors, and in `f32` of all others.
    fn sum(mu: FloatTensor<Self>, rho: FloatTensor<Self>, op: Sum) -> FloatTensor<Self>;

    /// The gradients of [`sum`](Self::sum) in μ and ρ, shaped like these and of their type.
    fn sum_backward(
        grad: FloatTensor<Self>,
        mu: FloatTensor<Self>,
        rho: FloatTensor<Self>,
        op: Sum,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// Numbers shaped like `memory`, whose own do not matter, and of its type.
    fn random(memory: FloatTensor<Self>, op: Random) -> FloatTensor<Self> {
        let (shape, dtype) = (memory.shape(), memory.dtype());
        let values = TensorData::new(op.values(shape.num_elements()), shape);
        Self::float_from_data(values.convert_dtype(dtype), &memory.device())
    }

    /// The weight, and the first and second moments of its gradient, after a step of Adam. Buffers that nobody else
    /// holds are written over.
    fn adam_step(
        weight: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        moment_1: FloatTensor<Self>,
        moment_2: FloatTensor<Self>,
        step: AdamStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// The mean, h and the mean of the gradient after a step of IVON, of mean, gradient, the gradient in h, h and the
    /// mean of the gradient; and `1 − β₁ᵗ`, of shape `[1]`.
    fn ivon_step(
        inputs: [FloatTensor<Self>; 5],
        momentum_weight: FloatTensor<Self>,
        step: IvonStep,
    ) -> [FloatTensor<Self>; 3];

    /// An LSTM's steps over a sequence of pre-activations. Step by step, where a backend has nothing better.
    fn lstm_steps(
        pre_activations: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        hidden: FloatTensor<Self>,
        cell: FloatTensor<Self>,
    ) -> LstmSteps<Self> {
        LstmSteps::run(pre_activations, &weight, hidden, cell)
    }

    /// The gradients in the pre-activations, the weight and the initial hidden and cell states, from that of
    /// [`LstmSteps::output`].
    fn lstm_backward(
        steps: LstmSteps<Self>,
        grad: FloatTensor<Self>,
        weight: FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 4] {
        steps.backward(grad, weight)
    }

    /// One step of an LSTM's cell, of the gates' pre-activations `[batch, 4 · hidden]`, in the order input, forget,
    /// output, candidate, and the cell state: the gates after their activations, `c' = f c + i tanh(g)` and `h' = o
    /// tanh(c')`.
    fn lstm_cell(
        gates: FloatTensor<Self>,
        cell: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// The gradients of [`lstm_cell`](Self::lstm_cell) in the pre-activations and the cell state before, from the gates
    /// after their activations, the cell states before and after, and the gradients of the hidden and the cell state.
    fn lstm_cell_backward(
        gates: FloatTensor<Self>,
        cells: [FloatTensor<Self>; 2],
        hidden_grad: FloatTensor<Self>,
        cell_grad: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// A convolution in two dimensions, plus the bias. By Burn's where a backend has no kernel.
    fn convolve(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        window: Window,
    ) -> FloatTensor<Self> {
        Self::conv2d(input, weight, Some(bias), window.options())
    }

    /// The gradients of [`convolve`](Self::convolve) in the input, the weight and the bias, as far as they are wanted.
    /// By Burn's where a backend has no kernel.
    fn convolve_backward(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        window: Window,
        [of_input, of_weight, of_bias]: [bool; 3],
    ) -> [Option<FloatTensor<Self>>; 3] {
        let (x, w, g) = (&input, &weight, &grad);
        let args = || (x.clone(), w.clone(), g.clone());
        [
            of_input.then(|| {
                let (x, w, g) = args();
                Self::conv2d_x_backward(x, w, g, window.options())
            }),
            of_weight.then(|| {
                let (x, w, g) = args();
                Self::conv2d_weight_backward(x, w, g, window.options())
            }),
            of_bias.then(|| {
                let channels = w.shape()[0];
                let bias = Self::float_zeros([channels].into(), &w.device(), w.dtype().into());
                Self::conv2d_bias_backward(x.clone(), bias, g.clone())
            }),
        ]
    }

    /// A moment of rectified normals, of `f32` tensors in a CPU's memory. Where tensors are elsewhere nothing asks for
    /// it: there it is made of Burn's operations.
    fn rectify(
        mean: FloatTensor<Self>,
        _variance: FloatTensor<Self>,
        _op: Rectified,
    ) -> FloatTensor<Self> {
        unreachable!("{:?} has no kernel of rectified moments", mean.device())
    }

    /// The gradients of [`rectify`](Self::rectify) in the mean and the variance.
    fn rectify_backward(
        grad: FloatTensor<Self>,
        _mean: FloatTensor<Self>,
        _variance: FloatTensor<Self>,
        _op: Rectified,
    ) -> [FloatTensor<Self>; 2] {
        unreachable!("{:?} has no kernel of rectified moments", grad.device())
    }

    /// The largest of each window of 2×2, of `[batch, channels, height, width]`. By Burn's where a backend has no
    /// kernel.
    fn pool(input: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::max_pool2d(input, [2, 2], [2, 2], [0, 0], [1, 1], false)
    }

    /// The gradient of [`pool`](Self::pool): that of a window goes to its first largest element, or to its last NaN. By
    /// Burn's where a backend has no kernel.
    fn pool_backward(input: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self> {
        let [two, none, one] = [[2, 2], [0, 0], [1, 1]];
        let indices =
            Self::max_pool2d_with_indices(input.clone(), two, two, none, one, false, IntDType::I64);
        let indices = indices.indices;
        Self::max_pool2d_with_indices_backward(input, two, two, none, one, false, grad, indices)
            .x_grad
    }
}

/// The fused operations, differentiable: [`FusedKernels`] without the derivatives.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(feature = "cubecl"),
    Autodiff
)]
pub trait FusedOps: Backend {
    /// [`FusedKernels::map`].
    fn map(location: FloatTensor<Self>, scale: FloatTensor<Self>, op: Map) -> FloatTensor<Self>;

    /// [`FusedKernels::sum`].
    fn sum(mu: FloatTensor<Self>, rho: FloatTensor<Self>, op: Sum) -> FloatTensor<Self>;

    /// [`FusedKernels::random`].
    fn random(memory: FloatTensor<Self>, op: Random) -> FloatTensor<Self>;

    /// [`LinkedKernels::draw_and_sum`], linked.
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

    /// [`FusedKernels::adam_step`], without a gradient.
    fn adam_step(
        weight: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        moment_1: FloatTensor<Self>,
        moment_2: FloatTensor<Self>,
        step: AdamStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// [`FusedKernels::ivon_step`], without a gradient.
    fn ivon_step(
        mean: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        grad_hess: FloatTensor<Self>,
        hess: FloatTensor<Self>,
        momentum: FloatTensor<Self>,
        momentum_weight: FloatTensor<Self>,
        step: IvonStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// An LSTM over a sequence of pre-activations `[steps, batch, 4 · hidden]`, to which each step adds the hidden
    /// state times `weight`: the hidden states, and after them the last cell state, `[steps + 1, batch, hidden]`.
    fn lstm(
        pre_activations: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        hidden: FloatTensor<Self>,
        cell: FloatTensor<Self>,
    ) -> FloatTensor<Self>;

    /// [`FusedKernels::convolve`].
    fn convolve(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        window: Window,
    ) -> FloatTensor<Self>;

    /// [`FusedKernels::rectify`].
    fn rectify(
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        op: Rectified,
    ) -> FloatTensor<Self>;

    /// [`FusedKernels::pool`].
    fn pool(input: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// A backend without a gradient: its operations are its kernels.
#[cfg(any(feature = "flex", feature = "ndarray", feature = "cubecl"))]
macro_rules! ops_are_kernels {
    ($(@[$($generics:tt)*])? $backend:ty) => {
        impl$(<$($generics)*>)? FusedOps for $backend {
            fn map(
                location: FloatTensor<Self>,
                scale: FloatTensor<Self>,
                op: Map,
            ) -> FloatTensor<Self> {
                <Self as FusedKernels>::map(location, scale, op)
            }

            fn sum(mu: FloatTensor<Self>, rho: FloatTensor<Self>, op: Sum) -> FloatTensor<Self> {
                <Self as FusedKernels>::sum(mu, rho, op)
            }

            fn random(memory: FloatTensor<Self>, op: Random) -> FloatTensor<Self> {
                <Self as FusedKernels>::random(memory, op)
            }

            fn draw_and_sum(
                mu: FloatTensor<Self>,
                rho: FloatTensor<Self>,
                noise: NoiseSpan,
                form: NormalSum,
                _link: KlLink,
            ) -> (FloatTensor<Self>, FloatTensor<Self>) {
                <Self as LinkedKernels>::draw_and_sum(mu, rho, noise, form)
            }

            fn add_linked(
                loss: FloatTensor<Self>,
                kl: FloatTensor<Self>,
                weight: f64,
                _link: KlLink,
            ) -> FloatTensor<Self> {
                weighted_sum::<Self>(loss, kl, weight)
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

            fn ivon_step(
                mean: FloatTensor<Self>,
                grad: FloatTensor<Self>,
                grad_hess: FloatTensor<Self>,
                hess: FloatTensor<Self>,
                momentum: FloatTensor<Self>,
                momentum_weight: FloatTensor<Self>,
                step: IvonStep,
            ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
                let inputs = [mean, grad, grad_hess, hess, momentum];
                <Self as FusedKernels>::ivon_step(inputs, momentum_weight, step).into()
            }

            fn lstm(
                pre_activations: FloatTensor<Self>,
                weight: FloatTensor<Self>,
                hidden: FloatTensor<Self>,
                cell: FloatTensor<Self>,
            ) -> FloatTensor<Self> {
                <Self as FusedKernels>::lstm_steps(pre_activations, weight, hidden, cell).output()
            }

            fn convolve(
                input: FloatTensor<Self>,
                weight: FloatTensor<Self>,
                bias: FloatTensor<Self>,
                window: Window,
            ) -> FloatTensor<Self> {
                <Self as FusedKernels>::convolve(input, weight, bias, window)
            }

            fn rectify(
                mean: FloatTensor<Self>,
                variance: FloatTensor<Self>,
                op: Rectified,
            ) -> FloatTensor<Self> {
                <Self as FusedKernels>::rectify(mean, variance, op)
            }

            fn pool(input: FloatTensor<Self>) -> FloatTensor<Self> {
                <Self as FusedKernels>::pool(input)
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
ops_are_kernels!(@[B: burn_fusion::FusionBackend + LinkedKernels] burn_fusion::Fusion<B>);
