//! The metrics that are plain averages: NLL and KL.

use blitz_layers::blitz_core::at_least_f32;
use burn::tensor::{Tensor, TensorReadError};

use super::running::{MeanSum, Running, running_metric};

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
        #[derive(Debug, Clone)]
        pub struct $metric {
            running: Running<MeanSum>,
        }

        impl $metric {
            /// Create the metric.
            pub fn new() -> Self {
                Self {
                    running: Running::new($name, MeanSum::default()).unit("nats"),
                }
            }

            fn description(&self) -> String {
                $description.to_string()
            }

            fn sums(&self, item: &$input) -> Result<MeanSum, TensorReadError> {
                let [count] = item.values.dims();
                let mean = at_least_f32(item.values.clone()).mean().try_into_scalar::<f64>()?;
                let sum = mean * count as f64;
                Ok(MeanSum { sum, count })
            }
        }

        impl Default for $metric {
            fn default() -> Self {
                Self::new()
            }
        }

        running_metric!($metric, $input);
    };
}

mean_metric!(
    /// The negative log likelihood per example of the predictive distribution, `−ln 1/S Σ_s p(y | x, w_s)`, in nats.
    ///
    /// Of several target columns it is that of all of them together, as the loss is: each draw's densities are
    /// multiplied before the draws are averaged.
    /// [`Mixture::nll`](crate::Mixture::nll) has each column by itself; the two agree for one column.
    ///
    /// Weights of classes and label smoothing are in the loss, and not in this.
    ///
    /// In the units of the targets as the network sees them: for standardized targets, add `ln` of their deviation,
    /// summed over the columns, to compare with a published figure.
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
