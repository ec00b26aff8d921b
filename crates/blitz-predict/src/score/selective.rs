//! Selective prediction: what is gained where a model may decline to answer when it is unsure.

use crate::check;
use crate::error::{InputError, or_panic};

/// A point of a risk–coverage curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RiskAtCoverage {
    /// The share of examples answered, the most confident ones, in (0, 1].
    pub coverage: f64,
    /// Their mean loss.
    pub risk: f64,
}

/// The mean loss of the `k` most confident predictions, for `k = 1 … n` (El-Yaniv & Wiener 2010).
///
/// The risk is in the units of the loss, lower is better; for errors of 0 and 1 it is the error rate among those answered.
/// Of equal confidences none comes first: the risk is the one expected when they are taken in random order, so it does
/// not depend on the order of the examples.
///
/// ```
/// use blitz_predict::score::risk_coverage_curve;
///
/// // The error is among two equally confident ones: half of it is expected first.
/// let curve = risk_coverage_curve(&[0.9, 0.6, 0.6], &[0.0, 1.0, 0.0]);
/// assert_eq!(curve.iter().map(|point| point.risk).collect::<Vec<_>>(), [0.0, 0.25, 1.0 / 3.0]);
/// ```
///
/// # Panics
///
/// Panics without predictions, unless there is one finite loss of at least 0 for each confidence, or if a confidence
/// is NaN.
pub fn risk_coverage_curve(confidence: &[f64], loss: &[f64]) -> Vec<RiskAtCoverage> {
    or_panic(try_risk_coverage_curve(confidence, loss))
}

/// As [`risk_coverage_curve`], with an error in place of a panic.
pub fn try_risk_coverage_curve(
    confidence: &[f64],
    loss: &[f64],
) -> Result<Vec<RiskAtCoverage>, InputError> {
    check::not_empty(confidence.len(), "prediction")?;
    check::same_length((confidence.len(), "confidences"), (loss.len(), "losses"))?;
    check::values(confidence, "confidence", "a number", |c| !c.is_nan())?;
    check::non_negative(loss, "loss")?;
    let n = confidence.len();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|a, b| confidence[*b].total_cmp(&confidence[*a]));
    let mut curve = Vec::with_capacity(n);
    let mut sum = 0.0;
    for tied in order.chunk_by(|a, b| confidence[*a] == confidence[*b]) {
        let (before, of_tied) = (curve.len(), tied.iter().map(|i| loss[*i]).sum::<f64>());
        for taken in 1..=tied.len() {
            let k = before + taken;
            let expected = sum + of_tied * taken as f64 / tied.len() as f64;
            curve.push(RiskAtCoverage {
                coverage: k as f64 / n as f64,
                risk: expected / k as f64,
            });
        }
        sum += of_tied;
    }
    Ok(curve)
}

/// The area under the risk–coverage curve, `1/n Σ_k risk(k/n)` (Geifman, Uziel & El-Yaniv 2019).
///
/// In the units of the loss, between 0 and its largest value, lower is better. It rewards both a good model and
/// confidences that order its errors; [`excess_aurc`] the second alone.
///
/// ```
/// use blitz_predict::score::aurc;
///
/// // Risks 0, 1/2 and 1/3.
/// let area = aurc(&[0.9, 0.6, 0.5], &[0.0, 1.0, 0.0]);
/// assert!((area - 5.0 / 18.0).abs() < 1e-12);
/// ```
///
/// # Panics
///
/// As [`risk_coverage_curve`].
pub fn aurc(confidence: &[f64], loss: &[f64]) -> f64 {
    or_panic(try_aurc(confidence, loss))
}

/// As [`aurc`], with an error in place of a panic.
pub fn try_aurc(confidence: &[f64], loss: &[f64]) -> Result<f64, InputError> {
    let curve = try_risk_coverage_curve(confidence, loss)?;
    Ok(curve.iter().map(|point| point.risk).sum::<f64>() / curve.len() as f64)
}

/// [`aurc`] less that of confidences in the order of the losses themselves, the best there is (Geifman, Uziel &
/// El-Yaniv 2019).
///
/// In the units of the loss, at least 0, lower is better. Exact, where the paper approximates the best area by an integral.
///
/// ```
/// use blitz_predict::score::excess_aurc;
///
/// // 5/18, where the error last would give 1/9.
/// let excess = excess_aurc(&[0.9, 0.6, 0.5], &[0.0, 1.0, 0.0]);
/// assert!((excess - 1.0 / 6.0).abs() < 1e-12);
/// ```
///
/// # Panics
///
/// As [`risk_coverage_curve`].
pub fn excess_aurc(confidence: &[f64], loss: &[f64]) -> f64 {
    or_panic(try_excess_aurc(confidence, loss))
}

/// As [`excess_aurc`], with an error in place of a panic.
pub fn try_excess_aurc(confidence: &[f64], loss: &[f64]) -> Result<f64, InputError> {
    let area = try_aurc(confidence, loss)?;
    let best: Vec<f64> = loss.iter().map(|loss| -loss).collect();
    // Never negative but for rounding.
    Ok((area - try_aurc(&best, loss)?).max(0.0))
}
