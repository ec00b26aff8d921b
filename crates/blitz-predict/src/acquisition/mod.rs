//! Which points of a pool to label next: active learning.
//!
//! A pool is what a model predicts for examples without labels. A function of this module chooses some of them and
//! returns an [`Acquisition`]: their places in the pool, the best first, and the score of each. A higher score is
//! chosen first; of equal scores the one at the lower place.
//!
//! | function | score | for |
//! |---|---|---|
//! | [`bald`] | `I[y; w]`, what a label tells about the weights | classes |
//! | [`BatchBald`] | `I[y; w \| labels of those chosen before]`: a batch without repetition | classes |
//! | [`entropy`] | `H[y]` | classes |
//! | [`margin`] | `p₂ − p₁` of the two most probable classes | classes |
//! | [`epistemic_variance`] | `Var_w[E[y \| w]]` | numbers, of any distribution |
//! | [`normal_bald`] | `I[y; w]` | numbers with normal noise |
//! | [`normal_batch_bald`] | `I[y; w \| targets of those chosen before]` | numbers with normal noise |
//! | [`random`] | a uniform number | to compare with |
//! | [`highest`] | yours | |
//!
//! Entropy and margin say that a prediction is unsure, whatever of. The others say that the *draws disagree*, which a
//! label can settle: examples that are noise for every draw score low. The points that the draws disagree about most
//! are often alike, so a batch that is taken by single scores asks one question several times; a batch chosen jointly
//! does not.
//!
//! All return an [`InputError`]: a pool that runs dry is no mistake of the program's.
//!
//! ```
//! use blitz_predict::acquisition::{bald, entropy};
//! use blitz_predict::CategoricalMixture;
//!
//! // Two draws of two classes. Both are sure of the first example, both toss a coin about the second, and each is sure of another class of the third.
//! let draws = [vec![9.0, 0.0, 0.0, 0.0, 9.0, 0.0], vec![9.0, 0.0, 0.0, 0.0, 0.0, 9.0]];
//! let pool = CategoricalMixture::from_logits(draws, 2);
//! assert_eq!(entropy(&pool, 3)?.indices[2], 0);
//! assert_eq!(bald(&pool, 1)?.indices, [2]);
//! assert!((bald(&pool, 1)?.scores[0] - 2f64.ln()).abs() < 2e-3);
//! assert!(bald(&pool, 4).is_err());
//! # Ok::<(), blitz_predict::InputError>(())
//! ```

mod bald;
mod batch_bald;
mod class_draws;
mod entropy;
mod epistemic_variance;
mod margin;
mod normal_bald;
mod random;

pub use bald::bald;
pub use batch_bald::BatchBald;
pub use class_draws::ClassDraws;
pub use entropy::entropy;
pub use epistemic_variance::epistemic_variance;
pub use margin::margin;
pub use normal_bald::{normal_bald, normal_batch_bald};
pub use random::random;

use crate::check;
use crate::error::InputError;

/// The points that were chosen, the best first.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Acquisition {
    /// Their places in the pool, counted from 0. None is there twice.
    pub indices: Vec<usize>,
    /// Their scores when they were chosen.
    pub scores: Vec<f64>,
}

impl Acquisition {
    fn push(&mut self, index: usize, score: f64) {
        self.indices.push(index);
        self.scores.push(score);
    }
}

/// The `count` points of the highest scores: for a score of one's own.
///
/// ```
/// use blitz_predict::acquisition::highest;
///
/// let chosen = highest(&[0.1, 0.7, 0.7, 0.3], 3)?;
/// assert_eq!(chosen.indices, [1, 2, 3]);
/// assert_eq!(chosen.scores, [0.7, 0.7, 0.3]);
/// # Ok::<(), blitz_predict::InputError>(())
/// ```
///
/// # Errors
///
/// Returns an error if there are fewer than `count` points, or if a score is NaN.
pub fn highest(scores: &[f64], count: usize) -> Result<Acquisition, InputError> {
    enough(scores.len(), count)?;
    check::values(scores, "score", "a number", |score| !score.is_nan())?;
    let mut indices: Vec<usize> = (0..scores.len()).collect();
    // Stable, so equals stay in the order of the pool; zeros of either sign are equal.
    indices.sort_by(|a, b| (scores[*b] + 0.0).total_cmp(&(scores[*a] + 0.0)));
    indices.truncate(count);
    let scores = indices.iter().map(|index| scores[*index]).collect();
    Ok(Acquisition { indices, scores })
}

/// The highest of scores that come of a pool's numbers, of which one that is not finite is unknown.
fn highest_finite(scores: &[f64], count: usize) -> Result<Acquisition, InputError> {
    enough(scores.len(), count)?;
    check::finite(scores, "score")?;
    highest(scores, count)
}

fn enough(pool: usize, asked: usize) -> Result<(), InputError> {
    if asked > pool {
        return Err(InputError::Pool { pool, asked });
    }
    Ok(())
}
