//! Chains of draws: what they must be, and their halves.

use crate::check;
use crate::error::InputError;
use crate::numbers::between;

/// The fewest draws of a chain: each half of it needs two for a variance.
pub const MIN_DRAWS: usize = 4;

/// Chains of equal length, each of [`MIN_DRAWS`] finite numbers at least.
pub(super) fn checked(chains: &[impl AsRef<[f64]>]) -> Result<Vec<&[f64]>, InputError> {
    check::not_empty(chains.len(), "chain")?;
    let chains: Vec<&[f64]> = chains.iter().map(AsRef::as_ref).collect();
    for chain in &chains {
        check::same_length(
            (chains[0].len(), "draws"),
            (chain.len(), "draws of each chain"),
        )?;
        enough(chain)?;
        check::finite(chain, "draw")?;
    }
    Ok(chains)
}

/// Those of them that a plot keeps.
#[cfg(feature = "plot")]
pub(crate) fn checked_chains(chains: &[impl AsRef<[f64]>]) -> Result<Vec<Vec<f64>>, InputError> {
    Ok(checked(chains)?.into_iter().map(<[f64]>::to_vec).collect())
}

/// At least [`MIN_DRAWS`].
pub(super) fn enough(chain: &[f64]) -> Result<(), InputError> {
    match chain.len() < MIN_DRAWS {
        true => Err(InputError::TooFewDraws {
            needed: MIN_DRAWS,
            got: chain.len(),
        }),
        false => Ok(()),
    }
}

/// The [`halves`] of checked chains, unless all draws are the same.
pub(super) fn spread_halves(chains: &[impl AsRef<[f64]>]) -> Result<Vec<Vec<f64>>, InputError> {
    let halves = halves(&checked(chains)?);
    let first = halves[0][0];
    match halves.iter().flatten().all(|value| *value == first) {
        true => Err(InputError::Constant { value: first }),
        false => Ok(halves),
    }
}

/// The first and the last half of each chain; of an odd number the draw in the middle is left out.
fn halves(chains: &[impl AsRef<[f64]>]) -> Vec<Vec<f64>> {
    let first = |chain: &[f64]| chain[..chain.len() / 2].to_vec();
    let last = |chain: &[f64]| chain[chain.len() - chain.len() / 2..].to_vec();
    let chains = || chains.iter().map(AsRef::as_ref);
    chains().map(first).chain(chains().map(last)).collect()
}

pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// With one degree of freedom taken off; exactly zero for equal values, whose mean may be rounded.
pub(super) fn variance(values: &[f64]) -> f64 {
    if values.iter().all(|value| *value == values[0]) {
        return 0.0;
    }
    let mean = mean(values);
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    squares / (values.len() as f64 - 1.0)
}

/// The quantile of sorted values, linear between them.
pub(super) fn quantile(sorted: &[f64], p: f64) -> f64 {
    let at = p * (sorted.len() - 1) as f64;
    let below = at.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    between(sorted[below], sorted[above], at - below as f64)
}

/// All draws of all chains, in order of size.
pub(super) fn sorted(chains: &[impl AsRef<[f64]>]) -> Vec<f64> {
    let mut all: Vec<f64> = chains
        .iter()
        .flat_map(|chain| chain.as_ref().iter().copied())
        .collect();
    all.sort_by(f64::total_cmp);
    all
}
