//! The Brier score, and what it is made of.

use std::cmp::Ordering;

use super::calibration_error::bin_of;
use crate::check;
use crate::error::{InputError, or_panic};

/// `1/n Σ_i Σ_c (p_ic − [y_i = c])²`, the quadratic score (Brier 1950).
///
/// In [0, 2], lower is better; proper. With two classes it is twice the score of the one event. `probabilities` in
/// row-major order `[example, class]`.
///
/// ```
/// use blitz_predict::score::brier_score;
///
/// // 0.2² + 0.2² for the first, 0.6² + 0.6² for the second.
/// let score = brier_score(&[0.8, 0.2, 0.6, 0.4], 2, &[0, 1]);
/// assert!((score - 0.4).abs() < 1e-12);
/// ```
///
/// # Panics
///
/// Panics without examples, unless there is one label below `classes` for each example, if a probability lies outside
/// [0, 1], or if those of an example don't sum to 1 (to 1e-4).
pub fn brier_score(probabilities: &[f64], classes: usize, labels: &[usize]) -> f64 {
    or_panic(try_brier_score(probabilities, classes, labels))
}

/// As [`brier_score`], with an error in place of a panic.
///
/// # Errors
///
/// Without examples, unless there is one label below `classes` for each example, if a probability lies outside [0, 1],
/// or if those of an example don't sum to 1 (to 1e-4).
pub fn try_brier_score(
    probabilities: &[f64],
    classes: usize,
    labels: &[usize],
) -> Result<f64, InputError> {
    check::classification(probabilities, classes, labels)?;
    let rows = probabilities.chunks(classes).zip(labels);
    let sum: f64 = rows
        .flat_map(|(row, label)| {
            let errors = row.iter().enumerate();
            errors.map(move |(class, p)| (p - indicator(class == *label)).powi(2))
        })
        .sum();
    Ok(sum / labels.len() as f64)
}

/// The parts of a [`brier_score`]: `reliability − resolution + uncertainty + within_bins`.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct BrierDecomposition {
    /// How far the forecasts lie from the frequencies observed with them. At least 0, lower is better; 0 if calibrated.
    pub reliability: f64,
    /// How far those frequencies lie from the overall one. At least 0, higher is better.
    pub resolution: f64,
    /// The score of always forecasting the overall frequencies. A property of the labels, not of the forecasts.
    pub uncertainty: f64,
    /// What different forecasts in one bin add: their variance, less twice their covariance with the outcomes. 0 where
    /// every bin holds equal forecasts.
    pub within_bins: f64,
}

impl BrierDecomposition {
    /// The Brier score these are the parts of.
    pub fn score(&self) -> f64 {
        self.reliability - self.resolution + self.uncertainty + self.within_bins
    }
}

/// Murphy's decomposition of the Brier score over the distinct forecasts (Murphy 1973). Exact, `within_bins` is 0.
///
/// With groups `k` of the `n_k` examples that share a forecast `p_k`, and outcomes averaged to `o_k` in a group and `o`
/// over all: `reliability = Σ_k n_k/n |p_k − o_k|²`, `resolution = Σ_k n_k/n |o_k − o|²`, `uncertainty = Σ_c o_c (1 −
/// o_c)`. It says something where forecasts recur; where each is its own group, as with a network's,
/// [`binned_brier_decomposition`] does.
///
/// ```
/// use blitz_predict::score::brier_decomposition;
///
/// // 3 of 4 right at 0.75, 1 of 2 at 0.5: calibrated.
/// let p = [[0.75, 0.25].repeat(4), [0.5, 0.5].repeat(2)].concat();
/// let parts = brier_decomposition(&p, 2, &[0, 0, 0, 1, 0, 1]);
/// assert!(parts.reliability.abs() < 1e-12);
/// assert!((parts.uncertainty - 4.0 / 9.0).abs() < 1e-12);
/// assert!((parts.resolution - 1.0 / 36.0).abs() < 1e-12);
/// ```
///
/// # Panics
///
/// As [`brier_score`].
pub fn brier_decomposition(
    probabilities: &[f64],
    classes: usize,
    labels: &[usize],
) -> BrierDecomposition {
    or_panic(try_brier_decomposition(probabilities, classes, labels))
}

/// As [`brier_decomposition`], with an error in place of a panic.
///
/// # Errors
///
/// As [`try_brier_score`].
pub fn try_brier_decomposition(
    probabilities: &[f64],
    classes: usize,
    labels: &[usize],
) -> Result<BrierDecomposition, InputError> {
    check::classification(probabilities, classes, labels)?;
    let row = |i: usize| &probabilities[i * classes..][..classes];
    let mut order: Vec<usize> = (0..labels.len()).collect();
    // Without NaN, forecasts compare; sorted, equal ones are neighbours.
    order.sort_by(|a, b| row(*a).partial_cmp(row(*b)).unwrap_or(Ordering::Equal));
    let n = labels.len() as f64;
    let overall = frequencies(&order, labels, classes);
    let mut parts = BrierDecomposition {
        reliability: 0.0,
        resolution: 0.0,
        uncertainty: uncertainty(&overall),
        within_bins: 0.0,
    };
    for group in order.chunk_by(|a, b| row(*a) == row(*b)) {
        let weight = group.len() as f64 / n;
        let observed = frequencies(group, labels, classes);
        parts.reliability += weight * squared_distance(row(group[0]), &observed);
        parts.resolution += weight * squared_distance(&observed, &overall);
    }
    Ok(parts)
}

/// The decomposition of the Brier score over bins of equal width, for each class on its own, summed over the classes
/// (Stephenson, Coelho & Jolliffe 2008).
///
/// A bin's forecast is its mean forecast; what that leaves out is `within_bins`, so that the parts still add up to the
/// score exactly.
///
/// ```
/// use blitz_predict::score::{binned_brier_decomposition, brier_score};
///
/// let (p, labels) = ([0.8, 0.2, 0.6, 0.4, 0.1, 0.9], [0, 1, 1]);
/// let parts = binned_brier_decomposition(&p, 2, &labels, 2);
/// assert!((parts.score() - brier_score(&p, 2, &labels)).abs() < 1e-12);
/// ```
///
/// # Panics
///
/// As [`brier_score`], and without bins or with more than 2²⁰.
pub fn binned_brier_decomposition(
    probabilities: &[f64],
    classes: usize,
    labels: &[usize],
    bins: usize,
) -> BrierDecomposition {
    or_panic(try_binned_brier_decomposition(
        probabilities,
        classes,
        labels,
        bins,
    ))
}

/// As [`binned_brier_decomposition`], with an error in place of a panic.
///
/// # Errors
///
/// As [`try_brier_score`], and without bins or with more than 2²⁰.
pub fn try_binned_brier_decomposition(
    probabilities: &[f64],
    classes: usize,
    labels: &[usize],
    bins: usize,
) -> Result<BrierDecomposition, InputError> {
    check::bins(bins)?;
    check::classification(probabilities, classes, labels)?;
    let n = labels.len() as f64;
    let all: Vec<usize> = (0..labels.len()).collect();
    let overall = frequencies(&all, labels, classes);
    let mut parts = BrierDecomposition {
        reliability: 0.0,
        resolution: 0.0,
        uncertainty: uncertainty(&overall),
        within_bins: 0.0,
    };
    for (class, overall) in overall.iter().enumerate() {
        let mut members = vec![Vec::new(); bins];
        for (row, label) in probabilities.chunks(classes).zip(labels) {
            let outcome = indicator(*label == class);
            members[bin_of(row[class], bins)].push((row[class], outcome));
        }
        for bin in members.iter().filter(|bin| !bin.is_empty()) {
            let count = bin.len() as f64;
            let forecast = bin.iter().map(|(p, _)| p).sum::<f64>() / count;
            let observed = bin.iter().map(|(_, o)| o).sum::<f64>() / count;
            parts.reliability += count / n * (forecast - observed).powi(2);
            parts.resolution += count / n * (observed - overall).powi(2);
            let spread = |(p, o): &(f64, f64)| {
                (p - forecast).powi(2) - 2.0 * (p - forecast) * (o - observed)
            };
            parts.within_bins += bin.iter().map(spread).sum::<f64>() / n;
        }
    }
    Ok(parts)
}

pub(super) fn indicator(event: bool) -> f64 {
    f64::from(u8::from(event))
}

/// The share of each class among some examples.
fn frequencies(examples: &[usize], labels: &[usize], classes: usize) -> Vec<f64> {
    let mut counts = vec![0.0; classes];
    for example in examples {
        counts[labels[*example]] += 1.0;
    }
    let n = examples.len() as f64;
    counts.into_iter().map(|count| count / n).collect()
}

fn uncertainty(frequencies: &[f64]) -> f64 {
    frequencies.iter().map(|o| o * (1.0 - o)).sum()
}

fn squared_distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum()
}
