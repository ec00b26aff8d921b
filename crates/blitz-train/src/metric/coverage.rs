//! How often the predictive intervals hold the target.

use std::sync::Arc;

use burn::tensor::{Tensor, TensorReadError};
use burn::train::metric::state::{FormatOptions, NumericMetricState};
use burn::train::metric::{
    Metric, MetricAttributes, MetricMetadata, MetricName, Numeric, NumericAttributes, NumericEntry,
    SerializedEntry,
};

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
/// much as the level says.
#[derive(Clone)]
pub struct CoverageMetric {
    name: MetricName,
    level: f64,
    state: NumericMetricState,
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
        Self {
            name: Arc::new(format!("Coverage {}%", 100.0 * level)),
            level,
            state: NumericMetricState::default(),
        }
    }

    fn format(&self) -> FormatOptions {
        FormatOptions::new(self.name()).unit("%").precision(1)
    }
}

impl std::fmt::Debug for CoverageMetric {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CoverageMetric")
            .field("level", &self.level)
            .finish_non_exhaustive()
    }
}

impl Metric for CoverageMetric {
    type Input = CoverageInput;

    fn name(&self) -> MetricName {
        self.name.clone()
    }

    fn description(&self) -> Option<String> {
        Some(format!(
            "Share of targets inside the central {}% predictive interval",
            100.0 * self.level
        ))
    }

    fn attributes(&self) -> MetricAttributes {
        // Neither more nor less is better: the level is.
        NumericAttributes {
            unit: Some("%".to_string()),
            higher_is_better: true,
        }
        .into()
    }

    fn update(
        &mut self,
        item: &Self::Input,
        _metadata: &MetricMetadata,
    ) -> Result<SerializedEntry, TensorReadError> {
        // The interval between the quantiles holds the target where the distribution function lies between them.
        let inside = (item.cdf.clone() - 0.5)
            .abs()
            .lower_equal_elem(0.5 * self.level);
        let inside = inside.int().sum().try_into_scalar::<i64>()?;
        let count = item.cdf.shape().num_elements();
        self.state
            .update(100.0 * inside as f64 / count as f64, count);
        Ok(self.state.compute_update(self.format()))
    }

    fn compute(&mut self) -> Result<SerializedEntry, TensorReadError> {
        Ok(self.state.compute_final(self.format()))
    }

    fn clear(&mut self) {
        self.state.reset();
    }
}

impl Numeric for CoverageMetric {
    fn value(&self) -> Option<NumericEntry> {
        Some(self.state.current_value())
    }

    fn running_value(&self) -> Option<NumericEntry> {
        Some(self.state.running_value())
    }

    fn final_value(&self) -> NumericEntry {
        self.state.final_value()
    }
}
