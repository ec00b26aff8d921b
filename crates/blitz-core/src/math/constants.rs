//! Numbers that more than one room needs.

/// Where `ln softplus(ρ)` turns into ρ itself in `f32`: below, the two differ by less than e^-15 / 2 = 2e-7, and the
/// logarithm's own derivative would overflow long before ρ = -100.
pub(crate) const LOG_LINEAR_BELOW: f64 = -15.0;

/// The same in `f64`: below, the two differ by less than e^-37 / 2 = 5e-17.
pub(crate) const LOG_LINEAR_BELOW_F64: f64 = -37.0;
