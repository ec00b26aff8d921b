//! Effective sample sizes: the number of independent draws that would tell as much.

use super::autocovariance::Autocovariances;
use super::chains::{mean, quantile, sorted, spread_halves, variance};
use super::ranks::normal_scores;
use crate::error::{InputError, or_panic};

/// The effective sample size of the normal scores: of means, medians and the middle of the distribution.
///
/// # Panics
///
/// As [`try_ess_bulk`] returns an error.
pub fn ess_bulk(chains: &[impl AsRef<[f64]>]) -> f64 {
    or_panic(try_ess_bulk(chains))
}

/// [`ess_bulk`] of draws that may be wrong.
///
/// # Errors
///
/// As [`try_r_hat`](super::try_r_hat).
pub fn try_ess_bulk(chains: &[impl AsRef<[f64]>]) -> Result<f64, InputError> {
    let halves = spread_halves(chains)?;
    Ok(effective(&normal_scores(&halves)))
}

/// The smaller effective sample size of the two that say whether a draw lies below the quantile of 5 % and below that
/// of 95 %: of the ends of intervals.
///
/// # Panics
///
/// As [`try_ess_tail`] returns an error.
pub fn ess_tail(chains: &[impl AsRef<[f64]>]) -> f64 {
    or_panic(try_ess_tail(chains))
}

/// [`ess_tail`] of draws that may be wrong.
///
/// # Errors
///
/// As [`try_r_hat`](super::try_r_hat).
pub fn try_ess_tail(chains: &[impl AsRef<[f64]>]) -> Result<f64, InputError> {
    let halves = spread_halves(chains)?;
    Ok(tails(&halves, &sorted(chains)))
}

/// Of halves of chains, and all draws in order: the quantiles are those of all draws, the one in the middle among them.
pub(super) fn tails(halves: &[Vec<f64>], sorted: &[f64]) -> f64 {
    let below = |p| {
        let limit = quantile(sorted, p);
        let below = |value: &f64| if *value <= limit { 1.0 } else { 0.0 };
        let indicators: Vec<Vec<f64>> = halves
            .iter()
            .map(|half| half.iter().map(below).collect())
            .collect();
        effective(&indicators)
    };
    below(0.05).min(below(0.95))
}

/// By the autocorrelations of all chains together, as far as Geyer's initial monotone sequence of pairs goes.
pub(super) fn effective(chains: &[Vec<f64>]) -> f64 {
    let draws = chains[0].len();
    let total = (chains.len() * draws) as f64;
    let flat = chains.iter().flatten();
    let (low, high) = flat.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(*value), high.max(*value))
    });
    // An indicator that is the same for all draws.
    if high - low < 1e-15 {
        return total;
    }
    let centered: Vec<Vec<f64>> = chains
        .iter()
        .map(|chain| {
            let mean = mean(chain);
            chain.iter().map(|value| value - mean).collect()
        })
        .collect();
    let covariances = Autocovariances::new(centered);
    let n = draws as f64;
    let within = covariances.at(0) * n / (n - 1.0);
    let means: Vec<f64> = chains.iter().map(|chain| mean(chain)).collect();
    let marginal = within * (n - 1.0) / n + variance(&means);
    let correlation = |lag: usize| 1.0 - (within - covariances.at(lag)) / marginal;

    // Pairs of an even lag and the odd one after it, as long as their sums are positive.
    let mut rho = vec![0.0; draws];
    let (mut even, mut odd) = (1.0, correlation(1));
    (rho[0], rho[1]) = (even, odd);
    let mut lag = 1;
    while lag + 3 < draws && even + odd > 0.0 {
        (even, odd) = (correlation(lag + 1), correlation(lag + 2));
        if even + odd >= 0.0 {
            (rho[lag + 1], rho[lag + 2]) = (even, odd);
        }
        lag += 2;
    }
    // Halves of less than five draws have no second pair, and say nothing of their autocorrelation.
    let Some(last) = lag.checked_sub(2) else {
        return total * total.log10();
    };
    // The even lag of the pair that ended it, which lowers the variance of the estimate.
    if even > 0.0 {
        rho[last + 1] = even;
    }
    // The sums of pairs don't rise.
    let mut lag = 1;
    while lag + 2 <= last {
        let before = rho[lag - 1] + rho[lag];
        if rho[lag + 1] + rho[lag + 2] > before {
            rho[lag + 1] = before / 2.0;
            rho[lag + 2] = rho[lag + 1];
        }
        lag += 2;
    }
    let sum: f64 = rho[..=last].iter().sum();
    let time = -1.0 + 2.0 * sum + rho[last + 1];
    // Chains that swing are worth more than independent draws, but not without bound.
    total / time.max(total.log10().recip())
}
