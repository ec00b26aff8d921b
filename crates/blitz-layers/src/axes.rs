//! Where a layer's tensors keep their features, and how the axes of input, weight and output belong together.

use burn::tensor::{Shape, Tensor};

/// Where a layer's tensors keep their features, and so what a *row* is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Features {
    /// On the last axis; everything before it counts rows.
    Last,
    /// On the last axis; the first counts rows, and those between are positions, at which the row's weights are the same.
    LastAfterPositions,
    /// On axis 1, after the rows; the axes after it are positions, at which the row's weights are the same.
    Second,
}

impl Features {
    /// The axis of the features, of so many.
    pub fn axis(self, axes: usize) -> usize {
        match self {
            Self::Last | Self::LastAfterPositions => axes - 1,
            Self::Second => 1,
        }
    }

    /// The shape of one sign for each row and feature.
    pub fn signs(self, shape: &Shape) -> Shape {
        let mut dims = shape.as_slice().to_vec();
        match (self, &mut dims[..]) {
            (Self::Second, [_, _, positions @ ..])
            | (Self::LastAfterPositions, [_, positions @ .., _]) => {
                positions.fill(1);
            }
            _ => (),
        }
        Shape::from(dims)
    }
}

/// What the first axis of a layer's weight stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rows {
    /// The input's features.
    Inputs,
    /// The output's features.
    Outputs,
}

/// How the axes of a layer's input, weight and output belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LayerAxes {
    /// Where the features of the input and of the output are.
    pub features: Features,
    /// What the rows of the weight are.
    pub rows: Rows,
    /// The groups of features that are apart.
    pub groups: usize,
}

/// The values on this axis of a tensor of `D` axes, with one place on all others.
pub(crate) fn along<const D: usize>(values: Tensor<1>, axis: usize) -> Tensor<D> {
    let mut dims = [1; D];
    dims[axis] = values.dims()[0];
    values.reshape(dims)
}
