//! The root mean square error of the predictive mean.

use std::sync::Arc;

use burn::tensor::{Tensor, TensorReadError};
use burn::train::metric::{
    Metric, MetricAttributes, MetricMetadata, MetricName, Numeric, NumericAttributes, NumericEntry,
    SerializedEntry, format_float,
};

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
    name: MetricName,
    scale: f64,
    batch: SumOfSquares,
    epoch: SumOfSquares,
}

#[derive(Debug, Clone, Copy, Default)]
struct SumOfSquares {
    sum: f64,
    count: usize,
}

impl SumOfSquares {
    fn root(self) -> f64 {
        (self.sum / self.count as f64).sqrt()
    }
}

impl RmseMetric {
    /// Create the metric, in the units of the targets as the network sees them.
    pub fn new() -> Self {
        Self {
            name: Arc::new("RMSE".to_string()),
            scale: 1.0,
            batch: SumOfSquares::default(),
            epoch: SumOfSquares::default(),
        }
    }

    /// Reports the error multiplied by `scale`: the targets' deviation if they were standardized.
    #[must_use]
    pub fn with_scale(mut self, scale: f64) -> Self {
        self.scale = scale;
        self
    }

    fn entry(&self, serialized: NumericEntry) -> SerializedEntry {
        let epoch = format_float(self.epoch.root() * self.scale, 3);
        let batch = format_float(self.batch.root() * self.scale, 3);
        SerializedEntry::new(
            format!("epoch {epoch} - batch {batch}"),
            serialized.serialize(),
        )
    }
}

impl Default for RmseMetric {
    fn default() -> Self {
        Self::new()
    }
}

impl Metric for RmseMetric {
    type Input = RmseInput;

    fn name(&self) -> MetricName {
        self.name.clone()
    }

    fn description(&self) -> Option<String> {
        Some("Root mean square error of the predictive mean".to_string())
    }

    fn attributes(&self) -> MetricAttributes {
        NumericAttributes {
            unit: None,
            higher_is_better: false,
        }
        .into()
    }

    fn update(
        &mut self,
        item: &Self::Input,
        _metadata: &MetricMetadata,
    ) -> Result<SerializedEntry, TensorReadError> {
        let error = item.mean.clone() - item.target.clone();
        self.batch = SumOfSquares {
            sum: error.square().sum().try_into_scalar::<f64>()?,
            count: item.mean.shape().num_elements(),
        };
        self.epoch.sum += self.batch.sum;
        self.epoch.count += self.batch.count;
        let batch = NumericEntry::Aggregated {
            aggregated_value: self.batch.root() * self.scale,
            count: self.batch.count,
        };
        Ok(self.entry(batch))
    }

    fn compute(&mut self) -> Result<SerializedEntry, TensorReadError> {
        Ok(self.entry(self.final_value()))
    }

    fn clear(&mut self) {
        self.batch = SumOfSquares::default();
        self.epoch = SumOfSquares::default();
    }
}

impl Numeric for RmseMetric {
    fn value(&self) -> Option<NumericEntry> {
        Some(NumericEntry::Aggregated {
            aggregated_value: self.batch.root() * self.scale,
            count: self.batch.count,
        })
    }

    fn running_value(&self) -> Option<NumericEntry> {
        Some(NumericEntry::Aggregated {
            aggregated_value: self.epoch.root() * self.scale,
            count: self.epoch.count,
        })
    }

    fn final_value(&self) -> NumericEntry {
        NumericEntry::Final(self.epoch.root() * self.scale)
    }
}
