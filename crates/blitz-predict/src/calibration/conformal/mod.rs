//! Conformal prediction: intervals and sets with a coverage that holds for any model and any distribution.
//!
//! For examples exchangeable with the calibration examples, the target is covered with probability at least `level`,
//! and at most `level + 1/(n + 1)` where scores don't tie. This is an average over inputs and calibration sets, not a
//! promise for each input.

mod adaptive_sets;
mod least_ambiguous_sets;
mod quantiles;
mod ranked;
mod sorted_sets;
mod split;

pub use adaptive_sets::{AdaptiveSets, AdaptiveSetsConfig};
pub use least_ambiguous_sets::LeastAmbiguousSets;
pub use quantiles::ConformalQuantiles;
pub use sorted_sets::{SortedSets, SortedSetsConfig};
pub use split::{NormalizedSplitConformal, SplitConformal};

use crate::check;
use crate::error::{InputError, or_panic};

/// The `⌈(n + 1) · level⌉`-th smallest of n scores: with this probability at least, the score of one more, exchangeable
/// example is no larger (Vovk, Gammerman & Shafer 2005).
///
/// ```
/// use blitz_predict::calibration::conformal_quantile;
///
/// // The 9th of 9, then the 5th.
/// let scores: Vec<f64> = (1..=9).map(f64::from).collect();
/// assert_eq!(conformal_quantile(&scores, 0.9), 9.0);
/// assert_eq!(conformal_quantile(&scores, 0.5), 5.0);
/// ```
///
/// # Panics
///
/// Panics unless `level` lies inside (0, 1), with fewer than `level/(1 − level)` scores, or if a score is NaN.
pub fn conformal_quantile(scores: &[f64], level: f64) -> f64 {
    or_panic(try_conformal_quantile(scores, level))
}

/// As [`conformal_quantile`], with an error in place of a panic.
///
/// # Errors
///
/// Unless `level` lies inside (0, 1), with fewer than `level/(1 − level)` scores, or if a score is NaN.
pub fn try_conformal_quantile(scores: &[f64], level: f64) -> Result<f64, InputError> {
    check::level(level)?;
    check::values(scores, "score", "a number", |score| !score.is_nan())?;
    let rank = conformal_rank(scores.len(), level)?;
    let mut sorted = scores.to_vec();
    let (_, quantile, _) = sorted.select_nth_unstable_by(rank - 1, f64::total_cmp);
    Ok(*quantile)
}

/// `⌈(n + 1) · level⌉`, counted from 1, if there are as many scores.
fn conformal_rank(got: usize, level: f64) -> Result<usize, InputError> {
    let rank = whole((got as f64 + 1.0) * level);
    if rank > got {
        return Err(InputError::TooFewExamples {
            level,
            needed: whole(level / (1.0 - level)),
            got,
        });
    }
    Ok(rank)
}

/// The upper end of the interval of those y with `y − from ≤ distance`, as scores subtract: rounded, `from + distance`
/// is below a share of them. Where scores tie, that share is no small one.
fn above(from: f64, distance: f64) -> f64 {
    let end = from + distance;
    if end.next_up() - from <= distance {
        return (from + distance.next_up()).max(end.next_up());
    }
    end
}

/// The lower end of the interval of those y with `from − y ≤ distance`.
fn below(from: f64, distance: f64) -> f64 {
    -above(-from, distance)
}

/// The smallest whole number not below `x`, which is at least 1. A level is no exact float: 100 · 0.55 must not be 56.
fn whole(x: f64) -> usize {
    ((x * (1.0 - 1e-12)).ceil() as usize).max(1)
}
