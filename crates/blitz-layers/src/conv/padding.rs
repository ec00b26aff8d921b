//! The zeros around an input.
//!
//! `Same` is PyTorch's and TensorFlow's: `⌈length / stride⌉` positions, whatever the kernel, its stride and its dilation, with the odd zero at the end.
//! Burn 0.22 leaves dilation out of account, and so returns fewer positions for a dilation above 1; in three dimensions it refuses the odd zero.

use burn::nn::{PaddingConfig1d, PaddingConfig2d, PaddingConfig3d};
use burn::tensor::Tensor;

use super::check::{Axes, Window};

/// A padding as Burn's layers are told.
pub(super) trait Padding: Clone {
    /// The zeros before and after each axis; `None` where they depend on the input (`Same`).
    fn explicit(&self) -> Option<Vec<(usize, usize)>>;

    /// The padding with these zeros, or `None` if Burn has none.
    fn from_zeros(zeros: &[(usize, usize)]) -> Option<Self>;
}

impl Padding for PaddingConfig1d {
    fn explicit(&self) -> Option<Vec<(usize, usize)>> {
        match self {
            Self::Same => None,
            Self::Valid => Some(vec![(0, 0)]),
            Self::Explicit(left, right) => Some(vec![(*left, *right)]),
        }
    }

    fn from_zeros(zeros: &[(usize, usize)]) -> Option<Self> {
        let (left, right) = zeros[0];
        Some(Self::Explicit(left, right))
    }
}

impl Padding for PaddingConfig2d {
    fn explicit(&self) -> Option<Vec<(usize, usize)>> {
        match self {
            Self::Same => None,
            Self::Valid => Some(vec![(0, 0); 2]),
            Self::Explicit(top, left, bottom, right) => {
                Some(vec![(*top, *bottom), (*left, *right)])
            }
        }
    }

    fn from_zeros(zeros: &[(usize, usize)]) -> Option<Self> {
        let ((top, bottom), (left, right)) = (zeros[0], zeros[1]);
        Some(Self::Explicit(top, left, bottom, right))
    }
}

impl Padding for PaddingConfig3d {
    fn explicit(&self) -> Option<Vec<(usize, usize)>> {
        match self {
            Self::Same => None,
            Self::Valid => Some(vec![(0, 0); 3]),
            Self::Explicit(depth, height, width) => {
                Some(vec![(*depth, *depth), (*height, *height), (*width, *width)])
            }
        }
    }

    fn from_zeros(zeros: &[(usize, usize)]) -> Option<Self> {
        let is_symmetric = zeros.iter().all(|(before, after)| before == after);
        is_symmetric.then(|| Self::Explicit(zeros[0].0, zeros[1].0, zeros[2].0))
    }
}

impl<P: Padding> Window<'_, (&P,)> {
    /// The zeros before and after each axis of an input with so many positions.
    pub fn zeros(&self, input: &[usize]) -> Vec<(usize, usize)> {
        let same = |(axis, size): (usize, &usize)| {
            let stride = self.stride[axis];
            let padded = match size.div_ceil(stride) {
                0 => 0,
                output => (output - 1) * stride + self.reach(axis),
            };
            let total = padded.saturating_sub(*size);
            (total / 2, total - total / 2)
        };
        let explicit = self.padding.0.explicit();
        explicit.unwrap_or_else(|| input.iter().enumerate().map(same).collect())
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
