//! What is asked of every number: R̂ and both effective sample sizes, from one pass over its draws.

use super::chains::{sorted, spread_halves};
use super::ess::{effective, tails};
use super::r_hat::of_halves;
use super::ranks::normal_scores;
use crate::error::{InputError, or_panic};

/// What the chains of one number say of their convergence.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Summary {
    /// [R̂](super::r_hat).
    pub r_hat: f64,
    /// The [effective sample size](super::ess_bulk) of the bulk.
    pub ess_bulk: f64,
    /// That of the [tails](super::ess_tail).
    pub ess_tail: f64,
}

/// [`r_hat`](super::r_hat), [`ess_bulk`](super::ess_bulk) and [`ess_tail`](super::ess_tail) together, whose work is in part the same.
///
/// ```
/// use blitz_predict::convergence::{r_hat, summary};
///
/// let chains = [[0.1, -0.3, 0.2, 0.5, -0.1, 0.0], [0.3, -0.2, 0.4, 0.6, 0.2, -0.4]];
/// assert_eq!(summary(&chains).r_hat, r_hat(&chains));
/// ```
///
/// # Panics
///
/// As [`try_summary`] returns an error.
pub fn summary(chains: &[impl AsRef<[f64]>]) -> Summary {
    or_panic(try_summary(chains))
}

/// [`summary`] of draws that may be wrong.
///
/// # Errors
///
/// As [`try_r_hat`](super::try_r_hat).
pub fn try_summary(chains: &[impl AsRef<[f64]>]) -> Result<Summary, InputError> {
    let halves = spread_halves(chains)?;
    let scores = normal_scores(&halves);
    Ok(Summary {
        r_hat: of_halves(&halves, &scores),
        ess_bulk: effective(&scores),
        ess_tail: tails(&halves, &sorted(chains)),
    })
}
