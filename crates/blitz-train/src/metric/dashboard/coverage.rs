//! How often the predictive intervals hold the target.

use blitz_layers::blitz_core::at_least_f32;
use blitz_predict::percent::percent;
use burn::tensor::{Tensor, TensorReadError};

use super::running::{MeanSum, Running, running_metric};

/// The predictive distribution functions at the targets.
#[derive(Debug, Clone)]
pub struct CoverageInput {
    cdf: Tensor<2>,
}

impl CoverageInput {
    /// The predictive distribution function at each target, of shape `[batch, targets]`.
    pub fn new(cdf: Tensor<2>) -> Self {
        Self { cdf }
    }
}

/// The share of targets inside the central predictive interval of a level, in percent. Calibrated predictions cover as
/// much as the level says. NaN where a target or a prediction is.
#[derive(Debug, Clone)]
pub struct CoverageMetric {
    level: f64,
    running: Running<MeanSum>,
}

impl CoverageMetric {
    /// Create the metric for the central intervals of probability `level`.
    ///
    /// # Panics
    ///
    /// Panics unless `level` lies inside (0, 1).
    pub fn new(level: f64) -> Self {
        assert!(
            level > 0.0 && level < 1.0,
            "an interval needs a level inside (0, 1), got {level}"
        );
        let name = format!("Coverage {}%", percent(level));
        // Neither more nor less is better: the level is.
        let running = Running::new(name, MeanSum::default())
            .unit("%")
            .precision(1)
            .higher_is_better();
        Self { level, running }
    }

    fn description(&self) -> String {
        format!(
            "Share of targets inside the central {}% predictive interval",
            percent(self.level)
        )
    }

    fn sums(&self, item: &CoverageInput) -> Result<MeanSum, TensorReadError> {
        // The interval between the quantiles holds the target where the distribution function lies between them.
        let from_median = (at_least_f32(item.cdf.clone()) - 0.5).abs();
        let inside = from_median.clone().lower_equal_elem(0.5 * self.level);
        let inside = inside.int().sum().try_into_scalar::<i64>()?;
        // A NaN is no number to be outside.
        let is_unknown = from_median.is_nan().any().try_into_scalar::<bool>()?;
        Ok(MeanSum {
            sum: if is_unknown {
                f64::NAN
            } else {
                100.0 * inside as f64
            },
            count: item.cdf.shape().num_elements(),
        })
    }
}

running_metric!(CoverageMetric, CoverageInput);
