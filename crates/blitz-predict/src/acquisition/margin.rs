//! Choosing where two classes are almost equally probable (Scheffer, Decomain & Wrobel 2001).

use super::{Acquisition, highest};
use crate::error::InputError;
use crate::mixture::CategoricalMixture;

/// The `count` points of the smallest margin between the two most probable classes. The score is `p₂ − p₁`, in [−1, 0].
///
/// ```
/// use blitz_predict::acquisition::margin;
/// use blitz_predict::CategoricalMixture;
///
/// // Probabilities 0.5, 0.3, 0.2 and 0.4, 0.4, 0.2.
/// let logits = [0.5f64, 0.3, 0.2, 0.4, 0.4, 0.2].map(f64::ln);
/// let pool = CategoricalMixture::from_logits([logits.to_vec()], 3);
/// let chosen = margin(&pool, 2)?;
/// assert_eq!(chosen.indices, [1, 0]);
/// assert!((chosen.scores[1] + 0.2).abs() < 1e-12);
/// # Ok::<(), blitz_predict::InputError>(())
/// ```
///
/// # Errors
///
/// Returns an error if the pool has fewer than `count` points, or if there is a single class.
pub fn margin(pool: &CategoricalMixture, count: usize) -> Result<Acquisition, InputError> {
    if pool.classes() < 2 {
        return Err(InputError::Setting {
            what: "the number of classes of a margin",
            value: pool.classes() as f64,
            range: "at least 2",
        });
    }
    let score = |example| {
        let (mut first, mut second) = (f64::NEG_INFINITY, f64::NEG_INFINITY);
        for p in pool.probabilities(example) {
            if p > first {
                (first, second) = (p, first);
            } else if p > second {
                second = p;
            }
        }
        second - first
    };
    let scores: Vec<f64> = (0..pool.len()).map(score).collect();
    highest(&scores, count)
}
