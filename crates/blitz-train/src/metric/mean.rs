//! The metrics that are plain averages: NLL and KL.

use std::sync::Arc;

use burn::tensor::{Tensor, TensorReadError};
use burn::train::metric::state::{FormatOptions, NumericMetricState};
use burn::train::metric::{
    Metric, MetricAttributes, MetricMetadata, MetricName, Numeric, NumericAttributes, NumericEntry,
    SerializedEntry,
};

/// Defines a metric that averages one value per example, or per batch.
macro_rules! mean_metric {
    ($(#[$doc:meta])* $metric:ident, $(#[$input_doc:meta])* $input:ident, $name:literal, $description:literal) => {
        $(#[$input_doc])*
        #[derive(Debug, Clone)]
        pub struct $input {
            values: Tensor<1>,
        }

        impl $input {
            /// The values to average.
            pub fn new(values: Tensor<1>) -> Self {
                Self { values }
            }
        }

        $(#[$doc])*
        #[derive(Clone)]
        pub struct $metric {
            name: MetricName,
            state: NumericMetricState,
        }

        impl $metric {
            /// Create the metric.
            pub fn new() -> Self {
                Self {
                    name: Arc::new($name.to_string()),
                    state: NumericMetricState::default(),
                }
            }

            fn format(&self) -> FormatOptions {
                FormatOptions::new(self.name()).unit("nats").precision(3)
            }
        }

        impl Default for $metric {
            fn default() -> Self {
                Self::new()
            }
        }

        impl std::fmt::Debug for $metric {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($metric)).finish_non_exhaustive()
            }
        }

        impl Metric for $metric {
            type Input = $input;

            fn name(&self) -> MetricName {
                self.name.clone()
            }

            fn description(&self) -> Option<String> {
                Some($description.to_string())
            }

            fn attributes(&self) -> MetricAttributes {
                NumericAttributes {
                    unit: Some("nats".to_string()),
                    higher_is_better: false,
                }
                .into()
            }

            fn update(
                &mut self,
                item: &Self::Input,
                _metadata: &MetricMetadata,
            ) -> Result<SerializedEntry, TensorReadError> {
                let [count] = item.values.dims();
                let mean = item.values.clone().mean().try_into_scalar::<f64>()?;
                self.state.update(mean, count);
                Ok(self.state.compute_update(self.format()))
            }

            fn compute(&mut self) -> Result<SerializedEntry, TensorReadError> {
                Ok(self.state.compute_final(self.format()))
            }

            fn clear(&mut self) {
                self.state.reset();
            }
        }

        impl Numeric for $metric {
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
    };
}

mean_metric!(
    /// The negative log likelihood per example of the predictive distribution, `−ln 1/S Σ_s p(y | x, w_s)`, in nats.
    ///
    /// In the units of the targets as the network sees them: for standardized targets, add `ln` of their deviation
    /// to compare with a published figure.
    NllMetric,
    /// The predictive negative log likelihood of each example.
    NllInput,
    "NLL",
    "Negative log likelihood per example of the predictive distribution"
);

mean_metric!(
    /// The KL of the whole model's posterior from its prior, summed over the weights, in nats.
    KlMetric,
    /// The KL at one step.
    KlInput,
    "KL",
    "KL divergence of the posterior from the prior, summed over all weights"
);
