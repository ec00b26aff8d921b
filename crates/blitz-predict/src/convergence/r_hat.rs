//! R̂: how much wider all chains together are than each by itself.

use super::chains::{mean, sorted, spread_halves, variance};
use super::ranks::normal_scores;
use crate::error::{InputError, or_panic};

/// The rank-normalised split R̂ of one number: the larger of that of the draws and that of their distances from the
/// median, which sees chains of different spread.
///
/// Each chain is split in two, so that one that drifts disagrees with itself; one chain alone is enough. It is 1 for
/// chains that agree, and infinite for chains that stand still in different places.
///
/// # Panics
///
/// As [`try_r_hat`] returns an error.
pub fn r_hat(chains: &[impl AsRef<[f64]>]) -> f64 {
    or_panic(try_r_hat(chains))
}

/// [`r_hat`] of draws that may be wrong.
///
/// # Errors
///
/// Chains of less than [`MIN_DRAWS`](super::MIN_DRAWS) draws or of different lengths; draws that are not finite, or all
/// the same.
pub fn try_r_hat(chains: &[impl AsRef<[f64]>]) -> Result<f64, InputError> {
    let halves = spread_halves(chains)?;
    Ok(of_halves(&halves, &normal_scores(&halves)))
}

/// Of halves of chains and their normal scores.
pub(super) fn of_halves(halves: &[Vec<f64>], scores: &[Vec<f64>]) -> f64 {
    let sorted = sorted(halves);
    // Of an even number: two draws are in the middle, equally far from the median between them. Rounding the median
    // would part them.
    let [a, b] = [sorted[sorted.len() / 2 - 1], sorted[sorted.len() / 2]];
    // Of halves, since a distance may be beyond the numbers; ranks don't ask for the unit.
    let distance = |value: &f64| ((0.5 * value - 0.5 * a) + (0.5 * value - 0.5 * b)).abs();
    let folded: Vec<Vec<f64>> = halves
        .iter()
        .map(|half| half.iter().map(distance).collect())
        .collect();
    let bulk = of_scores(scores);
    let spread = of_scores(&normal_scores(&folded));
    // Of draws on two values the distances may all be the same, and say nothing.
    bulk.max(spread)
}

fn of_scores(scores: &[Vec<f64>]) -> f64 {
    let draws = scores[0].len() as f64;
    let means: Vec<f64> = scores.iter().map(|chain| mean(chain)).collect();
    let variances: Vec<f64> = scores.iter().map(|chain| variance(chain)).collect();
    let between = draws * variance(&means);
    ((between / mean(&variances) + draws - 1.0) / draws).sqrt()
}
