//! Predictive intervals: how often they hold the target, how wide they are, and both in one score.

use crate::check;
use crate::error::{InputError, or_panic};
use crate::mixture::Interval;
use crate::numbers::mean;

/// `1/n Σ [lower_i ≤ y_i ≤ upper_i]`, the share of targets inside their intervals.
///
/// In [0, 1]; neither more nor less is better, the level of the intervals is. A share of n has the standard error
/// `√(level (1 − level)/n)`.
///
/// ```
/// use blitz_predict::Interval;
/// use blitz_predict::score::interval_coverage;
///
/// let unit = Interval { lower: 0.0, upper: 1.0 };
/// assert_eq!(interval_coverage(&[unit; 4], &[0.0, 0.5, 1.0, 1.5]), 0.75);
/// ```
///
/// # Panics
///
/// Panics without intervals, unless there is one finite target for each, or if a lower end is above the upper one.
pub fn interval_coverage(intervals: &[Interval], target: &[f64]) -> f64 {
    or_panic(try_interval_coverage(intervals, target))
}

/// As [`interval_coverage`], with an error in place of a panic.
///
/// # Errors
///
/// Without intervals, unless there is one finite target for each, or if a lower end is above the upper one.
pub fn try_interval_coverage(intervals: &[Interval], target: &[f64]) -> Result<f64, InputError> {
    check::targets(intervals.len(), target)?;
    Interval::check_all(intervals)?;
    let pairs = intervals.iter().zip(target);
    let inside = pairs.filter(|(interval, y)| interval.contains(**y));
    Ok(inside.count() as f64 / target.len() as f64)
}

/// `1/n Σ (upper_i − lower_i)`, the mean width of the intervals (Gneiting, Balabdaoui & Raftery 2007).
///
/// In the units of the targets, at least 0. Lower is better among intervals that cover what they promise.
///
/// ```
/// use blitz_predict::Interval;
/// use blitz_predict::score::sharpness;
///
/// let intervals = [(0.0, 1.0), (2.0, 5.0)].map(|(lower, upper)| Interval { lower, upper });
/// assert_eq!(sharpness(&intervals), 2.0);
/// ```
///
/// # Panics
///
/// Panics without intervals, or if a lower end is above the upper one.
pub fn sharpness(intervals: &[Interval]) -> f64 {
    or_panic(try_sharpness(intervals))
}

/// As [`sharpness`], with an error in place of a panic.
///
/// # Errors
///
/// Without intervals, or if a lower end is above the upper one.
pub fn try_sharpness(intervals: &[Interval]) -> Result<f64, InputError> {
    check::not_empty(intervals.len(), "interval")?;
    Interval::check_all(intervals)?;
    Ok(mean(intervals.iter().map(Interval::width)))
}

/// `1/n Σ (u_i − l_i) + 2/α · [(l_i − y_i)⁺ + (y_i − u_i)⁺]`, the interval score `IS_α` of central intervals of level
/// `1 − α` (Gneiting & Raftery 2007).
///
/// In the units of the targets, at least 0, lower is better; proper for the quantiles `α/2` and `1 − α/2`. Width, plus
/// a fine for each target outside in proportion to how far it is.
///
/// ```
/// use blitz_predict::Interval;
/// use blitz_predict::score::interval_score;
///
/// let unit = Interval { lower: 0.0, upper: 1.0 };
/// // 1 for the first, 1 + 2/0.2 · 0.5 for the second.
/// let score = interval_score(&[unit; 2], &[0.3, 1.5], 0.8);
/// assert!((score - 3.5).abs() < 1e-12);
/// ```
///
/// # Panics
///
/// As [`interval_coverage`], and unless `level` lies inside (0, 1).
pub fn interval_score(intervals: &[Interval], target: &[f64], level: f64) -> f64 {
    or_panic(try_interval_score(intervals, target, level))
}

/// As [`interval_score`], with an error in place of a panic.
///
/// # Errors
///
/// As [`try_interval_coverage`], and unless `level` lies inside (0, 1).
pub fn try_interval_score(
    intervals: &[Interval],
    target: &[f64],
    level: f64,
) -> Result<f64, InputError> {
    check::level(level)?;
    check::targets(intervals.len(), target)?;
    Interval::check_all(intervals)?;
    let fine = 2.0 / (1.0 - level);
    let score = |(interval, y): (&Interval, &f64)| {
        let outside = (interval.lower - y).max(0.0) + (y - interval.upper).max(0.0);
        interval.width() + fine * outside
    };
    Ok(mean(intervals.iter().zip(target).map(score)))
}
