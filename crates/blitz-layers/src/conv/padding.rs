//! The zeros around an input.
//!
//! `Same` is PyTorch's and TensorFlow's: `⌈length / stride⌉` positions, whatever the kernel, its stride and its
//! dilation, with the odd zero at the end. Burn 0.22 leaves dilation out of account, and so returns fewer positions for
//! a dilation above 1; in three dimensions it refuses the odd zero.

use burn::tensor::Tensor;

use super::check::{Axes, Window};
use crate::windows::Padding;

impl<P: Padding> Window<'_, (&P,)> {
    /// The zeros before and after each axis of an input with so many positions.
    pub fn zeros(&self, input: &[usize]) -> Vec<(usize, usize)> {
        let reach: Vec<_> = (0..input.len()).map(|axis| self.reach(axis)).collect();
        self.padding.0.zeros(input, &reach, self.stride)
    }
}

/// How an input and its padding come to Burn's layer.
pub(super) trait Pad<P> {
    /// The input, with the zeros that Burn cannot add, and the padding that adds the others.
    fn pad<const D: usize>(&self, input: Tensor<D>) -> (Tensor<D>, P);
}

impl<P: Padding> Pad<P> for Window<'_, (&P,)> {
    fn pad<const D: usize>(&self, input: Tensor<D>) -> (Tensor<D>, P) {
        if self.padding.0.explicit().is_some() {
            return (input, self.padding.0.clone());
        }
        let zeros = self.zeros(&input.dims()[2..]);
        if let Some(padding) = P::from_zeros(&zeros) {
            return (input, padding);
        }
        let mut padded = input;
        let mut symmetric = Vec::with_capacity(zeros.len());
        for (axis, (before, after)) in zeros.into_iter().enumerate() {
            let mut shape = padded.dims();
            shape[axis + 2] = after - before;
            if after > before {
                let end = Tensor::zeros(shape, (&padded.device(), padded.dtype()));
                padded = Tensor::cat(vec![padded, end], axis + 2);
            }
            symmetric.push((before, before));
        }
        let Some(padding) = P::from_zeros(&symmetric) else {
            unreachable!("every layer of Burn's pads both ends alike")
        };
        (padded, padding)
    }
}

/// A transposed convolution cuts off where others pad.
impl<A: Axes + Clone> Pad<A> for Window<'_, (&A, &A)> {
    fn pad<const D: usize>(&self, input: Tensor<D>) -> (Tensor<D>, A) {
        (input, self.padding.0.clone())
    }
}
