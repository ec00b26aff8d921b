//! A batch whose labels together tell most about the weights (Kirsch, van Amersfoort & Gal 2019).

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use blitz_noise::NoiseKey;
use blitz_noise::layout::{ACQUISITION, acquisition};

use super::{Acquisition, ClassDraws, enough};
use crate::distribution::uniform;
use crate::error::InputError;
use crate::mixture::class_at;

/// The greedy choice of a batch by the joint information `I[y_1, …, y_b; w]` of its labels about the weights.
///
/// The next point is the one with the largest gain, the information of its label *given those of the points before*:
///
/// ```text
/// I[y; w | y_1 … y_b] = E[H[y | y_1 … y_b]] − E_w[H[y | w]],    p(y | y_1 … y_b) = Σ_s p(s | y_1 … y_b) p(y | x, w_s)
/// ```
///
/// in nats. The scores are the gains, and their sum is the joint information. The first point is that of
/// [`bald`](super::bald). A copy of a point that is in the batch gains little, a point that asks something else gains
/// what it gained before. The greedy choice reaches at least `1 − 1/e` of the largest joint information.
///
/// The expectation is over all configurations of the labels `y_1 … y_b`, `classes^b` of them. As long as these are at
/// most `max_configurations`, it is exact. From then on it is a mean over that many configurations, drawn from the
/// predictive distribution by `seed` and lengthened by a label with each point: an estimate, with an error of the order
/// of `ln(classes) / √max_configurations`, the same for all points of the pool.
///
/// S draws tell at most ln S nats: a batch that has nearly reached this sum is chosen by chance from there on. Take
/// more draws for larger batches.
///
/// | parameter | default | meaning | range |
/// |---|---|---|---|
/// | `seed` | (required) | of the configurations that are drawn | |
/// | `max_configurations` | 1000 | the work for each point and draw, the memory for each draw | ≥ 1 |
///
/// A gain never grows with the batch, so a point that gained less than the best one's gain of now is not computed
/// again.
///
/// ```
/// use blitz_predict::acquisition::{BatchBald, ClassDraws, bald};
///
/// // Four draws of two classes. Points 0 and 1 are copies, which divide the draws as one; point 2 divides them the other way, a little less surely.
/// let draws = ClassDraws::try_from_logits(
///     [
///         vec![5.0, 0.0, 5.0, 0.0, 4.0, 0.0],
///         vec![5.0, 0.0, 5.0, 0.0, 0.0, 4.0],
///         vec![0.0, 5.0, 0.0, 5.0, 4.0, 0.0],
///         vec![0.0, 5.0, 0.0, 5.0, 0.0, 4.0],
///     ],
///     2,
/// )?;
/// assert_eq!(bald(draws.mixture(), 2)?.indices, [0, 1]);
/// let batch = BatchBald::new(0).choose(&draws, 2)?;
/// assert_eq!(batch.indices, [0, 2]);
/// assert_eq!(batch.scores[0], draws.mixture().mutual_information()[0]);
/// # Ok::<(), blitz_predict::InputError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchBald {
    /// The seed of the configurations that are drawn.
    pub seed: u64,
    /// The most configurations of labels that a gain is a mean over.
    pub max_configurations: usize,
}

impl BatchBald {
    /// With 1000 configurations at most.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            max_configurations: 1000,
        }
    }

    /// With at most so many configurations of labels.
    #[must_use]
    pub fn with_max_configurations(mut self, max_configurations: usize) -> Self {
        self.max_configurations = max_configurations;
        self
    }

    /// The batch of `count` points.
    ///
    /// # Errors
    ///
    /// Returns an error if the pool has fewer than `count` points, or if `max_configurations` is 0.
    pub fn choose(&self, pool: &ClassDraws, count: usize) -> Result<Acquisition, InputError> {
        enough(pool.len(), count)?;
        if self.max_configurations == 0 {
            return Err(InputError::Setting {
                what: "the number of configurations",
                value: 0.0,
                range: "at least 1",
            });
        }
        // Those of BALD itself, so that a batch of one is BALD's to the bit.
        let gains = pool.mixture().mutual_information();
        let expected_entropy = pool.mixture().expected_entropy();
        let mut candidates: BinaryHeap<Candidate> = gains
            .into_iter()
            .enumerate()
            .map(|(point, gain)| Candidate {
                gain,
                point,
                given: 0,
            })
            .collect();
        let mut labels = Labels::none(pool.draws());
        let mut batch = Acquisition::default();
        while batch.indices.len() < count {
            let Some(best) = candidates.pop() else {
                unreachable!("a pool has as many candidates as points");
            };
            let given = batch.indices.len();
            if best.given == given {
                batch.push(best.point, best.gain);
                if given + 1 < count {
                    labels.add(pool, best.point, self);
                }
            } else {
                let entropy = labels.expected_entropy(pool, best.point);
                // Rounding, and drawn configurations, may lift a gain above what it was or below zero.
                let gain = (entropy - expected_entropy[best.point]).clamp(0.0, best.gain);
                candidates.push(Candidate {
                    gain,
                    given,
                    ..best
                });
            }
        }
        Ok(batch)
    }
}

/// A point, and its gain when the batch had `given` points: an upper bound of its gain in a larger one.
#[derive(Debug, PartialEq)]
struct Candidate {
    gain: f64,
    point: usize,
    given: usize,
}

impl Eq for Candidate {}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        // The lower place is the better of equals, so that it is looked at first.
        let places = other.point.cmp(&self.point);
        self.gain.total_cmp(&other.gain).then(places)
    }
}

/// The configurations of the labels of the points chosen so far, all or some that are drawn.
struct Labels {
    /// The probability of each.
    weights: Vec<f64>,
    /// `p(s | labels)`, in the order `[configuration, draw]`.
    posteriors: Vec<f64>,
    draws: usize,
    drawn: bool,
}

impl Labels {
    /// Of no point: the one configuration that has no labels, under which the draws are equally probable.
    fn none(draws: usize) -> Self {
        Self {
            weights: vec![1.0],
            posteriors: vec![1.0 / draws as f64; draws],
            draws,
            drawn: false,
        }
    }

    /// `E[H[y | labels]]` of a point's label y.
    fn expected_entropy(&self, pool: &ClassDraws, point: usize) -> f64 {
        let mut predictive = vec![0.0; pool.classes()];
        let mut sum = 0.0;
        for (weight, posterior) in self.configurations() {
            predict(pool.point(point), posterior, &mut predictive);
            sum += weight * entropy(&predictive);
        }
        sum
    }

    fn configurations(&self) -> impl Iterator<Item = (f64, &[f64])> {
        let posteriors = self.posteriors.chunks(self.draws);
        self.weights.iter().copied().zip(posteriors)
    }

    /// Lengthens every configuration by the label of a point: by each label while that is within the limit, then by one
    /// that is drawn.
    fn add(&mut self, pool: &ClassDraws, point: usize, settings: &BatchBald) {
        let limit = settings.max_configurations;
        let classes = pool.classes();
        let all = !self.drawn && self.weights.len().saturating_mul(classes) <= limit;
        let mut rng = NoiseKey::new(
            settings.seed ^ ACQUISITION,
            acquisition::LABELS,
            point as u32,
        )
        .rng();
        if !all && !self.drawn {
            self.draw(limit, uniform(&mut rng));
        }
        let mut longer = Self {
            weights: Vec::new(),
            posteriors: Vec::new(),
            draws: self.draws,
            drawn: self.drawn,
        };
        let probabilities = pool.point(point);
        let mut predictive = vec![0.0; classes];
        for (weight, posterior) in self.configurations() {
            predict(probabilities, posterior, &mut predictive);
            let mut push = |class: usize, weight: f64| {
                let by_draw = probabilities.iter().skip(class).step_by(classes);
                let joint = by_draw
                    .zip(posterior)
                    .map(|(p, q)| p * q / predictive[class]);
                longer.weights.push(weight);
                longer.posteriors.extend(joint);
            };
            if all {
                // A label that has no probability counts for nothing, and leaves no posterior.
                let possible = predictive.iter().enumerate().filter(|(_, p)| **p > 0.0);
                possible.for_each(|(class, p)| push(class, weight * p));
            } else {
                let label = class_at(uniform(&mut rng), predictive.iter().copied());
                push(label, weight);
            }
        }
        *self = longer;
    }

    /// Replaces all configurations by `count` of equal weight, drawn systematically: each as often as its probability
    /// says, up to one.
    fn draw(&mut self, count: usize, offset: f64) {
        let total: f64 = self.weights.iter().sum();
        let mut posteriors = Vec::with_capacity(count * self.draws);
        let (mut sum, mut made) = (0.0, 0);
        let last = self.weights.len() - 1;
        for (place, (weight, posterior)) in self.configurations().enumerate() {
            sum += weight / total;
            while made < count && (place == last || (made as f64 + offset) / (count as f64) < sum) {
                posteriors.extend_from_slice(posterior);
                made += 1;
            }
        }
        self.weights = vec![1.0 / count as f64; count];
        self.posteriors = posteriors;
        self.drawn = true;
    }
}

/// `Σ_s q_s p(y | x, w_s)` for each class.
fn predict(probabilities: &[f64], posterior: &[f64], predictive: &mut [f64]) {
    predictive.fill(0.0);
    for (row, q) in probabilities.chunks(predictive.len()).zip(posterior) {
        for (sum, p) in predictive.iter_mut().zip(row) {
            *sum += q * p;
        }
    }
}

fn entropy(probabilities: &[f64]) -> f64 {
    let terms = probabilities.iter().filter(|p| **p > 0.0);
    -terms.map(|p| p * p.ln()).sum::<f64>()
}
