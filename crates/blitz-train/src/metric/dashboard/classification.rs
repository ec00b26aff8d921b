//! The Brier score and the calibration error on Burn's dashboard.

use blitz_predict::InputError;
use blitz_predict::distribution::softmax::most_probable;
use blitz_predict::score::{
    ReliabilityBin, reliability_bins, try_accuracy, try_brier_score, try_reliability_bins,
};
use burn::tensor::{Int, Tensor, TensorReadError};

use super::running::{MeanSum, Running, Sums, running_metric};

/// How many roundings of their type the probabilities of an example may sum from 1: a softmax, and a mean over draws.
const ROUNDINGS: f64 = 16.0;

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

    /// The number of classes, the probabilities in row-major order, and the labels. Rows of half precision are divided
    /// by their sums.
    fn read(&self) -> Result<(usize, Vec<f64>, Vec<usize>), TensorReadError> {
        let [_, classes] = self.probabilities.dims();
        let epsilon = self.probabilities.dtype().finfo().map(|info| info.epsilon);
        let epsilon = epsilon.unwrap_or(0.0);
        let probabilities = self.probabilities.clone().try_into_data_as::<f64>()?;
        let mut probabilities: Vec<f64> = probabilities.iter::<f64>().collect();
        // Half precision rounds each by more than a score lets a row miss 1. A number of f32 stays one, as bins know it
        // by that.
        if epsilon > f64::from(f32::EPSILON) {
            for row in probabilities.chunks_mut(classes.max(1)) {
                let sum: f64 = row.iter().sum();
                if (sum - 1.0).abs() <= ROUNDINGS * epsilon {
                    row.iter_mut().for_each(|p| *p /= sum);
                }
            }
        }
        let labels = self.labels.clone().try_into_data_as::<i64>()?;
        // A negative one is no class, whatever their number.
        let label = |label: i64| usize::try_from(label).unwrap_or(usize::MAX);
        Ok((
            classes,
            probabilities,
            labels.iter::<i64>().map(label).collect(),
        ))
    }
}

/// Whether a probability is not finite, or a label no class: the loss is NaN then and the training ends with an error
/// of its own, which a panic here would hide.
fn has_no_score(classes: usize, probabilities: &[f64], labels: &[usize]) -> bool {
    probabilities.iter().any(|p| !p.is_finite()) || labels.iter().any(|label| *label >= classes)
}

/// The value, or a panic that says what is wrong with the input.
#[track_caller]
fn or_panic<T>(result: Result<T, InputError>) -> T {
    result.unwrap_or_else(|error| panic!("{error}"))
}

/// The [Brier score](crate::metric::brier_score) of the predictive distribution over the epoch, in [0, 2], lower is
/// better.
///
/// # Panics
///
/// An update panics as [`brier_score`](crate::metric::brier_score) does, but for probabilities that are not finite and
/// labels that are no class: those make the epoch's value NaN.
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
        if has_no_score(classes, &probabilities, &labels) {
            let (sum, count) = (f64::NAN, labels.len());
            return Ok(MeanSum { sum, count });
        }
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

/// The [expected calibration error](crate::metric::expected_calibration_error) of the most probable class over the
/// epoch, in percent, lower is better. It is computed from the epoch's bins: a mean over the batches' own errors would
/// be too large.
#[derive(Debug, Clone)]
pub struct EceMetric {
    bins: usize,
    running: Running<Bins>,
}

/// The bins of the examples so far.
#[derive(Debug, Clone)]
struct Bins(Vec<ReliabilityBin>);

impl Sums for Bins {
    fn merge(&mut self, more: &Self) {
        for (bin, more) in self.0.iter_mut().zip(&more.0) {
            let count = bin.count + more.count;
            if count > 0 {
                let share = more.count as f64 / count as f64;
                bin.confidence += share * (more.confidence - bin.confidence);
                bin.accuracy += share * (more.accuracy - bin.accuracy);
                bin.count = count;
            }
        }
    }

    fn count(&self) -> usize {
        self.0.iter().map(|bin| bin.count).sum()
    }

    fn value(&self) -> f64 {
        let gap = |bin: &ReliabilityBin| bin.count as f64 * (bin.accuracy - bin.confidence).abs();
        100.0 * self.0.iter().map(gap).sum::<f64>() / self.count() as f64
    }
}

impl EceMetric {
    /// Create the metric with 15 bins of equal width.
    pub fn new() -> Self {
        Self::of_bins(15)
    }

    /// The metric with so many bins of equal width; what it has seen is forgotten.
    ///
    /// # Panics
    ///
    /// Panics without bins, or with more than 2²⁰.
    pub fn with_bins(self, bins: usize) -> Self {
        assert!(bins > 0, "a calibration error needs bins, got 0");
        Self::of_bins(bins)
    }

    fn of_bins(bins: usize) -> Self {
        let running = Running::new("ECE", Bins(reliability_bins(&[], &[], bins)))
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

    fn sums(&self, item: &ClassProbabilitiesInput) -> Result<Bins, TensorReadError> {
        let (classes, probabilities, labels) = item.read()?;
        if has_no_score(classes, &probabilities, &labels) {
            let mut bins = reliability_bins(&[], &[], self.bins);
            (bins[0].confidence, bins[0].count) = (f64::NAN, labels.len());
            return Ok(Bins(bins));
        }
        // Refuses what is no classification, as every score does.
        or_panic(try_accuracy(&probabilities, classes, &labels));
        let rows = probabilities.chunks(classes).zip(&labels);
        let (confidence, correct): (Vec<f64>, Vec<bool>) = rows
            .map(|(row, label)| {
                let (answer, confidence) = most_probable(row);
                (confidence, answer == *label)
            })
            .unzip();
        let bins = or_panic(try_reliability_bins(&confidence, &correct, self.bins));
        Ok(Bins(bins))
    }
}

impl Default for EceMetric {
    fn default() -> Self {
        Self::new()
    }
}

running_metric!(EceMetric, ClassProbabilitiesInput);
