//! Rows of a table as tensors, scaled by the rows that train.

use std::sync::Arc;

use crate::tabular::{DataError, Table};
use blitz_train::prelude::*;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataloader::{DataLoader, DataLoaderBuilder};
use burn::data::dataset::InMemDataset;
use burn::tensor::{Device, Tensor, TensorData};
use rand::SeedableRng;
use rand::rngs::ChaCha12Rng;
use rand::seq::SliceRandom;

/// Numbers as a column, `[rows, 1]`.
pub fn column(values: &[f64], device: &Device) -> Tensor<2> {
    let values: Vec<f32> = values.iter().map(|value| *value as f32).collect();
    let rows = values.len();
    Tensor::from_data(TensorData::new(values, [rows, 1]), device)
}

/// How the columns of a table are scaled.
#[derive(Debug, Clone)]
pub struct Scales {
    features: Standardizer,
    target: Standardizer,
}

impl Scales {
    /// Of these rows.
    pub fn of(table: &Table, rows: &[usize]) -> Result<Self, DataError> {
        let (features, target) = table.standardizers(rows)?;
        Ok(Self { features, target })
    }

    /// A prediction in the unit of the target.
    pub fn unscaled(&self, predictive: NormalMixture) -> NormalMixture {
        self.target.inverse_predictive(predictive)
    }
}

/// Scaled rows, on a device.
#[derive(Debug, Clone)]
pub struct Rows {
    /// `[rows, features]`.
    pub inputs: Tensor<2>,
    /// `[rows, 1]`.
    pub targets: Tensor<2>,
}

impl Rows {
    /// Those of a table.
    pub fn of(table: &Table, rows: &[usize], scales: &Scales, device: &Device) -> Self {
        let inputs = scales.features.transform(&table.features_of(rows));
        let targets = scales.target.transform(&table.targets_of(rows));
        let columns = inputs.len() / rows.len();
        Self {
            inputs: Tensor::from_data(TensorData::new(inputs, [rows.len(), columns]), device),
            targets: Tensor::from_data(TensorData::new(targets, [rows.len(), 1]), device),
        }
    }

    /// All of them as one batch, for what reads a data loader.
    pub fn loader(&self) -> Arc<dyn DataLoader<LabeledBatch<Tensor<2>, Tensor<2>>>> {
        let rows = InMemDataset::new((0..self.count()).collect());
        DataLoaderBuilder::new(Whole(self.clone()))
            .batch_size(self.count())
            .build(rows)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.targets.dims()[0]
    }

    /// Features of a row.
    pub fn features(&self) -> usize {
        self.inputs.dims()[1]
    }
}

/// Makes a batch of all rows, in their order.
struct Whole(Rows);

impl Batcher<usize, LabeledBatch<Tensor<2>, Tensor<2>>> for Whole {
    fn batch(&self, _rows: Vec<usize>, _device: &Device) -> LabeledBatch<Tensor<2>, Tensor<2>> {
        LabeledBatch {
            inputs: self.0.inputs.clone(),
            targets: self.0.targets.clone(),
        }
    }
}

/// Batches without end: each pass over the rows in another order, an incomplete last batch left out.
#[derive(Debug)]
pub struct Batches<'a> {
    rows: &'a Rows,
    size: usize,
    order: Vec<i64>,
    next: usize,
    rng: ChaCha12Rng,
}

impl<'a> Batches<'a> {
    /// Batches of `size`, or of all rows if there are fewer.
    pub fn new(rows: &'a Rows, size: usize, seed: u64) -> Self {
        Self {
            rows,
            size: size.min(rows.count()),
            order: (0..rows.count() as i64).collect(),
            next: usize::MAX,
            rng: ChaCha12Rng::seed_from_u64(seed),
        }
    }

    /// The next.
    pub fn draw(&mut self) -> LabeledBatch<Tensor<2>, Tensor<2>> {
        if self.next.saturating_add(self.size) > self.order.len() {
            self.order.shuffle(&mut self.rng);
            self.next = 0;
        }
        let chosen = &self.order[self.next..self.next + self.size];
        self.next += self.size;
        let chosen = TensorData::new(chosen.to_vec(), [self.size]);
        let chosen = Tensor::from_data(chosen, &self.rows.inputs.device());
        LabeledBatch {
            inputs: self.rows.inputs.clone().select(0, chosen.clone()),
            targets: self.rows.targets.clone().select(0, chosen),
        }
    }
}
