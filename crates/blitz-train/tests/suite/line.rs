//! The rows of a line in batches, and batches at which something happens.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use blitz_train::prelude::*;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataloader::{DataLoader, DataLoaderBuilder};
use burn::data::dataset::InMemDataset;
use burn::tensor::{Device, Tensor};

/// An input and a target.
pub(crate) type Row = ([f32; 1], [f32; 1]);
pub(crate) type Rows = LabeledBatch<Tensor<2>, Tensor<2>>;

/// y = 2 x + 1 on 40 points.
pub(crate) fn line() -> Vec<Row> {
    (0..40)
        .map(|i| i as f32 / 20.0 - 1.0)
        .map(|x| ([x], [2.0 * x + 1.0]))
        .collect()
}

/// The rows in batches of eight, of a whole line five an epoch.
pub(crate) fn loader(rows: Vec<Row>) -> Arc<dyn DataLoader<Rows>> {
    in_batches(RowBatcher, rows)
}

/// A line's batches, before one of which, counted from 1 over all epochs, something happens, to its rows or elsewhere.
pub(crate) fn meanwhile(
    batch: usize,
    happens: impl Fn(&mut [Row]) + Send + Sync + 'static,
) -> Arc<dyn DataLoader<Rows>> {
    let batcher = Meanwhile {
        batch,
        seen: AtomicUsize::new(0),
        happens,
    };
    in_batches(batcher, line())
}

fn in_batches(
    batcher: impl Batcher<Row, Rows> + 'static,
    rows: Vec<Row>,
) -> Arc<dyn DataLoader<Rows>> {
    DataLoaderBuilder::new(batcher)
        .batch_size(8)
        .build(InMemDataset::new(rows))
}

struct Meanwhile<F> {
    batch: usize,
    seen: AtomicUsize,
    happens: F,
}

impl<F: Fn(&mut [Row]) + Send + Sync> Batcher<Row, Rows> for Meanwhile<F> {
    fn batch(&self, mut rows: Vec<Row>, device: &Device) -> Rows {
        if self.seen.fetch_add(1, Ordering::SeqCst) + 1 == self.batch {
            (self.happens)(&mut rows);
        }
        RowBatcher.batch(rows, device)
    }
}
