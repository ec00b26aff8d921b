//! The root mean square error of the predictive mean.

use burn::tensor::{Tensor, TensorReadError};

use super::running::{MeanSum, Running, Sums, running_metric};
use crate::check;
use crate::error::{InputError, or_panic};

/// `√(1/n Σ (μ_i − y_i)²)`, the root mean square error of point predictions.
///
/// In the units of the targets, at least 0, lower is better. It sees the predictive means alone, not their uncertainty.
///
/// ```
/// use blitz_train::metric::rmse;
///
/// assert!((rmse(&[1.0, 2.0], &[4.0, 6.0]) - 12.5f64.sqrt()).abs() < 1e-12);
/// ```
///
/// # Panics
///
/// Panics without predictions, unless there is one target for each, or if a value is not finite.
pub fn rmse(mean: &[f64], target: &[f64]) -> f64 {
    or_panic(try_rmse(mean, target))
}

/// As [`rmse`], with an error in place of a panic.
pub fn try_rmse(mean: &[f64], target: &[f64]) -> Result<f64, InputError> {
    check::targets(mean.len(), target)?;
    check::finite(mean, "mean")?;
    let squares = mean.iter().zip(target).map(|(m, y)| (m - y).powi(2));
    Ok((squares.sum::<f64>() / mean.len() as f64).sqrt())
}

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

/// The sum of squared errors; their root mean is the metric.
#[derive(Debug, Clone, Copy, Default)]
struct SquareSum(MeanSum);

impl Sums for SquareSum {
    fn merge(&mut self, more: &Self) {
        self.0.merge(&more.0);
    }

    fn count(&self) -> usize {
        self.0.count()
    }

    fn value(&self) -> f64 {
        self.0.value().sqrt()
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
        let error = item.mean.clone() - item.target.clone();
        let sum = error.square().sum().try_into_scalar::<f64>()?;
        Ok(SquareSum(MeanSum {
            sum: sum * self.scale * self.scale,
            count: item.mean.shape().num_elements(),
        }))
    }
}

impl Default for RmseMetric {
    fn default() -> Self {
        Self::new()
    }
}

running_metric!(RmseMetric, RmseInput);
