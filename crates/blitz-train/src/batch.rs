//! Batches of examples.

#[cfg(feature = "dataset")]
use burn::data::dataloader::batcher::Batcher;
#[cfg(feature = "dataset")]
use burn::tensor::{Device, Tensor, TensorData};

/// A batch of examples.
#[derive(Debug, Clone)]
pub struct LabeledBatch<I, T> {
    /// The network's input.
    pub inputs: I,
    /// What was observed.
    pub targets: T,
}

/// Batches of examples that are two rows of numbers each, an input and a target: arrays, or vectors.
///
/// ```
/// use blitz_train::prelude::*;
/// use burn::data::dataloader::batcher::Batcher;
/// use burn::tensor::Device;
///
/// let rows = vec![([0.1, 0.2], [1.0]), ([0.3, 0.4], [2.0]), ([0.5, 0.6], [3.0])];
/// let LabeledBatch { inputs, targets } = RowBatcher.batch(rows, &Device::flex());
/// assert_eq!(inputs.dims(), [3, 2]);
/// assert_eq!(targets.into_data().to_vec::<f32>().unwrap(), [1.0, 2.0, 3.0]);
/// ```
///
/// # Panics
///
/// Panics if a row is longer or shorter than the first of its batch.
#[cfg(feature = "dataset")]
#[derive(Debug, Clone, Copy, Default)]
pub struct RowBatcher;

#[cfg(feature = "dataset")]
impl<X, Y> Batcher<(X, Y), LabeledBatch<Tensor<2>, Tensor<2>>> for RowBatcher
where
    X: AsRef<[f32]> + Send + Sync,
    Y: AsRef<[f32]> + Send + Sync,
{
    fn batch(&self, rows: Vec<(X, Y)>, device: &Device) -> LabeledBatch<Tensor<2>, Tensor<2>> {
        LabeledBatch {
            inputs: table("an input", rows.iter().map(|(x, _)| x.as_ref()), device),
            targets: table("a target", rows.iter().map(|(_, y)| y.as_ref()), device),
        }
    }
}

#[cfg(feature = "dataset")]
fn table<'a>(
    name: &str,
    rows: impl ExactSizeIterator<Item = &'a [f32]> + Clone,
    device: &Device,
) -> Tensor<2> {
    let count = rows.len();
    let columns = rows.clone().next().map_or(0, <[f32]>::len);
    if let Some(row) = rows.clone().find(|row| row.len() != columns) {
        panic!(
            "{name} has {} numbers, the first of its batch has {columns}",
            row.len()
        );
    }
    let mut values = Vec::with_capacity(count * columns);
    rows.for_each(|row| values.extend_from_slice(row));
    Tensor::from_data(TensorData::new(values, [count, columns]), device)
}
