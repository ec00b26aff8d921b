//! A convolution in two dimensions, by a kernel of the library's own where that is faster than Burn's.

use burn::backend::Dispatch;
use burn::tensor::module::conv2d as burn_conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{DType, Tensor};

use super::backend::FusedOps;
use super::{fuses, has_registers, is_in_memory, kind};

/// The zeros before and after each axis of the input, and the steps between the elements of a kernel, which moves by
/// one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    pub(super) padding: [(usize, usize); 2],
    pub(super) dilation: [usize; 2],
}

impl Window {
    /// That of Burn's options, if it moves by one and the channels are not in groups.
    pub(super) fn of(options: &ConvOptions<2>) -> Option<Self> {
        let ConvOptions {
            stride,
            padding,
            dilation,
            groups,
        } = *options;
        let is_plain = stride == [1, 1] && groups == 1;
        is_plain.then_some(Self { padding, dilation })
    }

    pub(super) fn options(self) -> ConvOptions<2> {
        ConvOptions::new_with_padding([1, 1], self.padding, self.dilation, 1)
    }

    /// The positions that a kernel reaches over beyond its first one.
    pub(super) fn reach(self, axis: usize, kernel: usize) -> usize {
        self.dilation[axis] * kernel.saturating_sub(1)
    }

    /// The positions of the output; none if the kernel is larger than the padded input.
    pub(super) fn output(self, axis: usize, input: usize, kernel: usize) -> usize {
        let (before, after) = self.padding[axis];
        (before + input + after).saturating_sub(self.reach(axis, kernel))
    }
}

/// Burn's [`conv2d`](burn::tensor::module::conv2d), by a kernel of the library's own where that is faster.
///
/// That is on a CPU with AVX-512, AVX2 or NEON, on Flex and NdArray, for `f32` and `f64`, a stride of 1 and a single
/// group. The outputs and gradients differ from Burn's by their rounding: the terms are added in another order, which
/// doesn't depend on the number of threads.
///
/// ```
/// use blitz_core::kernels::conv2d;
/// use burn::tensor::ops::ConvOptions;
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let images = Tensor::<4>::ones([2, 1, 16, 16], &device);
/// let kernels = Tensor::ones([3, 1, 5, 5], &device);
/// let output = conv2d(images, kernels, None, ConvOptions::new([1, 1], [2, 2], [1, 1], 1));
/// assert_eq!(output.dims(), [2, 3, 16, 16]);
/// assert_eq!(output.max().into_scalar::<f32>(), 25.0);
/// ```
///
/// # Shapes
///
/// - input: `[batch_size, channels_in, height_in, width_in]`
/// - weight: `[channels_out, channels_in / groups, kernel_height, kernel_width]`
/// - bias: `[channels_out]`
/// - output: `[batch_size, channels_out, height_out, width_out]`
///
/// # Panics
///
/// As Burn's, where the input doesn't have the channels of the weight.
#[must_use]
pub fn conv2d(
    input: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    options: ConvOptions<2>,
) -> Tensor<4> {
    let Some(window) = window(&input, &weight, bias.as_ref(), &options) else {
        return burn_conv2d(input, weight, bias, options);
    };
    convolve(input, weight, bias, window)
}

/// A convolution by the kernel of the library's own, which has to fit.
pub(super) fn convolve(
    input: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    window: Window,
) -> Tensor<4> {
    let bias = bias.unwrap_or_else(|| {
        let [channels, ..] = weight.dims();
        Tensor::zeros([channels], (&weight.device(), weight.dtype()))
    });
    Tensor::from_dispatch(Dispatch::convolve(
        input.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        window,
    ))
}

/// How the kernel of the library's own is moved, where that is to run.
fn window(
    input: &Tensor<4>,
    weight: &Tensor<4>,
    bias: Option<&Tensor<1>>,
    options: &ConvOptions<2>,
) -> Option<Window> {
    let window = Window::of(options)?;
    let is_alike = match bias {
        Some(bias) => fuses([kind(input), kind(weight), kind(bias)]),
        None => fuses([kind(input), kind(weight)]),
    };
    let is_computable = has_registers()
        && is_alike
        && matches!(input.dtype(), DType::F32 | DType::F64)
        && is_in_memory(&input.device());
    (is_computable && fits(input.dims(), weight.dims(), bias, window)).then_some(window)
}

/// Products of an input and a weight from which on threads pay.
const FEWEST_PRODUCTS: usize = 1 << 15;

/// Positions of an output from which on few are computed in vain at the ends of rows.
const FEWEST_POSITIONS: usize = 7 * 7;

/// Whether the kernel is the faster one (`benches/src/bin/convolutions.rs` shows where), and its padding is enough for
/// the gradient of the input.
fn fits(
    [images, channels_in, height, width]: [usize; 4],
    [
        channels_out,
        channels_of_weight,
        kernel_height,
        kernel_width,
    ]: [usize; 4],
    bias: Option<&Tensor<1>>,
    window: Window,
) -> bool {
    let is_alike =
        channels_in == channels_of_weight && bias.is_none_or(|bias| bias.dims() == [channels_out]);
    let axes = [(height, kernel_height), (width, kernel_width)];
    let has_room = axes.into_iter().enumerate().all(|(axis, (size, kernel))| {
        let (before, after) = window.padding[axis];
        size > 0 && kernel > 0 && before.max(after) <= window.reach(axis, kernel)
    });
    let positions: usize = axes
        .into_iter()
        .enumerate()
        .map(|(axis, (size, kernel))| window.output(axis, size, kernel))
        .product();
    let weights = channels_out * channels_in * kernel_height * kernel_width;
    is_alike
        && has_room
        && positions >= FEWEST_POSITIONS
        && images * positions * weights >= FEWEST_PRODUCTS
}
