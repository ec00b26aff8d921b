//! Rows of a table as tensors, scaled by the rows that train.

use std::sync::Arc;

use crate::tabular::{DataError, Table};
use blitz_train::prelude::*;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataloader::{DataLoader, DataLoaderBuilder};
use burn::data::dataset::InMemDataset;
use burn::tensor::{Device, Int, Tensor, TensorData};
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

/// What was observed for each row.
pub trait Targets: Clone + Send + Sync + std::fmt::Debug + 'static {
    /// For how many rows.
    fn count(&self) -> usize;

    /// For the rows at these places.
    fn at(&self, places: Tensor<1, Int>) -> Self;
}

impl Targets for Tensor<2> {
    fn count(&self) -> usize {
        self.dims()[0]
    }

    fn at(&self, places: Tensor<1, Int>) -> Self {
        self.clone().select(0, places)
    }
}

impl Targets for Tensor<1, Int> {
    fn count(&self) -> usize {
        self.dims()[0]
    }

    fn at(&self, places: Tensor<1, Int>) -> Self {
        self.clone().select(0, places)
    }
}

/// Scaled rows, on a device.
#[derive(Debug, Clone)]
pub struct Rows<T = Tensor<2>> {
    /// `[rows, features]`.
    pub inputs: Tensor<2>,
    /// `[rows, 1]` of numbers, `[rows]` of labels.
    pub targets: T,
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
}

impl<T: Targets> Rows<T> {
    /// All of them as one batch, for what reads a data loader.
    pub fn loader(&self) -> Arc<dyn DataLoader<LabeledBatch<Tensor<2>, T>>> {
        let rows = InMemDataset::new((0..self.count()).collect());
        DataLoaderBuilder::new(Whole(self.clone()))
            .batch_size(self.count())
            .set_device(self.inputs.device())
            .build(rows)
    }

    /// All of them as one batch.
    pub fn batch(&self) -> LabeledBatch<Tensor<2>, T> {
        LabeledBatch {
            inputs: self.inputs.clone(),
            targets: self.targets.clone(),
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.targets.count()
    }

    /// Features of a row.
    pub fn features(&self) -> usize {
        self.inputs.dims()[1]
    }

    /// The first `count`, and the others.
    pub fn divided(&self, count: usize) -> (Self, Self) {
        let all = self.count() as i64;
        let part = |places: std::ops::Range<i64>| {
            let batch = self.at(Tensor::arange(places, &self.inputs.device()));
            Self {
                inputs: batch.inputs,
                targets: batch.targets,
            }
        };
        (part(0..count as i64), part(count as i64..all))
    }

    fn at(&self, places: Tensor<1, Int>) -> LabeledBatch<Tensor<2>, T> {
        LabeledBatch {
            inputs: self.inputs.clone().select(0, places.clone()),
            targets: self.targets.at(places),
        }
    }
}

/// Makes a batch of all rows, in their order.
struct Whole<T>(Rows<T>);

impl<T: Targets> Batcher<usize, LabeledBatch<Tensor<2>, T>> for Whole<T> {
    fn batch(&self, _rows: Vec<usize>, _device: &Device) -> LabeledBatch<Tensor<2>, T> {
        self.0.batch()
    }
}

/// Batches without end: each pass over the rows in another order, an incomplete last batch left out.
#[derive(Debug)]
pub struct Batches<'a, T = Tensor<2>> {
    rows: &'a Rows<T>,
    size: usize,
    order: Vec<i64>,
    next: usize,
    rng: ChaCha12Rng,
}

impl<'a, T: Targets> Batches<'a, T> {
    /// Batches of `size`, or of all rows if there are fewer.
    pub fn new(rows: &'a Rows<T>, size: usize, seed: u64) -> Self {
        Self {
            rows,
            size: size.min(rows.count()),
            order: (0..rows.count() as i64).collect(),
            next: usize::MAX,
            rng: ChaCha12Rng::seed_from_u64(seed),
        }
    }

    /// The next.
    pub fn draw(&mut self) -> LabeledBatch<Tensor<2>, T> {
        if self.next.saturating_add(self.size) > self.order.len() {
            self.order.shuffle(&mut self.rng);
            self.next = 0;
        }
        let chosen = &self.order[self.next..self.next + self.size];
        self.next += self.size;
        let chosen = TensorData::new(chosen.to_vec(), [self.size]);
        self.rows
            .at(Tensor::from_data(chosen, &self.rows.inputs.device()))
    }
}
