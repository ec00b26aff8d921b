//! Numbers by which positions are moved away from a start.

use nuts_rs::rand::Rng;

/// A uniform number in [−1, 1), of 53 random bits.
pub(crate) fn jitter(rng: &mut impl Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 * 2f64.powi(-52) - 1.0
}
