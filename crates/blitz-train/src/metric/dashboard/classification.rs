//! The Brier score and the calibration error on Burn's dashboard.

use burn::tensor::{Int, Tensor, TensorReadError};
use burn::train::metric::Adaptor;

use super::running::{MeanSum, Running, Sums, running_metric};
use crate::check;
use crate::error::or_panic;
use crate::learner::ElboOutput;
use crate::likelihood::ClassificationEvaluation;
use crate::metric::accuracy::most_probable;
use crate::metric::brier::try_brier_score;
use crate::metric::calibration_error::BinSums;

/// The predictive probabilities and the labels of a batch.
#[derive(Debug, Clone)]
pub struct ClassProbabilitiesInput {
    probabilities: Tensor<2>,
    labels: Tensor<1, Int>,
}

impl ClassProbabilitiesInput {
    /// Predictive probabilities of shape `[batch, classes]` and labels of shape `[batch]`.
    ///
    /// # Panics
    ///
    /// Panics unless there is one label for each row.
    pub fn new(probabilities: Tensor<2>, labels: Tensor<1, Int>) -> Self {
        let ([rows, _], [count]) = (probabilities.dims(), labels.dims());
        assert!(
            rows == count,
            "{rows} rows of probabilities need as many labels, got {count}"
        );
        Self {
            probabilities,
            labels,
        }
    }

    /// The number of classes, the probabilities in row-major order, and the labels.
    fn read(&self) -> Result<(usize, Vec<f64>, Vec<usize>), TensorReadError> {
        let [_, classes] = self.probabilities.dims();
        let probabilities = self.probabilities.clone().try_into_data_as::<f64>()?;
        let labels = self.labels.clone().try_into_data_as::<i64>()?;
        let label = |label: i64| {
            usize::try_from(label)
                .unwrap_or_else(|_| panic!("there is no class {label} among {classes}"))
        };
        Ok((
            classes,
            probabilities.iter::<f64>().collect(),
            labels.iter::<i64>().map(label).collect(),
        ))
    }
}

impl Adaptor<ClassProbabilitiesInput> for ElboOutput<ClassificationEvaluation> {
    fn adapt(&self) -> ClassProbabilitiesInput {
        let evaluation = &self.evaluation;
        ClassProbabilitiesInput::new(evaluation.probabilities.clone(), evaluation.target.clone())
    }
}

/// The [Brier score](crate::metric::brier_score) of the predictive distribution over the epoch, in [0, 2], lower is better.
///
/// # Panics
///
/// An update panics as [`brier_score`](crate::metric::brier_score) does.
#[derive(Debug, Clone)]
pub struct BrierMetric {
    running: Running<MeanSum>,
}

impl BrierMetric {
    /// Create the metric.
    pub fn new() -> Self {
        Self {
            running: Running::new("Brier", MeanSum::default()),
        }
    }

    fn description(&self) -> String {
        "Brier score of the predictive distribution, summed over the classes".to_string()
    }

    fn sums(&self, item: &ClassProbabilitiesInput) -> Result<MeanSum, TensorReadError> {
        let (classes, probabilities, labels) = item.read()?;
        let mean = or_panic(try_brier_score(&probabilities, classes, &labels));
        Ok(MeanSum {
            sum: mean * labels.len() as f64,
            count: labels.len(),
        })
    }
}

impl Default for BrierMetric {
    fn default() -> Self {
        Self::new()
    }
}

running_metric!(BrierMetric, ClassProbabilitiesInput);

/// The [expected calibration error](crate::metric::expected_calibration_error) of the most probable class over the epoch, in
/// percent, lower is better. It is computed from the epoch's bins: a mean over the batches' own errors would be too
/// large.
#[derive(Debug, Clone)]
pub struct EceMetric {
    bins: usize,
    running: Running<BinSums>,
}

impl Sums for BinSums {
    fn merge(&mut self, more: &Self) {
        BinSums::merge(self, more);
    }

    fn count(&self) -> usize {
        BinSums::count(self)
    }

    fn value(&self) -> f64 {
        100.0 * self.error()
    }
}

impl EceMetric {
    /// Create the metric with 15 bins of equal width.
    pub fn new() -> Self {
        Self::with_bins(15)
    }

    /// Create the metric with `bins` bins of equal width.
    ///
    /// # Panics
    ///
    /// Panics without bins.
    pub fn with_bins(bins: usize) -> Self {
        assert!(bins > 0, "a calibration error needs bins, got 0");
        let running = Running::new("ECE", BinSums::new(bins))
            .unit("%")
            .precision(2);
        Self { bins, running }
    }

    fn description(&self) -> String {
        format!(
            "Expected calibration error of the most probable class, in {} bins",
            self.bins
        )
    }

    fn sums(&self, item: &ClassProbabilitiesInput) -> Result<BinSums, TensorReadError> {
        let (classes, probabilities, labels) = item.read()?;
        or_panic(check::classification(&probabilities, classes, &labels));
        let mut sums = BinSums::new(self.bins);
        for (row, label) in probabilities.chunks(classes).zip(&labels) {
            let predicted = most_probable(row);
            sums.add(row[predicted], predicted == *label);
        }
        Ok(sums)
    }
}

impl Default for EceMetric {
    fn default() -> Self {
        Self::new()
    }
}

running_metric!(EceMetric, ClassProbabilitiesInput);
