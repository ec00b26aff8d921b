//! The root mean square error of the predictive mean, over an epoch.

use blitz_layers::blitz_core::at_least_f32;
use burn::tensor::{Tensor, TensorReadError};

use super::running::{MeanSum, Running, Sums, running_metric};

/// The predictive means and the targets.
#[derive(Debug, Clone)]
pub struct RmseInput {
    mean: Tensor<2>,
    target: Tensor<2>,
}

impl RmseInput {
    /// Predictive means and targets, both of shape `[batch, targets]`.
    pub fn new(mean: Tensor<2>, target: Tensor<2>) -> Self {
        Self { mean, target }
    }
}

/// The root mean square error of the predictive mean over the epoch: the root is taken last, over all examples.
#[derive(Debug, Clone)]
pub struct RmseMetric {
    scale: f64,
    running: Running<SquareSum>,
}

/// The sum of squared errors; their root mean times the scale is the metric.
#[derive(Debug, Clone, Copy, Default)]
struct SquareSum {
    squares: MeanSum,
    /// That of the metric, which is of all sums. It is no factor of the squares, in which one below 1e-162 would be 0.
    scale: f64,
}

impl Sums for SquareSum {
    fn merge(&mut self, more: &Self) {
        self.squares.merge(&more.squares);
        self.scale = more.scale;
    }

    fn count(&self) -> usize {
        self.squares.count()
    }

    fn value(&self) -> f64 {
        self.scale * self.squares.value().sqrt()
    }
}

impl RmseMetric {
    /// Create the metric, in the units of the targets as the network sees them.
    pub fn new() -> Self {
        Self {
            scale: 1.0,
            running: Running::new("RMSE", SquareSum::default()),
        }
    }

    /// Reports the error multiplied by `scale`: the targets' deviation if they were standardized.
    #[must_use]
    pub fn with_scale(mut self, scale: f64) -> Self {
        self.scale = scale;
        self
    }

    fn description(&self) -> String {
        "Root mean square error of the predictive mean".to_string()
    }

    fn sums(&self, item: &RmseInput) -> Result<SquareSum, TensorReadError> {
        let mean = at_least_f32(item.mean.clone());
        let error = (item.target.clone().cast(mean.dtype()) - mean).abs();
        let count = item.mean.shape().num_elements();
        // In units of the largest, since a square may be beyond `f32`, or below it.
        let largest = error.clone().max();
        let unit = largest.clone().try_into_scalar::<f64>()?;
        let sum = match unit == 0.0 || !unit.is_finite() {
            true => unit,
            false => (error / largest.unsqueeze())
                .square()
                .sum()
                .try_into_scalar()?,
        };
        let squares = MeanSum {
            sum: sum * unit.powi(2),
            count,
        };
        Ok(SquareSum {
            squares,
            scale: self.scale,
        })
    }
}

impl Default for RmseMetric {
    fn default() -> Self {
        Self::new()
    }
}

running_metric!(RmseMetric, RmseInput);
