//! Numbers of any size, brought to order 1 without rounding: by powers of two.

/// The exponent k with `2ᵏ ≤ |largest| < 2ᵏ⁺¹`; none if all are zero.
pub(crate) fn exponent(values: &[f64]) -> Option<i32> {
    let largest = values
        .iter()
        .fold(0.0, |largest: f64, v| largest.max(v.abs()));
    (largest > 0.0).then(|| libm::ilogb(largest))
}

/// `value · 2ᵏ`, exact but for what overflows or underflows.
pub(crate) fn times_power_of_two(value: f64, k: i32) -> f64 {
    libm::scalbn(value, k)
}
