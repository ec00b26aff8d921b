//! The features of a whole data loader, one batch at a time.

use burn::data::dataloader::DataLoader;
use burn::tensor::Tensor;
use nalgebra::DMatrix;

use super::super::error::{LaplaceError, TWICE, repeats, size};
use super::super::numbers::{finite, host};
use super::shape::LayerShape;
use crate::batch::LabeledBatch;

/// Hands each batch's features, with the ones for the bias, and its targets to `visit`, with the number of examples
/// before it; returns the number of all examples.
pub(super) fn for_each_batch<I: Clone, T>(
    data: &dyn DataLoader<LabeledBatch<I, T>>,
    features: impl Fn(I) -> Tensor<2>,
    shape: &LayerShape,
    mut visit: impl FnMut(DMatrix<f64>, T, usize) -> Result<(), LaplaceError>,
) -> Result<usize, LaplaceError> {
    let mut seen = 0;
    for batch in data.iter() {
        let batch = batch?;
        let again = (seen < TWICE).then(|| batch.inputs.clone());
        let rows = features(batch.inputs);
        if rows.is_autodiff() {
            return Err(LaplaceError::Training);
        }
        let [examples, width] = rows.dims();
        size("the number of features", shape.d_input, width)?;
        let rows = host(rows);
        finite(&rows, width, "a feature", seen)?;
        if let Some(inputs) = again {
            repeats("a feature", &rows, &host(features(inputs)), width, seen)?;
        }
        let phi = DMatrix::from_fn(examples, shape.row(), |i, j| {
            if j < width { rows[i * width + j] } else { 1.0 }
        });
        visit(phi, batch.targets, seen)?;
        seen += examples;
    }
    if seen == 0 {
        return Err(LaplaceError::Empty);
    }
    Ok(seen)
}
