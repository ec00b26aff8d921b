//! Burn's convolutions and their transposes. Exact at each position, of independent inputs; that positions share their
//! kernels is lost.

use burn::nn::conv::{Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d};

use crate::axes::Features;
use crate::moments::{ForwardMoments, Moments, propagate};
use crate::weights::for_one_call;
use crate::windows::Convolve;

/// Burn has no trait over its six convolutions.
macro_rules! convolution {
    ($($layer:ident: $rank:literal,)+) => {
        $(
            impl ForwardMoments<Moments<$rank>> for $layer {
                type Output = Moments<$rank>;

                fn forward_moments(&self, input: Moments<$rank>) -> Moments<$rank> {
                    let bias = self.bias.as_ref();
                    propagate(Features::Second, input, &self.weight, bias, |input, weight, bias| {
                        let layer = Self {
                            weight: for_one_call(weight),
                            bias: bias.map(for_one_call),
                            ..self.clone()
                        };
                        layer.convolve(input)
                    })
                }
            }
        )+
    };
}

convolution! {
    Conv1d: 3,
    Conv2d: 4,
    Conv3d: 5,
    ConvTranspose1d: 3,
    ConvTranspose2d: 4,
    ConvTranspose3d: 5,
}
