//! The negative log likelihood: the logarithmic score.

use blitz_noise::density::HALF_LOG_TWO_PI;

use crate::check;
use crate::error::{InputError, or_panic};
use crate::numbers::in_units;

/// `−1/n Σ ln p(label_i | x_i)`, the mean negative log likelihood of class labels, in nats (Good 1952).
///
/// In [0, ∞], lower is better; infinite if a label had probability 0. Proper: no other forecast does better in
/// expectation than the distribution of the labels. `probabilities` in row-major order `[example, class]`.
///
/// ```
/// use blitz_predict::score::categorical_nll;
///
/// let nll = categorical_nll(&[0.75, 0.25, 0.5, 0.5], 2, &[0, 1]);
/// assert!((nll - 0.5 * (8f64 / 3.0).ln()).abs() < 1e-12);
/// ```
///
/// # Panics
///
/// Panics without examples, unless there is one label below `classes` for each example, if a probability lies outside
/// [0, 1], or if those of an example don't sum to 1 (to 1e-4).
pub fn categorical_nll(probabilities: &[f64], classes: usize, labels: &[usize]) -> f64 {
    or_panic(try_categorical_nll(probabilities, classes, labels))
}

/// As [`categorical_nll`], with an error in place of a panic.
///
/// # Errors
///
/// Without examples, unless there is one label below `classes` for each example, if a probability lies outside [0, 1],
/// or if those of an example don't sum to 1 (to 1e-4).
pub fn try_categorical_nll(
    probabilities: &[f64],
    classes: usize,
    labels: &[usize],
) -> Result<f64, InputError> {
    check::classification(probabilities, classes, labels)?;
    let rows = probabilities.chunks(classes).zip(labels);
    let sum: f64 = rows.map(|(row, label)| -row[*label].ln()).sum();
    Ok(sum / labels.len() as f64)
}

/// `1/n Σ [ln σ_i + (y_i − μ_i)² / 2σ_i²] + ½ ln 2π`, the mean negative log density of normal predictions, in nats.
///
/// Any real number, lower is better; the scale of the targets shifts it by the logarithm. For the mixture of several
/// draws see [`NormalMixture::nll`](crate::NormalMixture::nll).
///
/// ```
/// use blitz_predict::score::normal_nll;
///
/// // ln(2 sqrt(2π)) + 1/2
/// assert!((normal_nll(&[1.0], &[2.0], &[3.0]) - 2.112_085_713_764_618).abs() < 1e-12);
/// ```
///
/// # Panics
///
/// Panics without predictions, unless there are a positive deviation and a target for each mean, or if a value is not
/// finite.
pub fn normal_nll(mean: &[f64], std: &[f64], target: &[f64]) -> f64 {
    or_panic(try_normal_nll(mean, std, target))
}

/// As [`normal_nll`], with an error in place of a panic.
///
/// # Errors
///
/// Without predictions, unless there are a positive deviation and a target for each mean, or if a value is not finite.
pub fn try_normal_nll(mean: &[f64], std: &[f64], target: &[f64]) -> Result<f64, InputError> {
    check::normals(mean, std, target)?;
    let nll =
        |((mean, std), y): ((&f64, &f64), &f64)| std.ln() + 0.5 * in_units(*y, *mean, *std).powi(2);
    let predictions = mean.iter().zip(std).zip(target);
    Ok(crate::numbers::mean(predictions.map(nll)) + HALF_LOG_TWO_PI)
}
