//! What the dashboard's metrics share: sums over a batch that add up to those of the epoch, and how their value prints.

use std::fmt::Debug;
use std::sync::Arc;

use burn::train::metric::{
    MetricAttributes, MetricName, NumericAttributes, NumericEntry, SerializedEntry, format_float,
};

/// Sums over examples from which a metric's value follows, so that it weighs every example alike whatever the batch
/// sizes.
pub(super) trait Sums: Debug + Clone + Send + Sync + 'static {
    /// Adds those of further examples.
    fn merge(&mut self, more: &Self);
    /// The number of examples.
    fn count(&self) -> usize;
    /// The metric's value over them; NaN without examples.
    fn value(&self) -> f64;
}

/// The sum of a quantity whose mean is the metric.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct MeanSum {
    pub(super) sum: f64,
    pub(super) count: usize,
}

impl Sums for MeanSum {
    fn merge(&mut self, more: &Self) {
        self.sum += more.sum;
        self.count += more.count;
    }

    fn count(&self) -> usize {
        self.count
    }

    fn value(&self) -> f64 {
        self.sum / self.count as f64
    }
}

/// A metric's name, its direction, and its value over the last batch and the epoch so far.
#[derive(Debug, Clone)]
pub(super) struct Running<S> {
    name: MetricName,
    unit: Option<&'static str>,
    precision: usize,
    higher_is_better: bool,
    none: S,
    batch: S,
    epoch: S,
}

impl<S: Sums> Running<S> {
    /// Of no examples yet, whose sums are `none`. Prints with three digits, without a unit; lower is better.
    pub(super) fn new(name: impl Into<String>, none: S) -> Self {
        Self {
            name: Arc::new(name.into()),
            unit: None,
            precision: 3,
            higher_is_better: false,
            batch: none.clone(),
            epoch: none.clone(),
            none,
        }
    }

    pub(super) fn unit(mut self, unit: &'static str) -> Self {
        self.unit = Some(unit);
        self
    }

    pub(super) fn precision(mut self, precision: usize) -> Self {
        self.precision = precision;
        self
    }

    pub(super) fn higher_is_better(mut self) -> Self {
        self.higher_is_better = true;
        self
    }

    pub(super) fn name(&self) -> MetricName {
        self.name.clone()
    }

    pub(super) fn attributes(&self) -> MetricAttributes {
        NumericAttributes {
            unit: self.unit.map(str::to_string),
            higher_is_better: self.higher_is_better,
        }
        .into()
    }

    pub(super) fn update(&mut self, batch: S) -> SerializedEntry {
        self.epoch.merge(&batch);
        self.batch = batch;
        self.entry(self.batch_value())
    }

    pub(super) fn compute(&self) -> SerializedEntry {
        self.entry(self.final_value())
    }

    pub(super) fn clear(&mut self) {
        self.batch = self.none.clone();
        self.epoch = self.none.clone();
    }

    fn entry(&self, value: NumericEntry) -> SerializedEntry {
        let print = |sums: &S| {
            let value = format_float(sums.value(), self.precision);
            match self.unit {
                Some(unit) => format!("{value} {unit}"),
                None => value,
            }
        };
        let line = format!(
            "epoch {} - batch {}",
            print(&self.epoch),
            print(&self.batch)
        );
        SerializedEntry::new(line, value.serialize())
    }

    pub(super) fn batch_value(&self) -> NumericEntry {
        aggregated(&self.batch)
    }

    pub(super) fn running_value(&self) -> NumericEntry {
        aggregated(&self.epoch)
    }

    pub(super) fn final_value(&self) -> NumericEntry {
        NumericEntry::Final(self.epoch.value())
    }
}

fn aggregated<S: Sums>(sums: &S) -> NumericEntry {
    NumericEntry::Aggregated {
        aggregated_value: sums.value(),
        count: sums.count(),
    }
}

/// Implements Burn's traits for a metric that has the field `running: Running<_>` and the methods
/// `description(&self) -> String` and `sums(&self, &Input) -> Result<_, TensorReadError>`. A macro, since Burn's traits
/// can't be implemented here for every type at once.
macro_rules! running_metric {
    ($metric:ident, $input:ty) => {
        impl burn::train::metric::Metric for $metric {
            type Input = $input;

            fn name(&self) -> burn::train::metric::MetricName {
                self.running.name()
            }

            fn description(&self) -> Option<String> {
                Some(self.description())
            }

            fn attributes(&self) -> burn::train::metric::MetricAttributes {
                self.running.attributes()
            }

            fn update(
                &mut self,
                item: &Self::Input,
                _metadata: &burn::train::metric::MetricMetadata,
            ) -> Result<burn::train::metric::SerializedEntry, burn::tensor::TensorReadError> {
                let batch = self.sums(item)?;
                Ok(self.running.update(batch))
            }

            fn compute(
                &mut self,
            ) -> Result<burn::train::metric::SerializedEntry, burn::tensor::TensorReadError> {
                Ok(self.running.compute())
            }

            fn clear(&mut self) {
                self.running.clear();
            }
        }

        impl burn::train::metric::Numeric for $metric {
            fn value(&self) -> Option<burn::train::metric::NumericEntry> {
                Some(self.running.batch_value())
            }

            fn running_value(&self) -> Option<burn::train::metric::NumericEntry> {
                Some(self.running.running_value())
            }

            fn final_value(&self) -> burn::train::metric::NumericEntry {
                self.running.final_value()
            }
        }
    };
}

pub(super) use running_metric;
