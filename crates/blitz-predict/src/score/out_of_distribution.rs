//! How well a score of uncertainty tells inputs from elsewhere from those like the training data.
//!
//! In all of these, `inside` are the scores of inputs from the training distribution, `outside` those of others, and a
//! higher score says "from outside": entropy, mutual information, a predictive deviation.

use crate::check;
use crate::error::{InputError, or_panic};

/// The probability that an outside input scores higher than an inside one, ties counting half: the area under the ROC
/// curve (Hanley & McNeil 1982; for this task Hendrycks & Gimpel 2017).
///
/// In [0, 1], higher is better, ½ for a score that tells nothing.
///
/// ```
/// use blitz_predict::score::ood_auroc;
///
/// // Of six pairs four are in order and one is tied.
/// let auroc = ood_auroc(&[0.1, 0.2, 0.5], &[0.2, 0.9]);
/// assert!((auroc - 4.5 / 6.0).abs() < 1e-12);
/// ```
///
/// # Panics
///
/// Panics unless there are scores of both kinds, or if one is NaN.
pub fn ood_auroc(inside: &[f64], outside: &[f64]) -> f64 {
    or_panic(try_ood_auroc(inside, outside))
}

/// As [`ood_auroc`], with an error in place of a panic.
///
/// # Errors
///
/// Unless there are scores of both kinds, or if one is NaN.
pub fn try_ood_auroc(inside: &[f64], outside: &[f64]) -> Result<f64, InputError> {
    let thresholds = thresholds(inside, outside)?;
    let mut accepted = 0.0;
    let mut area = 0.0;
    for step in thresholds {
        let (inside, outside) = (step.inside as f64, step.outside as f64);
        area += outside * (accepted + 0.5 * inside);
        accepted += inside;
    }
    Ok(area / (inside.len() as f64 * outside.len() as f64))
}

/// The average precision of finding the *outside* inputs by a high score, `Σ_k (R_k − R_{k−1}) P_k` over the distinct
/// scores, highest first (AUPR-out of Hendrycks & Gimpel 2017).
///
/// In (0, 1], higher is better; a score that tells nothing has the share of outside inputs. Depends on that share, so
/// compare it on the same inputs only.
///
/// ```
/// use blitz_predict::score::ood_aupr_out;
///
/// // Precision 1 at the first, then 2/4 with the tie.
/// let aupr = ood_aupr_out(&[0.1, 0.2, 0.5], &[0.2, 0.9]);
/// assert!((aupr - 0.75).abs() < 1e-12);
/// ```
///
/// # Panics
///
/// As [`ood_auroc`].
pub fn ood_aupr_out(inside: &[f64], outside: &[f64]) -> f64 {
    or_panic(try_ood_aupr_out(inside, outside))
}

/// As [`ood_aupr_out`], with an error in place of a panic.
///
/// # Errors
///
/// As [`try_ood_auroc`].
pub fn try_ood_aupr_out(inside: &[f64], outside: &[f64]) -> Result<f64, InputError> {
    let thresholds = thresholds(inside, outside)?.into_iter().rev();
    let steps = thresholds.map(|step| (step.outside, step.inside));
    Ok(average_precision(steps, outside.len()))
}

/// The average precision of finding the *inside* inputs by a low score (AUPR-in of Hendrycks & Gimpel 2017).
///
/// In (0, 1], higher is better; a score that tells nothing has the share of inside inputs.
///
/// ```
/// use blitz_predict::score::ood_aupr_in;
///
/// // Precision 1, 2/3 with the tie, 3/4.
/// let aupr = ood_aupr_in(&[0.1, 0.2, 0.5], &[0.2, 0.9]);
/// assert!((aupr - (1.0 + 2.0 / 3.0 + 0.75) / 3.0).abs() < 1e-12);
/// ```
///
/// # Panics
///
/// As [`ood_auroc`].
pub fn ood_aupr_in(inside: &[f64], outside: &[f64]) -> f64 {
    or_panic(try_ood_aupr_in(inside, outside))
}

/// As [`ood_aupr_in`], with an error in place of a panic.
///
/// # Errors
///
/// As [`try_ood_auroc`].
pub fn try_ood_aupr_in(inside: &[f64], outside: &[f64]) -> Result<f64, InputError> {
    let thresholds = thresholds(inside, outside)?.into_iter();
    let steps = thresholds.map(|step| (step.inside, step.outside));
    Ok(average_precision(steps, inside.len()))
}

/// The share of outside inputs accepted at the threshold that accepts 95 % of the inside ones (FPR at 95 % TPR; Liang,
/// Li & Srikant 2018).
///
/// In [0, 1], lower is better. The threshold is the lowest inside score at or below which lie at least 95 % of them;
/// an outside input with exactly that score is accepted. Some papers call the outside inputs the positives: theirs is
/// another number.
///
/// ```
/// use blitz_predict::score::ood_fpr95;
///
/// // All three inside scores are needed for 95 %, and one of two outside is below 0.5.
/// assert_eq!(ood_fpr95(&[0.1, 0.2, 0.5], &[0.2, 0.9]), 0.5);
/// ```
///
/// # Panics
///
/// As [`ood_auroc`].
pub fn ood_fpr95(inside: &[f64], outside: &[f64]) -> f64 {
    or_panic(try_ood_fpr95(inside, outside))
}

/// As [`ood_fpr95`], with an error in place of a panic.
///
/// # Errors
///
/// As [`try_ood_auroc`].
pub fn try_ood_fpr95(inside: &[f64], outside: &[f64]) -> Result<f64, InputError> {
    let mut accepted = (0, 0);
    for step in thresholds(inside, outside)? {
        accepted.0 += step.inside;
        accepted.1 += step.outside;
        // In whole numbers: 0.95 is no exact float.
        if 100 * accepted.0 >= 95 * inside.len() {
            break;
        }
    }
    Ok(accepted.1 as f64 / outside.len() as f64)
}

/// How many inputs of each kind have one score.
struct Step {
    inside: usize,
    outside: usize,
}

/// The distinct scores, lowest first.
fn thresholds(inside: &[f64], outside: &[f64]) -> Result<Vec<Step>, InputError> {
    for (scores, what) in [(inside, "inside score"), (outside, "outside score")] {
        check::not_empty(scores.len(), what)?;
        check::values(scores, what, "a number", |score| !score.is_nan())?;
    }
    let mut scores: Vec<(f64, bool)> = inside.iter().map(|score| (*score, true)).collect();
    scores.extend(outside.iter().map(|score| (*score, false)));
    scores.sort_by(|a, b| a.0.total_cmp(&b.0));
    let tied = scores.chunk_by(|a, b| a.0 == b.0);
    let step = |tied: &[(f64, bool)]| {
        let inside = tied.iter().filter(|(_, inside)| *inside).count();
        Step {
            inside,
            outside: tied.len() - inside,
        }
    };
    Ok(tied.map(step).collect())
}

/// From the numbers of positives and negatives at each threshold, best score first.
fn average_precision(steps: impl Iterator<Item = (usize, usize)>, positives: usize) -> f64 {
    let (mut found, mut taken, mut area) = (0, 0, 0.0);
    for (positive, negative) in steps {
        found += positive;
        taken += positive + negative;
        area += positive as f64 * found as f64 / taken as f64;
    }
    area / positives as f64
}
