//! Burn's activation layers.

use burn::nn::activation::{Gelu, LeakyRelu, Relu, SiLU, Sigmoid, Tanh};
use burn::tensor::activation;

use crate::moments::{Correlations, ForwardMoments, Moments};

macro_rules! activation {
    ($layer:ident, |$this:ident, $input:ident| $moments:expr) => {
        impl<const D: usize, C: Correlations> ForwardMoments<Moments<D, C>> for $layer {
            type Output = Moments<D, C>;

            fn forward_moments(&self, $input: Moments<D, C>) -> Moments<D, C> {
                let $this = self;
                $moments
            }
        }
    };
}

activation!(Relu, |_this, input| input.relu());
activation!(LeakyRelu, |this, input| input
    .leaky_relu(this.negative_slope));
activation!(Sigmoid, |_this, input| input.sigmoid());
activation!(SiLU, |_this, input| input.silu());
activation!(Tanh, |_this, input| input.tanh());
activation!(Gelu, |this, input| match this.approximate {
    true => input.of_activation(activation::gelu_approximate),
    false => input.gelu(),
});
