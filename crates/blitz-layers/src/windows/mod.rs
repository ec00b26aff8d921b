//! Burn's layers that move a window over an input: their `forward`, by the library's own kernels where
//! [those](blitz_core::kernels) are faster.
//!
//! Whatever the library runs of them, it runs by these functions.

mod padding;

pub(crate) use padding::Padding;

use blitz_core::kernels;
use burn::nn::conv::{Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d};
use burn::nn::pool::MaxPool2d;
use burn::tensor::Tensor;
use burn::tensor::ops::{ConvOptions, MaxPoolOptions};

/// A convolution of Burn's. Burn has no trait over its six.
pub(crate) trait Convolve<const D: usize> {
    /// What `forward` returns, up to rounding.
    fn convolve(&self, input: Tensor<D>) -> Tensor<D>;
}

macro_rules! by_burn {
    ($($layer:ident: $rank:literal,)+) => {
        $(
            impl Convolve<$rank> for $layer {
                fn convolve(&self, input: Tensor<$rank>) -> Tensor<$rank> {
                    self.forward(input)
                }
            }
        )+
    };
}

by_burn! {
    Conv1d: 3,
    Conv3d: 5,
    ConvTranspose1d: 3,
    ConvTranspose2d: 4,
    ConvTranspose3d: 5,
}

impl Convolve<4> for Conv2d {
    fn convolve(&self, input: Tensor<4>) -> Tensor<4> {
        let Some(padding) = self.padding.explicit() else {
            return self.forward(input);
        };
        let padding = [padding[0], padding[1]];
        let options =
            ConvOptions::new_with_padding(self.stride, padding, self.dilation, self.groups);
        let bias = self.bias.as_ref().map(|bias| bias.val());
        kernels::conv2d(input, self.weight.val(), bias, options)
    }
}

/// What the layer's `forward` returns.
pub(crate) fn pool(layer: &MaxPool2d, input: Tensor<4>) -> Tensor<4> {
    let Some(padding) = layer.padding.explicit() else {
        return layer.forward(input);
    };
    let options = MaxPoolOptions::new(layer.kernel_size)
        .with_stride(layer.stride)
        .with_padding_pairs([padding[0], padding[1]])
        .with_dilation(layer.dilation)
        .with_ceil_mode(layer.ceil_mode);
    kernels::max_pool2d(input, options)
}
