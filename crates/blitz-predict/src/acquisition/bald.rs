//! Bayesian active learning by disagreement (Houlsby et al. 2011).

use super::{Acquisition, highest};
use crate::error::InputError;
use crate::mixture::CategoricalMixture;

/// The `count` points whose labels tell most about the weights, each taken by itself: `I[y; w] = H[y] − E_w[H[y | w]]`,
/// in nats.
///
/// The score is [`CategoricalMixture::mutual_information`]. Of several points that are alike it takes all; see
/// [`BatchBald`](super::BatchBald).
///
/// ```
/// use blitz_predict::acquisition::bald;
/// use blitz_predict::CategoricalMixture;
///
/// let draws = [vec![0.0, 0.0, 3.0, 0.0], vec![0.0, 0.0, 0.0, 3.0]];
/// let pool = CategoricalMixture::from_logits(draws, 2);
/// let chosen = bald(&pool, 1)?;
/// assert_eq!(chosen.indices, [1]);
/// assert_eq!(chosen.scores[0], pool.mutual_information()[1]);
/// # Ok::<(), blitz_predict::InputError>(())
/// ```
///
/// # Errors
///
/// Returns an error if the pool has fewer than `count` points.
pub fn bald(pool: &CategoricalMixture, count: usize) -> Result<Acquisition, InputError> {
    highest(&pool.mutual_information(), count)
}
