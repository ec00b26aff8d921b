//! Adaptive prediction sets for classification, plain and regularized.

use serde::{Deserialize, Serialize};

use super::super::stored;
use super::ranked::{RankedScores, Score, applies_by_rank, on_grid, ranked};
use crate::check;
use crate::error::{InputError, or_panic};

/// Configuration of [`AdaptiveSets`].
///
/// | field | default | meaning | range |
/// |---|---|---|---|
/// | `level` | | the probability that the set holds the label | (0, 1) |
/// | `penalty` | 0 | λ, what each class beyond `free_classes` adds to a score; above 0: RAPS | ≥ 0 |
/// | `free_classes` | 0 | how many classes a set may hold without a penalty, k_reg | |
/// | `seed` | none | of the randomization; without it sets are larger than need be | |
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct AdaptiveSetsConfig {
    /// The probability that the set holds the label.
    #[serde(deserialize_with = "stored::level")]
    pub level: f64,
    /// What each class beyond the free ones adds to a score.
    #[serde(deserialize_with = "stored::penalty")]
    pub penalty: f64,
    /// How many classes a set may hold without a penalty.
    pub free_classes: usize,
    /// The seed of the randomization, if it is wanted.
    pub seed: Option<u64>,
}

impl AdaptiveSetsConfig {
    /// Sets of probability `level`, without penalty or randomization: APS.
    pub fn new(level: f64) -> Self {
        Self {
            level,
            penalty: 0.0,
            free_classes: 0,
            seed: None,
        }
    }

    /// With a penalty for each class beyond `free_classes`: RAPS.
    #[must_use]
    pub fn with_penalty(mut self, penalty: f64, free_classes: usize) -> Self {
        self.penalty = penalty;
        self.free_classes = free_classes;
        self
    }

    /// With randomization: the coverage is then close to `level` from above and below, the sets smaller, some of them
    /// empty.
    ///
    /// Sets that are made batch by batch then need the numbers of their examples: see
    /// [`apply_from`](AdaptiveSets::apply_from).
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// From predictive probabilities in row-major order `[example, class]` of examples that training has not seen.
    ///
    /// # Panics
    ///
    /// Panics unless `level` lies inside (0, 1), if the penalty is negative or not finite, unless there is one label
    /// below `classes` for each example, if a probability lies outside [0, 1], if those of an example don't sum to 1
    /// (to 1e-4), or with fewer than `level/(1 − level)` examples.
    pub fn fit(&self, probabilities: &[f64], classes: usize, labels: &[usize]) -> AdaptiveSets {
        or_panic(self.try_fit(probabilities, classes, labels))
    }

    /// As [`fit`](Self::fit), with an error in place of a panic.
    ///
    /// # Errors
    ///
    /// Unless `level` lies inside (0, 1), if the penalty is negative or not finite, unless there is one label below
    /// `classes` for each example, if a probability lies outside [0, 1], if those of an example don't sum to 1 (to
    /// 1e-4), or with fewer than `level/(1 − level)` examples.
    pub fn try_fit(
        &self,
        probabilities: &[f64],
        classes: usize,
        labels: &[usize],
    ) -> Result<AdaptiveSets, InputError> {
        check::level(self.level)?;
        check::penalty("a penalty", self.penalty)?;
        let threshold = self.threshold(self.level, probabilities, classes, labels)?;
        Ok(AdaptiveSets {
            threshold: threshold.sum,
            rank: threshold.rank,
            classes,
            config: *self,
        })
    }
}

impl RankedScores for AdaptiveSetsConfig {
    fn seed(&self) -> Option<u64> {
        self.seed
    }

    fn scores(&self, row: &[f64], share: f64) -> impl Iterator<Item = (usize, Score)> {
        let ranked = ranked(row);
        // All classes together have the probability 1, in every row.
        let total: f64 = ranked.iter().map(|(_, p)| p).sum();
        let mut before = 0.0;
        let ranked = (1usize..).zip(ranked);
        ranked.map(move |(rank, (class, p))| {
            let beyond = rank.saturating_sub(self.free_classes);
            let mass = (before + share * p) / total;
            before += p;
            let sum = on_grid(mass + self.penalty * beyond as f64);
            (class, Score { sum, rank })
        })
    }
}

/// Sets of classes that hold the label with probability `level`: large where the model is unsure, small where it is
/// sure (APS; Romano, Sesia & Candès 2020. With a penalty on large sets RAPS; Angelopoulos et al. 2021).
///
/// The score of a class is the probability of all that are more probable, plus `u` times its own, plus `λ (rank −
/// k_reg)⁺`; the set holds the classes whose score is at most the conformal quantile of the labels' scores. With
/// randomization u is uniform over [0, 1), one for each example, otherwise 1. RAPS gives smaller sets where there are
/// many classes whose small probabilities are noise.
///
/// Of equal scores that of the lower rank is the smaller: a class of probability 0 is in no set only because the class
/// before it is. Scores are equal if they are to 2⁻⁴⁰.
///
/// ```
/// use blitz_predict::calibration::AdaptiveSetsConfig;
///
/// // The labels' scores are 0.7, 0.7 and 0.9: the ⌈4 · 0.75⌉ = third is 0.9.
/// let p = [0.7, 0.2, 0.1].repeat(3);
/// let sets = AdaptiveSetsConfig::new(0.75).fit(&p, 3, &[0, 0, 1]);
/// assert!((sets.threshold - 0.9).abs() < 1e-12);
/// assert_eq!(sets.apply(&[0.1, 0.2, 0.7, 0.95, 0.04, 0.01]), [vec![2, 1], vec![]]);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AdaptiveSets {
    /// The largest score of a class in a set.
    #[serde(deserialize_with = "stored::not_nan")]
    pub threshold: f64,
    /// The largest rank, counted from 1, of a class in a set whose score is the threshold. A file without it is read as
    /// one without a limit.
    #[serde(default = "any_rank")]
    pub rank: usize,
    /// The number of classes.
    #[serde(deserialize_with = "stored::classes")]
    pub classes: usize,
    /// What it was fitted with.
    pub config: AdaptiveSetsConfig,
}

applies_by_rank!(AdaptiveSets);

fn any_rank() -> usize {
    usize::MAX
}
