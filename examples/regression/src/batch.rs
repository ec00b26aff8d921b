//! Rows of a table as batches of tensors.

use blitz_train::prelude::Batch;
use burn::data::dataloader::batcher::Batcher;
use burn::tensor::{Device, Tensor, TensorData};

/// A standardized row.
#[derive(Debug, Clone)]
pub struct Item {
    /// Features.
    pub inputs: Vec<f32>,
    /// Target.
    pub target: f32,
}

/// Stacks [`Item`]s.
#[derive(Debug, Clone, Default)]
pub struct RowBatcher;

impl Batcher<Item, Batch<Tensor<2>, Tensor<2>>> for RowBatcher {
    fn batch(&self, items: Vec<Item>, device: &Device) -> Batch<Tensor<2>, Tensor<2>> {
        let rows = items.len();
        let columns = items.first().map_or(0, |item| item.inputs.len());
        let targets: Vec<f32> = items.iter().map(|item| item.target).collect();
        let inputs: Vec<f32> = items.into_iter().flat_map(|item| item.inputs).collect();
        Batch {
            inputs: Tensor::from_data(TensorData::new(inputs, [rows, columns]), device),
            targets: Tensor::from_data(TensorData::new(targets, [rows, 1]), device),
        }
    }
}
