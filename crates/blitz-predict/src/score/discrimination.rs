//! How well scores tell classes apart: areas under the ROC and the precision–recall curve, and the F1 score.

use super::out_of_distribution::{try_ood_aupr_out, try_ood_auroc};
use crate::check;
use crate::distribution::softmax::most_probable;
use crate::error::{InputError, or_panic};

/// The probability that a positive example scores higher than a negative one, ties counting half: the area under the
/// ROC curve (Hanley & McNeil 1982).
///
/// In [0, 1], higher is better, ½ for a score that tells nothing. Scores are probabilities, logits, or anything that
/// orders.
///
/// ```
/// use blitz_predict::score::auroc;
///
/// // Of six pairs four are in order and one is tied.
/// let area = auroc(&[0.1, 0.2, 0.5, 0.2, 0.9], &[false, false, false, true, true]);
/// assert!((area - 4.5 / 6.0).abs() < 1e-12);
/// ```
///
/// # Panics
///
/// Panics unless there is a label for each score, and an example of each kind, or if a score is NaN.
pub fn auroc(scores: &[f64], labels: &[bool]) -> f64 {
    or_panic(try_auroc(scores, labels))
}

/// As [`auroc`], with an error in place of a panic.
///
/// # Errors
///
/// Unless there is a label for each score, and an example of each kind, or if a score is NaN.
pub fn try_auroc(scores: &[f64], labels: &[bool]) -> Result<f64, InputError> {
    let (negative, positive) = by_label(scores, labels)?;
    try_ood_auroc(&negative, &positive)
}

/// `Σ_k (R_k − R_{k−1}) P_k` of precision P and recall R over the distinct scores, highest first: the area under the
/// precision–recall curve without interpolation.
///
/// In (0, 1], higher is better; a score that tells nothing has the share of positive examples.
///
/// ```
/// use blitz_predict::score::average_precision;
///
/// // Precision 1 at the first, then 2/4 with the tie.
/// let precision = average_precision(&[0.1, 0.2, 0.5, 0.2, 0.9], &[false, false, false, true, true]);
/// assert!((precision - 0.75).abs() < 1e-12);
/// ```
///
/// # Panics
///
/// As [`auroc`].
pub fn average_precision(scores: &[f64], labels: &[bool]) -> f64 {
    or_panic(try_average_precision(scores, labels))
}

/// As [`average_precision`], with an error in place of a panic.
///
/// # Errors
///
/// As [`try_auroc`].
pub fn try_average_precision(scores: &[f64], labels: &[bool]) -> Result<f64, InputError> {
    let (negative, positive) = by_label(scores, labels)?;
    try_ood_aupr_out(&negative, &positive)
}

/// `2 TP / (2 TP + FP + FN)`, the harmonic mean of precision and recall, of answers.
///
/// In [0, 1], higher is better; 0 if nothing is positive, neither answer nor label, as scikit-learn has it.
///
/// ```
/// use blitz_predict::score::f1_score;
///
/// // One hit, one false alarm, no miss.
/// let f1 = f1_score(&[true, true, false], &[true, false, false]);
/// assert!((f1 - 2.0 / 3.0).abs() < 1e-12);
/// ```
///
/// # Panics
///
/// Panics without examples, or unless there is a label for each answer.
pub fn f1_score(answers: &[bool], labels: &[bool]) -> f64 {
    or_panic(try_f1_score(answers, labels))
}

/// As [`f1_score`], with an error in place of a panic.
///
/// # Errors
///
/// Without examples, or unless there is a label for each answer.
pub fn try_f1_score(answers: &[bool], labels: &[bool]) -> Result<f64, InputError> {
    check::not_empty(answers.len(), "answer")?;
    check::same_length((answers.len(), "answers"), (labels.len(), "labels"))?;
    let pairs = || answers.iter().zip(labels);
    let hits = pairs()
        .filter(|(answer, label)| **answer && **label)
        .count();
    let errors = pairs().filter(|(answer, label)| answer != label).count();
    Ok(match hits {
        0 => 0.0,
        hits => 2.0 * hits as f64 / (2 * hits + errors) as f64,
    })
}

/// The mean over the classes of the [`auroc`] of each against all others, by its probability (one against the rest,
/// macro average).
///
/// `probabilities` are those of the predictive distribution, in row-major order `[example, class]`.
///
/// ```
/// use blitz_predict::score::macro_auroc;
///
/// let p = [0.7, 0.2, 0.1, 0.1, 0.8, 0.1, 0.3, 0.3, 0.4];
/// assert_eq!(macro_auroc(&p, 3, &[0, 1, 2]), 1.0);
/// ```
///
/// # Panics
///
/// As [`accuracy`](super::accuracy), and unless each class has an example and is not all there is.
pub fn macro_auroc(probabilities: &[f64], classes: usize, labels: &[usize]) -> f64 {
    or_panic(try_macro_auroc(probabilities, classes, labels))
}

/// As [`macro_auroc`], with an error in place of a panic.
///
/// # Errors
///
/// As [`try_accuracy`](super::try_accuracy), and unless each class has an example and is not all there is.
pub fn try_macro_auroc(
    probabilities: &[f64],
    classes: usize,
    labels: &[usize],
) -> Result<f64, InputError> {
    mean_over_classes(probabilities, classes, labels, try_auroc)
}

/// The mean over the classes of the [`average_precision`] of each against all others, by its probability.
///
/// ```
/// use blitz_predict::score::macro_average_precision;
///
/// let p = [0.7, 0.2, 0.1, 0.1, 0.8, 0.1, 0.3, 0.3, 0.4];
/// assert_eq!(macro_average_precision(&p, 3, &[0, 1, 2]), 1.0);
/// ```
///
/// # Panics
///
/// As [`macro_auroc`].
pub fn macro_average_precision(probabilities: &[f64], classes: usize, labels: &[usize]) -> f64 {
    or_panic(try_macro_average_precision(probabilities, classes, labels))
}

/// As [`macro_average_precision`], with an error in place of a panic.
///
/// # Errors
///
/// As [`try_macro_auroc`].
pub fn try_macro_average_precision(
    probabilities: &[f64],
    classes: usize,
    labels: &[usize],
) -> Result<f64, InputError> {
    mean_over_classes(probabilities, classes, labels, try_average_precision)
}

/// The mean over the classes of the [`f1_score`] of each, where the answer is the most probable class.
///
/// A class that is neither answer nor label counts as 0. Unlike the accuracy it weighs a rare class as much as a
/// frequent one.
///
/// ```
/// use blitz_predict::score::macro_f1;
///
/// // The rare class is never found: F1 of 6/7 for one, 0 for the other.
/// let f1 = macro_f1(&[0.9, 0.1].repeat(4), 2, &[0, 0, 0, 1]);
/// assert!((f1 - 3.0 / 7.0).abs() < 1e-12);
/// ```
///
/// # Panics
///
/// As [`accuracy`](super::accuracy).
pub fn macro_f1(probabilities: &[f64], classes: usize, labels: &[usize]) -> f64 {
    or_panic(try_macro_f1(probabilities, classes, labels))
}

/// As [`macro_f1`], with an error in place of a panic.
///
/// # Errors
///
/// As [`try_accuracy`](super::try_accuracy).
pub fn try_macro_f1(
    probabilities: &[f64],
    classes: usize,
    labels: &[usize],
) -> Result<f64, InputError> {
    check::classification(probabilities, classes, labels)?;
    let answers: Vec<_> = probabilities
        .chunks(classes)
        .map(|row| most_probable(row).0)
        .collect();
    let mut sum = 0.0;
    for class in 0..classes {
        let is = |given: &[usize]| given.iter().map(|c| *c == class).collect::<Vec<_>>();
        sum += try_f1_score(&is(&answers), &is(labels))?;
    }
    Ok(sum / classes as f64)
}

fn mean_over_classes(
    probabilities: &[f64],
    classes: usize,
    labels: &[usize],
    score: impl Fn(&[f64], &[bool]) -> Result<f64, InputError>,
) -> Result<f64, InputError> {
    check::classification(probabilities, classes, labels)?;
    let mut sum = 0.0;
    for class in 0..classes {
        let column = probabilities.iter().skip(class).step_by(classes);
        let column: Vec<_> = column.copied().collect();
        let is: Vec<_> = labels.iter().map(|label| *label == class).collect();
        sum += score(&column, &is).map_err(|error| match error {
            InputError::Empty { what } => InputError::OfClass { class, what },
            error => error,
        })?;
    }
    Ok(sum / classes as f64)
}

/// The scores of the negative and of the positive examples.
fn by_label(scores: &[f64], labels: &[bool]) -> Result<(Vec<f64>, Vec<f64>), InputError> {
    check::same_length((scores.len(), "scores"), (labels.len(), "labels"))?;
    check::values(scores, "score", "a number", |score| !score.is_nan())?;
    let of = |kind: bool| -> Vec<f64> {
        let pairs = scores.iter().zip(labels);
        let chosen = pairs.filter(|(_, label)| **label == kind);
        chosen.map(|(score, _)| *score).collect()
    };
    let (negative, positive) = (of(false), of(true));
    check::not_empty(negative.len(), "negative example")?;
    check::not_empty(positive.len(), "positive example")?;
    Ok((negative, positive))
}
