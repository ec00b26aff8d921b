//! Choosing at random: what every other acquisition has to beat.

use blitz_noise::NoiseKey;
use blitz_noise::layout::{ACQUISITION, acquisition};

use super::{Acquisition, highest};
use crate::distribution::uniform;
use crate::error::InputError;

/// `count` of `pool` points, every set of them equally likely. The score of a point is a number that is uniform over
/// [0, 1).
///
/// A function of the seed: the points that it chooses for a smaller `count` are the first of those for a larger one.
/// Give each round of labelling a seed of its own.
///
/// ```
/// use blitz_predict::acquisition::random;
///
/// let chosen = random(1000, 5, 7)?;
/// assert_eq!(chosen.indices[..3], random(1000, 3, 7)?.indices);
/// assert_ne!(chosen.indices, random(1000, 5, 8)?.indices);
/// # Ok::<(), blitz_predict::InputError>(())
/// ```
///
/// # Errors
///
/// Returns an error if the pool has fewer than `count` points.
pub fn random(pool: usize, count: usize, seed: u64) -> Result<Acquisition, InputError> {
    let mut rng = NoiseKey::new(seed ^ ACQUISITION, acquisition::POINTS, 0).rng();
    let scores: Vec<f64> = (0..pool).map(|_| uniform(&mut rng)).collect();
    highest(&scores, count)
}
