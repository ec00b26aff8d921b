//! Max pooling of 2×2 in one pass, with its gradient made from the input again.

use burn::backend::Dispatch;
use burn::tensor::module::max_pool2d as burn_max_pool2d;
use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{DType, Tensor};

use super::backend::FusedOps;
use super::{fuses, is_in_memory, kind};

/// Burn's [`max_pool2d`](burn::tensor::module::max_pool2d), by a kernel of the library's own on a CPU where the windows
/// are 2×2, side by side and without padding.
///
/// The outputs and gradients are those of Burn's Flex to the bit: a window's gradient goes to the first of its largest
/// elements, and if there is a NaN, to the last one. (Burn's NdArray takes no NaN for the largest.)
///
/// ```
/// use blitz_core::kernels::max_pool2d;
/// use burn::tensor::ops::MaxPoolOptions;
/// use burn::tensor::{Device, Tensor};
///
/// let image = Tensor::<4>::from_data([[[[1., 2., 3.], [4., 0., 5.], [6., 7., 8.]]]], &Device::flex());
/// let largest = max_pool2d(image, MaxPoolOptions::new([2, 2]));
/// assert_eq!(largest.dims(), [1, 1, 1, 1]);
/// assert_eq!(largest.into_scalar::<f32>(), 4.0);
/// ```
///
/// # Shapes
///
/// - input: `[batch_size, channels, height, width]`
/// - output: `[batch_size, channels, height_out, width_out]`
#[must_use]
pub fn max_pool2d(input: Tensor<4>, options: MaxPoolOptions<2>) -> Tensor<4> {
    let [.., height, width] = input.dims();
    let MaxPoolOptions {
        kernel_size,
        stride,
        padding,
        dilation,
        ceil_mode,
    } = options;
    let is_plain = kernel_size == [2, 2]
        && stride == [2, 2]
        && padding == [(0, 0); 2]
        && dilation == [1, 1]
        && !(ceil_mode && (height % 2 != 0 || width % 2 != 0));
    let is_computable = fuses([kind(&input)])
        && matches!(input.dtype(), DType::F32 | DType::F64)
        && is_in_memory(&input.device());
    if is_plain && is_computable && height > 1 && width > 1 && input.shape().num_elements() > 0 {
        return Tensor::from_dispatch(Dispatch::pool(input.into_dispatch()));
    }
    burn_max_pool2d(input, options)
}
