//! Choosing what the prediction is least sure of, by its entropy.

use super::{Acquisition, highest};
use crate::error::InputError;
use crate::mixture::CategoricalMixture;

/// The `count` points of the largest predictive entropy `H[y]`, in nats.
///
/// It is large as well where classes overlap, which no label settles.
///
/// ```
/// use blitz_predict::acquisition::entropy;
/// use blitz_predict::CategoricalMixture;
///
/// let pool = CategoricalMixture::from_logits([vec![2.0, 0.0, 1.0, 1.0]], 2);
/// let chosen = entropy(&pool, 1)?;
/// assert_eq!(chosen.indices, [1]);
/// assert!((chosen.scores[0] - 2f64.ln()).abs() < 1e-12);
/// # Ok::<(), blitz_predict::InputError>(())
/// ```
///
/// # Errors
///
/// Returns an error if the pool has fewer than `count` points.
pub fn entropy(pool: &CategoricalMixture, count: usize) -> Result<Acquisition, InputError> {
    highest(&pool.entropy(), count)
}
