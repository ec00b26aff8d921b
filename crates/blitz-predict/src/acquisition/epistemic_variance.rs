//! Choosing where the draws' means lie farthest apart, for numbers.

use super::{Acquisition, highest_finite};
use crate::distribution::Distribution;
use crate::error::InputError;
use crate::mixture::Mixture;

/// The `count` points of the largest epistemic variance `Var_w[E[y | w]]`, summed over the target columns.
///
/// Columns in units of their own should be [standardized](crate::Standardizer): else the one of the largest numbers
/// decides alone.
///
/// ```
/// use blitz_predict::acquisition::epistemic_variance;
/// use blitz_predict::NormalMixture;
///
/// // Two draws, three examples.
/// let pool = NormalMixture::new(vec![vec![0.0, 0.0, 5.0], vec![0.2, 2.0, 5.0]], vec![1.0], 1);
/// let chosen = epistemic_variance(&pool, 1)?;
/// assert_eq!((chosen.indices[0], chosen.scores[0]), (1, 1.0));
/// # Ok::<(), blitz_predict::InputError>(())
/// ```
///
/// # Errors
///
/// Returns an error if the pool has fewer than `count` points, or if a variance is beyond the numbers.
pub fn epistemic_variance<C: Distribution>(
    pool: &Mixture<C>,
    count: usize,
) -> Result<Acquisition, InputError> {
    let variances: Vec<f64> = pool.epistemic_std().iter().map(|std| std * std).collect();
    let rows = variances.chunks(pool.targets());
    let scores: Vec<f64> = rows.map(|row| row.iter().sum()).collect();
    highest_finite(&scores, count)
}
