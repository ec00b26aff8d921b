//! The share of right answers.

use crate::check;
use crate::distribution::softmax::most_probable;
use crate::error::{InputError, or_panic};

/// The share of examples whose most probable class is the label.
///
/// In [0, 1], higher is better. Among equal probabilities the first class counts as the answer. `probabilities` are
/// those of the predictive distribution, in row-major order `[example, class]`.
///
/// ```
/// use blitz_predict::score::accuracy;
///
/// // Right, wrong, and a tie that the first class wins.
/// let p = [0.2, 0.8, 0.9, 0.1, 0.5, 0.5];
/// assert!((accuracy(&p, 2, &[1, 1, 0]) - 2.0 / 3.0).abs() < 1e-12);
/// ```
///
/// # Panics
///
/// Panics without examples, unless there is one label below `classes` for each example, if a probability lies outside
/// [0, 1], or if those of an example don't sum to 1 (to 1e-4).
pub fn accuracy(probabilities: &[f64], classes: usize, labels: &[usize]) -> f64 {
    or_panic(try_accuracy(probabilities, classes, labels))
}

/// As [`accuracy`], with an error in place of a panic.
///
/// # Errors
///
/// Without examples, unless there is one label below `classes` for each example, if a probability lies outside [0, 1],
/// or if those of an example don't sum to 1 (to 1e-4).
pub fn try_accuracy(
    probabilities: &[f64],
    classes: usize,
    labels: &[usize],
) -> Result<f64, InputError> {
    check::classification(probabilities, classes, labels)?;
    let rows = probabilities.chunks(classes).zip(labels);
    let correct = rows.filter(|(row, label)| most_probable(row).0 == **label);
    Ok(correct.count() as f64 / labels.len() as f64)
}
