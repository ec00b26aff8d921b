//! Whether a Hamiltonian sampler reaches all energies.

use super::chains::{enough, variance};
use crate::check;
use crate::error::{InputError, or_panic};

/// The Bayesian fraction of missing information of one chain's energies, by its estimate (Betancourt 2016): `Σ (E_i − E_{i−1})² / (n − 1)` over the
/// variance of the energies, as ArviZ has it.
///
/// Below 0.3 the momenta that the sampler draws are too small for the range of energies that the posterior has: its tails are heavier than the sampler reaches.
///
/// # Panics
///
/// As [`try_e_bfmi`] returns an error.
pub fn e_bfmi(energies: &[f64]) -> f64 {
    or_panic(try_e_bfmi(energies))
}

/// [`e_bfmi`] of energies that may be wrong.
///
/// # Errors
///
/// Less than [`MIN_DRAWS`](super::MIN_DRAWS) energies, or such that are not finite, or all the same.
pub fn try_e_bfmi(energies: &[f64]) -> Result<f64, InputError> {
    enough(energies)?;
    check::finite(energies, "energy")?;
    let variance = variance(energies);
    if variance == 0.0 {
        return Err(InputError::Constant { value: energies[0] });
    }
    let steps = energies.windows(2).map(|pair| (pair[1] - pair[0]).powi(2));
    Ok(steps.sum::<f64>() / (energies.len() as f64 - 1.0) / variance)
}
