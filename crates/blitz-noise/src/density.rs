//! The density of the standard normal. For the crates of blitz.

/// `ln √(2π)`, the normalizer of the logarithm of the density.
pub const HALF_LOG_TWO_PI: f64 = 0.918_938_533_204_672_7;

/// `½ ln(2πe)`, the entropy of the standard normal.
pub const NORMAL_ENTROPY: f64 = HALF_LOG_TWO_PI + 0.5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_normalizer_has_the_bits_of_its_formula() {
        assert_eq!(HALF_LOG_TWO_PI, 0.5 * std::f64::consts::TAU.ln());
    }
}
