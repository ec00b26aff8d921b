//! The points, as the page has them and as a training takes them.

use std::sync::Arc;

use blitz_train::prelude::*;
use burn::data::dataloader::{DataLoader, DataLoaderBuilder};
use burn::data::dataset::InMemDataset;
use burn::tensor::{Device, Tensor, TensorData};

use crate::settings::InputError;

/// A point of the picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Its abscissa.
    pub x: f64,
    /// Its ordinate.
    pub y: f64,
}

impl Point {
    /// Those of numbers that are abscissa and ordinate in turn.
    ///
    /// # Errors
    ///
    /// Returns an error if the last one has no ordinate.
    pub fn pairs(numbers: &[f64]) -> Result<Vec<Self>, InputError> {
        let pairs = numbers.chunks_exact(2);
        match pairs.remainder() {
            [] => Ok(pairs
                .map(|pair| Self {
                    x: pair[0],
                    y: pair[1],
                })
                .collect()),
            _ => Err(InputError::Odd(numbers.len())),
        }
    }
}

/// The upper right corner of the picture, whose middle is the origin.
pub const FRAME: Point = Point { x: 4.0, y: 2.5 };

/// The most points that a training takes: each step passes through all of them.
pub const MOST_POINTS: usize = 200;

pub(crate) fn check(points: &[Point]) -> Result<(), InputError> {
    if points.len() > MOST_POINTS {
        return Err(InputError::TooMany(points.len()));
    }
    // Written so that a NaN is refused.
    let inside = |p: &&Point| p.x.abs() <= FRAME.x && p.y.abs() <= FRAME.y;
    match points.iter().find(|point| !inside(point)) {
        Some(point) => Err(InputError::Outside(*point)),
        None => Ok(()),
    }
}

/// The points as tensors that gradients are taken through, and by rows.
#[derive(Debug, Clone)]
pub(crate) struct Data {
    pub inputs: Tensor<2>,
    pub targets: Tensor<2>,
    rows: Vec<([f32; 1], [f32; 1])>,
}

impl Data {
    /// Of at least one point.
    pub fn new(points: &[Point], device: &Device) -> Self {
        let column = |value: fn(&Point) -> f64| {
            let values: Vec<f64> = points.iter().map(value).collect();
            column(&values, device)
        };
        let rows = points.iter().map(|p| ([p.x as f32], [p.y as f32]));
        Self {
            inputs: column(|point| point.x),
            targets: column(|point| point.y),
            rows: rows.collect(),
        }
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.rows.len()
    }

    /// A loader of all points in one batch, on a device without gradients. It works in the thread that asks.
    pub fn loader(
        &self,
        device: &Device,
    ) -> Arc<dyn DataLoader<LabeledBatch<Tensor<2>, Tensor<2>>>> {
        DataLoaderBuilder::new(RowBatcher)
            .batch_size(self.count())
            .set_device(device.clone())
            .build(InMemDataset::new(self.rows.clone()))
    }
}

/// Numbers as a column.
pub(crate) fn column(values: &[f64], device: &Device) -> Tensor<2> {
    let values: Vec<f32> = values.iter().map(|value| *value as f32).collect();
    let rows = values.len();
    Tensor::from_data(TensorData::new(values, [rows, 1]), device)
}
