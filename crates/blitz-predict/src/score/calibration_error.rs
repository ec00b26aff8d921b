//! Calibration errors over bins, and the bins of a reliability diagram.

use super::brier::indicator;
use crate::check;
use crate::error::{InputError, or_panic};
use crate::mixture::CategoricalMixture;

/// The predictions whose confidence falls into one bin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReliabilityBin {
    /// How many they are.
    pub count: usize,
    /// Their mean confidence; 0 in an empty bin.
    pub confidence: f64,
    /// The share that is correct; 0 in an empty bin.
    pub accuracy: f64,
}

/// Sums over the predictions of each bin.
#[derive(Debug, Clone)]
pub(super) struct BinSums(Vec<BinSum>);

#[derive(Debug, Clone, Copy, Default)]
struct BinSum {
    count: usize,
    confidence: f64,
    hits: f64,
}

impl BinSums {
    fn new(bins: usize) -> Self {
        Self(vec![BinSum::default(); bins])
    }

    /// Adds a prediction to the bin of its confidence, among bins of equal width.
    fn add(&mut self, confidence: f64, correct: bool) {
        let bin = bin_of(confidence, self.0.len());
        self.add_to(bin, confidence, correct);
    }

    fn add_to(&mut self, bin: usize, confidence: f64, correct: bool) {
        let sum = &mut self.0[bin];
        sum.count += 1;
        sum.confidence += confidence;
        sum.hits += indicator(correct);
    }

    fn count(&self) -> usize {
        self.0.iter().map(|sum| sum.count).sum()
    }

    fn bins(&self) -> Vec<ReliabilityBin> {
        let bin = |sum: &BinSum| {
            let n = sum.count.max(1) as f64;
            ReliabilityBin {
                count: sum.count,
                confidence: sum.confidence / n,
                accuracy: sum.hits / n,
            }
        };
        self.0.iter().map(bin).collect()
    }

    /// `Σ_b n_b/n · |accuracy_b − confidence_b|`; NaN without predictions.
    fn error(&self) -> f64 {
        let gaps = self.0.iter().map(|sum| (sum.hits - sum.confidence).abs());
        gaps.sum::<f64>() / self.count() as f64
    }
}

/// How far a probability may be from an edge that it is on. A mean over draws has a rounding of each: over 2,000 sure
/// draws a `CategoricalMixture` is 41 away at most.
const ROUNDINGS: f64 = 64.0;

/// The bin of `p` among `bins` of equal width, `(i/bins, (i+1)/bins]`; the first holds 0 as well.
///
/// A `p` within some [roundings](ROUNDINGS) of an edge is on the edge: `7/100 · 100` is above 7 in floating point, the
/// probability of ten equal classes by a softmax may be above a tenth, and the mean of 36 sure draws and 24 of the
/// opposite above 0.6. The roundings are those of `f32` if `p` is a number of it.
pub(crate) fn bin_of(p: f64, bins: usize) -> usize {
    let epsilon = if f64::from(p as f32) == p {
        f64::from(f32::EPSILON)
    } else {
        f64::EPSILON
    };
    let scaled = p * bins as f64;
    let edge = scaled.round();
    let bin = if (scaled - edge).abs() <= ROUNDINGS * epsilon * edge {
        edge
    } else {
        scaled.ceil()
    };
    (bin as usize).clamp(1, bins) - 1
}

fn check(confidence: &[f64], correct: &[bool], bins: usize) -> Result<(), InputError> {
    check::bins(bins)?;
    check::same_length(
        (confidence.len(), "confidences"),
        (correct.len(), "outcomes"),
    )?;
    check::probabilities(confidence, "confidence")
}

/// Predictions in `bins` bins of equal width over confidence, `(i/bins, (i+1)/bins]`; the first holds 0 as well.
///
/// A confidence that is `k/bins` up to the roundings of a mean over draws, of `f64` or of `f32`, is in the bin that
/// ends there.
///
/// ```
/// use blitz_predict::score::reliability_bins;
///
/// // 0.07 · 100 is above 7 in floating point.
/// let bins = reliability_bins(&[0.07, f64::from(0.07f32)], &[true, false], 100);
/// assert_eq!((bins[6].count, bins[7].count), (2, 0));
/// ```
///
/// # Panics
///
/// Panics without bins or with more than 2²⁰, unless there is one confidence for each prediction, or if one lies
/// outside [0, 1].
pub fn reliability_bins(confidence: &[f64], correct: &[bool], bins: usize) -> Vec<ReliabilityBin> {
    or_panic(try_reliability_bins(confidence, correct, bins))
}

/// As [`reliability_bins`], with an error in place of a panic.
///
/// # Errors
///
/// Without bins or with more than 2²⁰, unless there is one confidence for each prediction, or if one lies outside [0,
/// 1].
pub fn try_reliability_bins(
    confidence: &[f64],
    correct: &[bool],
    bins: usize,
) -> Result<Vec<ReliabilityBin>, InputError> {
    Ok(equal_width(confidence, correct, bins)?.bins())
}

fn equal_width(confidence: &[f64], correct: &[bool], bins: usize) -> Result<BinSums, InputError> {
    check(confidence, correct, bins)?;
    let mut sums = BinSums::new(bins);
    for (confidence, correct) in confidence.iter().zip(correct) {
        sums.add(*confidence, *correct);
    }
    Ok(sums)
}

/// Predictions in `bins` bins of equal mass, in order of confidence.
///
/// Equal confidences are in one bin, that of their middle rank `r`: bin `⌊bins · (r − ½)/n⌋`. So the bins don't depend
/// on the order of the predictions, and hold as many each only as far as ties allow.
///
/// # Panics
///
/// As [`reliability_bins`].
pub fn equal_mass_bins(confidence: &[f64], correct: &[bool], bins: usize) -> Vec<ReliabilityBin> {
    or_panic(try_equal_mass_bins(confidence, correct, bins))
}

/// As [`equal_mass_bins`], with an error in place of a panic.
///
/// # Errors
///
/// As [`try_reliability_bins`].
pub fn try_equal_mass_bins(
    confidence: &[f64],
    correct: &[bool],
    bins: usize,
) -> Result<Vec<ReliabilityBin>, InputError> {
    Ok(equal_mass(confidence, correct, bins)?.bins())
}

fn equal_mass(confidence: &[f64], correct: &[bool], bins: usize) -> Result<BinSums, InputError> {
    check(confidence, correct, bins)?;
    let n = confidence.len();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|a, b| confidence[*a].total_cmp(&confidence[*b]));
    let mut sums = BinSums::new(bins);
    let mut before = 0;
    for tied in order.chunk_by(|a, b| confidence[*a] == confidence[*b]) {
        // Twice the middle rank less one is 2 · before + len: whole numbers don't round, and 64 bits of them don't
        // overflow.
        let rank = (2 * before + tied.len()) as u64;
        let bin = (bins as u64 * rank / (2 * n as u64)) as usize;
        for i in tied {
            sums.add_to(bin, confidence[*i], correct[*i]);
        }
        before += tied.len();
    }
    Ok(sums)
}

/// `Σ_b n_b/n · |accuracy_b − confidence_b|` over bins of equal width (Naeini, Cooper & Hauskrecht 2015; Guo et al.
/// 2017).
///
/// In [0, 1], lower is better. Zero for calibrated predictions; above zero in expectation for any finite sample, the
/// more so the more bins.
///
/// ```
/// use blitz_predict::score::expected_calibration_error;
///
/// // Four predictions at 0.75, of which three are right: calibrated.
/// let ece = expected_calibration_error(&[0.75; 4], &[true, true, true, false], 15);
/// assert!(ece.abs() < 1e-12);
/// ```
///
/// # Panics
///
/// As [`reliability_bins`], and without predictions.
pub fn expected_calibration_error(confidence: &[f64], correct: &[bool], bins: usize) -> f64 {
    or_panic(try_expected_calibration_error(confidence, correct, bins))
}

/// As [`expected_calibration_error`], with an error in place of a panic.
///
/// # Errors
///
/// As [`try_reliability_bins`], and without predictions.
pub fn try_expected_calibration_error(
    confidence: &[f64],
    correct: &[bool],
    bins: usize,
) -> Result<f64, InputError> {
    check::not_empty(confidence.len(), "prediction")?;
    Ok(equal_width(confidence, correct, bins)?.error())
}

impl CategoricalMixture {
    /// The [expected calibration error](expected_calibration_error) of the most probable class, in 15 bins of equal
    /// width.
    ///
    /// # Panics
    ///
    /// As [`accuracy`](Self::accuracy).
    pub fn ece(&self, labels: &[usize]) -> f64 {
        expected_calibration_error(&self.confidence(), &self.correct(labels), 15)
    }
}

/// `Σ_b n_b/n · |accuracy_b − confidence_b|` over bins of equal mass (Nguyen & O'Connor 2015; Nixon et al. 2019).
///
/// In [0, 1], lower is better. Where nearly all predictions are sure, bins of equal width put them all into one; these
/// don't. Ties as in [`equal_mass_bins`].
///
/// ```
/// use blitz_predict::score::adaptive_calibration_error;
///
/// // One bin of 0.9 and 0.92, both right, one of 0.94 and 0.98, one of them right.
/// let error = adaptive_calibration_error(&[0.98, 0.9, 0.92, 0.94], &[true, true, true, false], 2);
/// assert!((error - (0.5 * 0.09 + 0.5 * 0.46)).abs() < 1e-12);
/// ```
///
/// # Panics
///
/// As [`expected_calibration_error`].
pub fn adaptive_calibration_error(confidence: &[f64], correct: &[bool], bins: usize) -> f64 {
    or_panic(try_adaptive_calibration_error(confidence, correct, bins))
}

/// As [`adaptive_calibration_error`], with an error in place of a panic.
///
/// # Errors
///
/// As [`try_expected_calibration_error`].
pub fn try_adaptive_calibration_error(
    confidence: &[f64],
    correct: &[bool],
    bins: usize,
) -> Result<f64, InputError> {
    check::not_empty(confidence.len(), "prediction")?;
    Ok(equal_mass(confidence, correct, bins)?.error())
}

/// The mean over the classes of the calibration error of each class's probability, over bins of equal width
/// (Kull et al. 2019).
///
/// In [0, 1], lower is better. Sees the probabilities of all classes, not only the largest. With many classes most
/// probabilities are near 0, and so is this number: compare it between models, not between data sets.
///
/// ```
/// use blitz_predict::score::classwise_calibration_error;
///
/// // Class 0 was given 0.75 twice and happened once: a gap of 0.25, and the same for class 1.
/// let error = classwise_calibration_error(&[0.75, 0.25, 0.75, 0.25], 2, &[0, 1], 10);
/// assert!((error - 0.25).abs() < 1e-12);
/// ```
///
/// # Panics
///
/// Panics without examples or bins, with more than 2²⁰ bins, unless there is one label below `classes` for each
/// example, if a probability lies outside [0, 1], or if those of an example don't sum to 1 (to 1e-4).
pub fn classwise_calibration_error(
    probabilities: &[f64],
    classes: usize,
    labels: &[usize],
    bins: usize,
) -> f64 {
    or_panic(try_classwise_calibration_error(
        probabilities,
        classes,
        labels,
        bins,
    ))
}

/// As [`classwise_calibration_error`], with an error in place of a panic.
///
/// # Errors
///
/// Without examples or bins, with more than 2²⁰ bins, unless there is one label below `classes` for each example, if a
/// probability lies outside [0, 1], or if those of an example don't sum to 1 (to 1e-4).
pub fn try_classwise_calibration_error(
    probabilities: &[f64],
    classes: usize,
    labels: &[usize],
    bins: usize,
) -> Result<f64, InputError> {
    check::bins(bins)?;
    check::classification(probabilities, classes, labels)?;
    let error = |class: usize| {
        let mut sums = BinSums::new(bins);
        for (row, label) in probabilities.chunks(classes).zip(labels) {
            sums.add(row[class], *label == class);
        }
        sums.error()
    };
    Ok((0..classes).map(error).sum::<f64>() / classes as f64)
}
