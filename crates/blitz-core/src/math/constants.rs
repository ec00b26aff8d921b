//! Numbers that more than one room needs.

/// Where `ln softplus(ρ)` turns into ρ itself: below, the two differ by less than e^-15 / 2 = 2e-7, and the
/// logarithm's own derivative would overflow long before ρ = -100.
pub(crate) const LOG_LINEAR_BELOW: f64 = -15.0;
