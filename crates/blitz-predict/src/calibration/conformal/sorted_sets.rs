//! Prediction sets by the ranks of the classes, with no probability but the largest.

use serde::{Deserialize, Serialize};

use super::super::stored;
use super::ranked::{RankedScores, Score, applies_by_rank, on_grid, ranked};
use crate::check;
use crate::error::{InputError, or_panic};

/// Configuration of [`SortedSets`].
///
/// | field | default | meaning | range |
/// |---|---|---|---|
/// | `level` | | the probability that the set holds the label | (0, 1) |
/// | `weight` | | λ, what each rank after the first adds to a score | ≥ 0 |
/// | `seed` | none | of the randomization; without it sets are larger than need be | |
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SortedSetsConfig {
    /// The probability that the set holds the label.
    #[serde(deserialize_with = "stored::level")]
    pub level: f64,
    /// What each rank after the first adds to a score.
    #[serde(deserialize_with = "stored::penalty")]
    pub weight: f64,
    /// The seed of the randomization, if it is wanted.
    pub seed: Option<u64>,
}

impl SortedSetsConfig {
    /// Sets of probability `level` with the weight λ of a rank, without randomization. Huang et al. choose λ on further
    /// held-out examples, for the smallest sets.
    pub fn new(level: f64, weight: f64) -> Self {
        Self {
            level,
            weight,
            seed: None,
        }
    }

    /// With randomization: the coverage is then close to `level` from above and below, the sets smaller, some of them
    /// empty.
    ///
    /// Sets that are made batch by batch then need the numbers of their examples: see
    /// [`apply_from`](SortedSets::apply_from).
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// From predictive probabilities in row-major order `[example, class]` of examples that training has not seen.
    ///
    /// # Panics
    ///
    /// Panics unless `level` lies inside (0, 1), if the weight is negative or not finite, unless there is one label
    /// below `classes` for each example, if a probability lies outside [0, 1], if those of an example don't sum to 1
    /// (to 1e-4), or with fewer than `level/(1 − level)` examples.
    pub fn fit(&self, probabilities: &[f64], classes: usize, labels: &[usize]) -> SortedSets {
        or_panic(self.try_fit(probabilities, classes, labels))
    }

    /// As [`fit`](Self::fit), with an error in place of a panic.
    ///
    /// # Errors
    ///
    /// Unless `level` lies inside (0, 1), if the weight is negative or not finite, unless there is one label below
    /// `classes` for each example, if a probability lies outside [0, 1], if those of an example don't sum to 1 (to
    /// 1e-4), or with fewer than `level/(1 − level)` examples.
    pub fn try_fit(
        &self,
        probabilities: &[f64],
        classes: usize,
        labels: &[usize],
    ) -> Result<SortedSets, InputError> {
        check::level(self.level)?;
        check::penalty("the weight of a rank", self.weight)?;
        let threshold = self.threshold(self.level, probabilities, classes, labels)?;
        Ok(SortedSets {
            threshold: threshold.sum,
            rank: threshold.rank,
            classes,
            config: *self,
        })
    }
}

impl RankedScores for SortedSetsConfig {
    fn seed(&self) -> Option<u64> {
        self.seed
    }

    fn scores(&self, row: &[f64], share: f64) -> impl Iterator<Item = (usize, Score)> {
        let ranked = ranked(row);
        let largest = ranked[0].1;
        let ranked = (1usize..).zip(ranked);
        ranked.map(move |(rank, (class, _))| {
            let sum = match rank {
                1 => share * largest,
                rank => largest + (rank as f64 - 2.0 + share) * self.weight,
            };
            let sum = on_grid(sum);
            (class, Score { sum, rank })
        })
    }
}

/// Sets of classes that hold the label with probability `level`, by the largest probability and the ranks of the others
/// (SAPS; Huang et al. 2024).
///
/// The score of the most probable class is `u · p_max`, that of the class of rank r is `p_max + (r − 2 + u) λ`; the set
/// holds the classes whose score is at most the conformal quantile of the labels' scores. With randomization u is
/// uniform over [0, 1), one for each example, otherwise 1. The probabilities of all but the first class do not count,
/// which are the most miscalibrated of a network with many classes: the sets are smaller than those of
/// [`AdaptiveSets`](super::AdaptiveSets), and as with those larger where the model is unsure.
///
/// ```
/// use blitz_predict::calibration::SortedSetsConfig;
///
/// // The labels' scores are 0.7, 0.7 and, at rank 2, 0.7 + 0.2: the ⌈4 · 0.75⌉ = third is 0.9.
/// let p = [0.7, 0.2, 0.1].repeat(3);
/// let sets = SortedSetsConfig::new(0.75, 0.2).fit(&p, 3, &[0, 0, 1]);
/// assert!((sets.threshold - 0.9).abs() < 1e-12);
/// // A third class has 0.45 + 0.4.
/// assert_eq!(sets.apply(&[0.25, 0.3, 0.45, 0.95, 0.04, 0.01]), [vec![2, 1, 0], vec![]]);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SortedSets {
    /// The largest score of a class in a set.
    #[serde(deserialize_with = "stored::not_nan")]
    pub threshold: f64,
    /// The largest rank, counted from 1, of a class in a set whose score is the threshold.
    pub rank: usize,
    /// The number of classes.
    #[serde(deserialize_with = "stored::classes")]
    pub classes: usize,
    /// What it was fitted with.
    pub config: SortedSetsConfig,
}

applies_by_rank!(SortedSets);
