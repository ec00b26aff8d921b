//! Scores of whole predictive distributions: CRPS, interval score, sharpness.

use blitz_predict::percent::percent;
use blitz_predict::score::{interval_score, sharpness};
use burn::tensor::{Tensor, TensorReadError};

use super::running::{MeanSum, Running, running_metric};
use crate::error::PredictError;
use crate::likelihood::LazyPredictive;

/// The predictive distribution of a batch and its targets.
#[derive(Debug, Clone)]
pub struct PredictiveInput {
    predictive: Option<LazyPredictive>,
    target: Tensor<2>,
}

impl PredictiveInput {
    /// The predictive distribution, and targets of shape `[batch, targets]`. Without one the metrics are NaN.
    pub fn new(predictive: Option<LazyPredictive>, target: Tensor<2>) -> Self {
        Self { predictive, target }
    }

    /// The mean of a score over the targets, times their number. NaN where outputs are not finite.
    fn sum(
        &self,
        score: impl FnOnce(&LazyPredictive, &[f64]) -> Result<f64, PredictError>,
    ) -> Result<MeanSum, TensorReadError> {
        let target: Vec<f64> = self.target.try_to_data()?.iter::<f64>().collect();
        let count = target.len();
        let predictive = self.predictive.as_ref().filter(|_| count > 0);
        let mean = predictive.map_or(Ok(f64::NAN), |predictive| score(predictive, &target));
        let mean = mean.unwrap_or(f64::NAN);
        Ok(MeanSum {
            sum: mean * count as f64,
            count,
        })
    }
}

/// A score against targets, NaN if one is not finite.
fn against(
    target: &[f64],
    score: impl FnOnce(&[f64]) -> Result<f64, PredictError>,
) -> Result<f64, PredictError> {
    match target.iter().all(|y| y.is_finite()) {
        true => score(target),
        false => Ok(f64::NAN),
    }
}

/// Defines a metric in the units of the targets.
macro_rules! predictive_metric {
    ($(#[$doc:meta])* $metric:ident { $($level:ident)? }, $description:expr, $score:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $metric {
            $($level: f64,)?
            scale: f64,
            running: Running<MeanSum>,
        }

        impl $metric {
            /// Reports the value multiplied by `scale`: the targets' deviation if they were standardized.
            #[must_use]
            pub fn with_scale(mut self, scale: f64) -> Self {
                self.scale = scale;
                self
            }

            fn description(&self) -> String {
                $description(self)
            }

            fn sums(&self, item: &PredictiveInput) -> Result<MeanSum, TensorReadError> {
                let sum = item.sum(|predictive, target| $score(self, predictive, target))?;
                Ok(MeanSum { sum: sum.sum * self.scale, ..sum })
            }
        }

        running_metric!($metric, PredictiveInput);
    };
}

predictive_metric!(
    /// The mean [continuous ranked probability score](crate::metric::normal_mixture_crps) of the predictive
    /// distribution, in the units of the targets as the network sees them. Lower is better.
    ///
    /// In closed form of normal predictions, of order S² in the draws; of others it is the score of 200 quantiles at
    /// equal distances.
    CrpsMetric {},
    |_: &CrpsMetric| "Continuous ranked probability score of the predictive distribution".to_string(),
    |_: &CrpsMetric, predictive: &LazyPredictive, target: &[f64]| {
        against(target, |target| predictive.crps(target))
    }
);

impl CrpsMetric {
    /// Create the metric.
    pub fn new() -> Self {
        Self {
            scale: 1.0,
            running: Running::new("CRPS", MeanSum::default()),
        }
    }
}

impl Default for CrpsMetric {
    fn default() -> Self {
        Self::new()
    }
}

predictive_metric!(
    /// The [interval score](crate::metric::interval_score) of the central predictive intervals of a level, in the units
    /// of the targets. Lower is better.
    IntervalScoreMetric { level },
    |metric: &IntervalScoreMetric| format!("Interval score of the central {}% predictive interval", percent(metric.level)),
    |metric: &IntervalScoreMetric, predictive: &LazyPredictive, target: &[f64]| {
        against(target, |target| {
            let intervals = predictive.intervals(metric.level)?;
            Ok(interval_score(&intervals, target, metric.level))
        })
    }
);

predictive_metric!(
    /// The [sharpness](crate::metric::sharpness), the mean width of the central predictive intervals of a level, in the
    /// units of the targets. Lower is better among predictions that [cover](crate::CoverageMetric) what they promise.
    SharpnessMetric { level },
    |metric: &SharpnessMetric| format!("Mean width of the central {}% predictive interval", percent(metric.level)),
    |metric: &SharpnessMetric, predictive: &LazyPredictive, _: &[f64]| {
        Ok::<_, PredictError>(sharpness(&predictive.intervals(metric.level)?))
    }
);

/// The constructor of a metric of a level.
macro_rules! of_level {
    ($metric:ident, $name:literal) => {
        impl $metric {
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
                let name = format!("{} {}%", $name, percent(level));
                Self {
                    level,
                    scale: 1.0,
                    running: Running::new(name, MeanSum::default()),
                }
            }
        }
    };
}

of_level!(IntervalScoreMetric, "Interval score");
of_level!(SharpnessMetric, "Sharpness");

#[cfg(test)]
mod tests {
    use burn::train::metric::Metric;

    use super::*;
    use crate::metric::dashboard::CoverageMetric;

    /// Names become those of files, and a metric is asked for by its name.
    #[test]
    fn a_level_is_named_as_it_was_written() {
        assert_eq!(CoverageMetric::new(0.55).name().as_str(), "Coverage 55%");
        assert_eq!(SharpnessMetric::new(0.07).name().as_str(), "Sharpness 7%");
        let score = IntervalScoreMetric::new(0.29);
        assert_eq!(score.name().as_str(), "Interval score 29%");
    }
}
