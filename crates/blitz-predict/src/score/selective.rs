//! Selective prediction: what is gained where a model may decline to answer when it is unsure.

use crate::check;
use crate::error::{InputError, or_panic};
use crate::numbers::{mean, unit};

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
/// The risk is in the units of the loss, lower is better; for errors of 0 and 1 it is the error rate among those
/// answered. Of equal confidences none comes first: the risk is the one expected when they are taken in random order,
/// so it does not depend on the order of the examples.
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
///
/// # Errors
///
/// Without predictions, unless there is one finite loss of at least 0 for each confidence, or if a confidence is NaN.
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
    let unit = unit(loss.iter());
    let mut sum = 0.0;
    for tied in order.chunk_by(|a, b| confidence[*a] == confidence[*b]) {
        let (before, of_tied) = (
            curve.len(),
            tied.iter().map(|i| loss[*i] / unit).sum::<f64>(),
        );
        for taken in 1..=tied.len() {
            let k = before + taken;
            let expected = sum + of_tied * taken as f64 / tied.len() as f64;
            curve.push(RiskAtCoverage {
                coverage: k as f64 / n as f64,
                risk: expected / k as f64 * unit,
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
///
/// # Errors
///
/// As [`try_risk_coverage_curve`].
pub fn try_aurc(confidence: &[f64], loss: &[f64]) -> Result<f64, InputError> {
    let curve = try_risk_coverage_curve(confidence, loss)?;
    Ok(mean(curve.iter().map(|point| point.risk)))
}

/// [`aurc`] less that of confidences in the order of the losses themselves, the best there is (Geifman, Uziel &
/// El-Yaniv 2019).
///
/// In the units of the loss, at least 0, lower is better. Exact, where the paper approximates the best area by an
/// integral.
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
///
/// # Errors
///
/// As [`try_risk_coverage_curve`].
pub fn try_excess_aurc(confidence: &[f64], loss: &[f64]) -> Result<f64, InputError> {
    let area = try_aurc(confidence, loss)?;
    let best: Vec<f64> = loss.iter().map(|loss| -loss).collect();
    // Never negative but for rounding.
    Ok((area - try_aurc(&best, loss)?).max(0.0))
}

/// The area under the generalized risk–coverage curve, `∫₀¹ κ · risk(κ) dκ` (Traub et al. 2024): the mean, over all
/// coverages, of the loss of what is answered and wrong, per example asked.
///
/// In the units of the loss, at most half of the largest, lower is better. Where [`aurc`] weighs the few most confident
/// examples most, since each risk is a mean over those answered, here every error counts by how many examples are less
/// confident. For losses of 0 and 1 of a model of accuracy a, whose confidence finds its errors with the AUROC A, it is
/// `(1 − A) a (1 − a) + (1 − a)²/2`, exactly, with ties.
///
/// ```
/// use blitz_predict::score::augrc;
///
/// // Half the pairs of right and wrong are in order: ½ · 2/3 · 1/3 + ½ · 1/9.
/// let area = augrc(&[0.9, 0.6, 0.5], &[0.0, 1.0, 0.0]);
/// assert!((area - 1.0 / 6.0).abs() < 1e-12);
/// ```
///
/// # Panics
///
/// As [`risk_coverage_curve`].
pub fn augrc(confidence: &[f64], loss: &[f64]) -> f64 {
    or_panic(try_augrc(confidence, loss))
}

/// As [`augrc`], with an error in place of a panic.
///
/// # Errors
///
/// As [`try_risk_coverage_curve`].
pub fn try_augrc(confidence: &[f64], loss: &[f64]) -> Result<f64, InputError> {
    let curve = try_risk_coverage_curve(confidence, loss)?;
    // Trapezia: the generalized risk is linear between whole numbers of examples, and 0 where none is answered.
    let generalized = |point: &RiskAtCoverage| {
        let weight = if point.coverage < 1.0 { 1.0 } else { 0.5 };
        weight * point.coverage * point.risk
    };
    Ok(mean(curve.iter().map(generalized)))
}

/// The risk where at least the share `coverage` is answered, the most confident ones: that of the `⌈coverage · n⌉`
/// first.
///
/// ```
/// use blitz_predict::score::risk_at_coverage;
///
/// assert_eq!(risk_at_coverage(&[0.9, 0.8, 0.6, 0.5], &[0.0, 1.0, 0.0, 1.0], 0.5), 0.5);
/// ```
///
/// # Panics
///
/// As [`risk_coverage_curve`], and unless `coverage` lies inside (0, 1].
pub fn risk_at_coverage(confidence: &[f64], loss: &[f64], coverage: f64) -> f64 {
    or_panic(try_risk_at_coverage(confidence, loss, coverage))
}

/// As [`risk_at_coverage`], with an error in place of a panic.
///
/// # Errors
///
/// As [`try_risk_coverage_curve`], and unless `coverage` lies inside (0, 1].
pub fn try_risk_at_coverage(
    confidence: &[f64],
    loss: &[f64],
    coverage: f64,
) -> Result<f64, InputError> {
    if !(coverage > 0.0 && coverage <= 1.0) {
        return Err(InputError::Setting {
            what: "a coverage",
            value: coverage,
            range: "inside (0, 1]",
        });
    }
    let curve = try_risk_coverage_curve(confidence, loss)?;
    // A share is no exact float: 0.55 of 100 are 55.
    let answered = (curve.len() as f64 * coverage * (1.0 - 1e-12)).ceil() as usize;
    Ok(curve[answered.clamp(1, curve.len()) - 1].risk)
}

/// The largest coverage whose risk is at most `risk`; 0 if none has.
///
/// ```
/// use blitz_predict::score::coverage_at_risk;
///
/// let (confidence, loss) = ([0.9, 0.8, 0.6, 0.5], [0.0, 1.0, 0.0, 1.0]);
/// assert_eq!(coverage_at_risk(&confidence, &loss, 0.4), 0.75);
/// assert_eq!(coverage_at_risk(&confidence, &loss, 0.0), 0.25);
/// ```
///
/// # Panics
///
/// As [`risk_coverage_curve`], and if `risk` is negative or NaN.
pub fn coverage_at_risk(confidence: &[f64], loss: &[f64], risk: f64) -> f64 {
    or_panic(try_coverage_at_risk(confidence, loss, risk))
}

/// As [`coverage_at_risk`], with an error in place of a panic.
///
/// # Errors
///
/// As [`try_risk_coverage_curve`], and if `risk` is negative or NaN.
pub fn try_coverage_at_risk(
    confidence: &[f64],
    loss: &[f64],
    risk: f64,
) -> Result<f64, InputError> {
    if risk.is_nan() || risk < 0.0 {
        return Err(InputError::Setting {
            what: "a risk",
            value: risk,
            range: "not negative",
        });
    }
    let curve = try_risk_coverage_curve(confidence, loss)?;
    // 3 of 60 are no more than 0.05, whatever the rounding.
    let allowed = risk * (1.0 + 1e-12);
    let last = curve.iter().rev().find(|point| point.risk <= allowed);
    Ok(last.map_or(0.0, |point| point.coverage))
}

/// The losses of selective classification where inputs from elsewhere are to be declined as well (SCOD; Narasimhan et
/// al. 2024): `(1 − cost) · loss` of an inside example, and `cost` of an outside one, whatever is answered.
///
/// They are what [`risk_coverage_curve`], [`aurc`], [`augrc`], [`risk_at_coverage`] and [`coverage_at_risk`] take: with
/// a confidence that is low both where the model errs and where the input is strange.
///
/// ```
/// use blitz_predict::score::{aurc, scod_losses};
///
/// // Right, wrong, and from elsewhere.
/// let loss = scod_losses(&[0.0, 1.0, 1.0], &[false, false, true], 0.75);
/// assert_eq!(loss, [0.0, 0.25, 0.75]);
/// // Least if the stranger is declined first.
/// assert!(aurc(&[0.9, 0.6, 0.1], &loss) < aurc(&[0.9, 0.1, 0.6], &loss));
/// ```
///
/// # Panics
///
/// Panics without examples, unless there is one finite loss of at least 0 for each that is not outside, or unless
/// `cost` lies inside [0, 1].
pub fn scod_losses(loss: &[f64], outside: &[bool], cost: f64) -> Vec<f64> {
    or_panic(try_scod_losses(loss, outside, cost))
}

/// As [`scod_losses`], with an error in place of a panic.
///
/// # Errors
///
/// Without examples, unless there is one finite loss of at least 0 for each that is not outside, or unless `cost` lies
/// inside [0, 1].
pub fn try_scod_losses(loss: &[f64], outside: &[bool], cost: f64) -> Result<Vec<f64>, InputError> {
    check::not_empty(loss.len(), "example")?;
    check::same_length(
        (loss.len(), "losses"),
        (outside.len(), "marks of the outside"),
    )?;
    if !(0.0..=1.0).contains(&cost) {
        return Err(InputError::Setting {
            what: "the cost of an outside input",
            value: cost,
            range: "inside [0, 1]",
        });
    }
    // What is said about an outside input has no loss of its own: it may be NaN.
    let inside = |(loss, outside): (&f64, &bool)| if *outside { 0.0 } else { *loss };
    let losses: Vec<f64> = loss.iter().zip(outside).map(inside).collect();
    check::non_negative(&losses, "loss")?;
    let losses = losses.iter().zip(outside);
    let losses = losses.map(|(loss, outside)| if *outside { cost } else { (1.0 - cost) * loss });
    Ok(losses.collect())
}
