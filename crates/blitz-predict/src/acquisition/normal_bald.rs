//! What a target tells about the weights, for numbers with normal noise.

use super::{Acquisition, enough, highest_finite};
use crate::error::InputError;
use crate::mixture::NormalMixture;
use crate::numbers::in_units;

/// The `count` points whose targets tell most about the weights, each taken by itself: `I[y; w] = H[y] − E_w[H[y |
/// w]]`, in nats.
///
/// The entropy of a mixture of normals has no closed form. In its place stands that of the normal of the same mean and
/// covariance, the largest that it can be:
///
/// ```text
/// I[y; w] ≤ ½ ln det(V + diag(E_w[σ²])) − ½ Σ_t E_w[ln σ_t²]
/// ```
///
/// with the covariance V of the draws' means, over the targets t of a point. It is the information itself where the
/// means are normally distributed and all draws have one noise: a linear model, a Gaussian process, a Laplace
/// approximation. For one target of one noise it is `½ ln(1 + epistemic²/σ²)`.
///
/// ```
/// use blitz_predict::acquisition::normal_bald;
/// use blitz_predict::NormalMixture;
///
/// // Deviations of the means 1 and 2, noise of deviation 1.
/// let pool = NormalMixture::new(vec![vec![-1.0, 0.0], vec![1.0, 4.0]], vec![1.0], 1);
/// let chosen = normal_bald(&pool, 1)?;
/// assert_eq!(chosen.indices, [1]);
/// assert!((chosen.scores[0] - 0.5 * 5f64.ln()).abs() < 1e-12);
/// # Ok::<(), blitz_predict::InputError>(())
/// ```
///
/// # Errors
///
/// Returns an error if the pool has fewer than `count` points, or if a score is no number: means that differ by more
/// than some 10¹⁵⁰ deviations of the noise.
pub fn normal_bald(pool: &NormalMixture, count: usize) -> Result<Acquisition, InputError> {
    highest_finite(&Gains::new(pool).all(), count)
}

/// The `count` points whose targets together tell most about the weights, chosen greedily: the next one is that of the
/// largest `I[y; w | y_1 … y_b]`, in nats.
///
/// The joint information is that of [`normal_bald`] with the covariance between all targets of the batch. The scores
/// sum up to it. For a Gaussian process this is the choice of Krause, Singh & Guestrin (2008) for the information about
/// the function.
///
/// Draw s has to be *one* network at all points, as for [`ClassDraws`](super::ClassDraws). S draws have a covariance of
/// rank S − 1: what the others of a larger batch gain is the draws' number, not the model.
///
/// ```
/// use blitz_predict::acquisition::{normal_bald, normal_batch_bald};
/// use blitz_predict::NormalMixture;
///
/// // Points 0 and 1 are copies; what the draws say of point 2 has nothing to do with them.
/// let means = vec![vec![2.0, 2.0, 1.0], vec![2.0, 2.0, -1.0], vec![-2.0, -2.0, 1.0], vec![-2.0, -2.0, -1.0]];
/// let pool = NormalMixture::new(means, vec![0.1], 1);
/// assert_eq!(normal_bald(&pool, 2)?.indices, [0, 1]);
/// assert_eq!(normal_batch_bald(&pool, 2)?.indices, [0, 2]);
/// # Ok::<(), blitz_predict::InputError>(())
/// ```
///
/// # Errors
///
/// As [`normal_bald`].
pub fn normal_batch_bald(pool: &NormalMixture, count: usize) -> Result<Acquisition, InputError> {
    let points = pool.len() / pool.targets();
    enough(points, count)?;
    let mut gains = Gains::new(pool);
    let mut batch = Acquisition::default();
    let mut left: Vec<usize> = (0..points).collect();
    while batch.indices.len() < count {
        let scores: Vec<f64> = left.iter().map(|point| gains.of(*point)).collect();
        let best = highest_finite(&scores, 1)?;
        let point = left.remove(best.indices[0]);
        batch.push(point, best.scores[0]);
        gains.give(point);
    }
    Ok(batch)
}

/// The draws' means less what the targets given so far say of them, in units of the noise: no scale of the targets is
/// too large or too small, and no noise takes the digits of what is less.
struct Gains {
    targets: usize,
    draws: usize,
    /// `(f_s − f̄)/(σ √S)` of each prediction with the noise `σ² = E_w[σ_s²]`, in the order `[prediction, draw]`:
    /// covariances are products of rows.
    deviations: Vec<f64>,
    /// `½ (ln E_w[σ²] − E_w[ln σ²])` of each prediction: what draws tell that differ in their noise.
    of_noise: Vec<f64>,
}

impl Gains {
    fn new(pool: &NormalMixture) -> Self {
        let draws = pool.draws();
        let mut gains = Self {
            targets: pool.targets(),
            draws,
            deviations: Vec::with_capacity(pool.len() * draws),
            of_noise: Vec::with_capacity(pool.len()),
        };
        let root = (draws as f64).sqrt();
        for (components, mean) in pool.components().zip(pool.mean()) {
            let largest = components.iter().map(|c| c.std).fold(0.0, f64::max);
            // Exactly zero where all draws have one noise.
            let of_shares = |f: fn(f64) -> f64| {
                let terms = components.iter().map(|c| f(c.std / largest));
                terms.sum::<f64>() / draws as f64
            };
            let square_less_one = of_shares(|share| (share - 1.0) * (share + 1.0));
            let noise = largest * (1.0 + square_less_one).sqrt();
            let deviations = components
                .iter()
                .map(|c| in_units(c.mean, mean, noise) / root);
            gains.deviations.extend(deviations);
            let of_noise = 0.5 * square_less_one.ln_1p() - of_shares(f64::ln);
            gains.of_noise.push(of_noise);
        }
        gains
    }

    fn deviations(&self, prediction: usize) -> &[f64] {
        &self.deviations[prediction * self.draws..][..self.draws]
    }

    fn predictions(&self, point: usize) -> std::ops::Range<usize> {
        point * self.targets..(point + 1) * self.targets
    }

    fn all(&self) -> Vec<f64> {
        let points = self.of_noise.len() / self.targets;
        (0..points).map(|point| self.of(point)).collect()
    }

    /// What the targets of a point gain, one after the other.
    fn of(&self, point: usize) -> f64 {
        let predictions = self.predictions(point);
        let mut rows: Vec<Vec<f64>> = predictions
            .clone()
            .map(|i| self.deviations(i).to_vec())
            .collect();
        let mut gain = 0.0;
        for (place, prediction) in predictions.enumerate() {
            let (given, after) = rows[place..].split_at_mut(1);
            let given = &given[0];
            gain += 0.5 * dot(given, given).ln_1p() + self.of_noise[prediction];
            for row in after {
                condition(row, given);
            }
        }
        // Never negative but for rounding; a NaN stays one.
        if gain < 0.0 { 0.0 } else { gain }
    }

    /// Conditions every prediction on the targets of a point.
    fn give(&mut self, point: usize) {
        for prediction in self.predictions(point) {
            let given = self.deviations(prediction).to_vec();
            for row in self.deviations.chunks_mut(self.draws) {
                condition(row, &given);
            }
        }
    }
}

/// Takes out of `row` what is known once `given` is observed with noise, so that products of rows are the posterior
/// covariances `k_ij − k_ig k_gj / (k_gg + 1)`.
fn condition(row: &mut [f64], given: &[f64]) {
    // (I − c ggᵀ)² = I − ggᵀ / (gᵀg + 1) has this root c, which is finite as well where gᵀg vanishes.
    let total = dot(given, given) + 1.0;
    let shrink = 1.0 / (total + total.sqrt());
    let product = shrink * dot(row, given);
    for (value, g) in row.iter_mut().zip(given) {
        *value -= product * g;
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
