//! Whether a Hamiltonian sampler reaches all energies.

use super::chains::{enough, variance};
use crate::check;
use crate::error::{InputError, or_panic};
use crate::numbers::{exponent, times_power_of_two};

/// The Bayesian fraction of missing information of one chain's energies, by its estimate (Betancourt 2016): `Σ (E_i −
/// E_{i−1})² / (n − 1)` over the variance of the energies, as ArviZ has it.
///
/// Below 0.3 the momenta that the sampler draws are too small for the range of energies that the posterior has: its
/// tails are heavier than the sampler reaches.
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
    let first = energies[0];
    if energies.iter().all(|energy| *energy == first) {
        return Err(InputError::Constant { value: first });
    }
    let energies = scaled(energies);
    let steps = energies.windows(2).map(|pair| (pair[1] - pair[0]).powi(2));
    Ok(steps.sum::<f64>() / (energies.len() as f64 - 1.0) / variance(&energies))
}

/// By a power of two, which rounds nothing, so that the largest is near 1: squares of energies may be beyond the
/// numbers or below them, and the fraction has no unit.
fn scaled(energies: &[f64]) -> Vec<f64> {
    let exponent = exponent(energies).unwrap_or(0);
    let scaled = |energy: &f64| times_power_of_two(*energy, -exponent);
    energies.iter().map(scaled).collect()
}
