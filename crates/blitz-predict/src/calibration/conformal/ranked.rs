//! What the sets of classes share: the order of the classes, scores that tie where they should, and the randomization.

use std::cmp::Ordering;

use blitz_noise::NoiseKey;
use blitz_noise::layout::{CONFORMAL, conformal};

use super::conformal_rank;
use crate::check;
use crate::distribution::uniform;
use crate::error::InputError;

/// How sets are made that take classes by their rank, up to a threshold of a score.
pub(super) trait RankedScores {
    /// The seed of the randomization, if it is wanted.
    fn seed(&self) -> Option<u64>;

    /// The classes of an example, most probable first, with their scores, which rise.
    fn scores(&self, row: &[f64], share: f64) -> impl Iterator<Item = (usize, Score)>;

    /// The conformal quantile of the labels' scores.
    fn threshold(
        &self,
        level: f64,
        probabilities: &[f64],
        classes: usize,
        labels: &[usize],
    ) -> Result<Score, InputError> {
        check::classification(probabilities, classes, labels)?;
        let rows = probabilities.chunks(classes).zip(labels).enumerate();
        let scores = rows.map(|(example, (row, label))| {
            let share = share(self.seed(), example, conformal::CALIBRATION);
            let mut scores = self.scores(row, share);
            match scores.find(|(class, _)| class == label) {
                Some((_, score)) => score,
                None => unreachable!("the labels were checked to be classes"),
            }
        });
        let mut scores: Vec<Score> = scores.collect();
        let rank = conformal_rank(scores.len(), level)?;
        let (_, threshold, _) = scores.select_nth_unstable_by(rank - 1, Score::total_cmp);
        Ok(*threshold)
    }

    /// The classes of each example whose score is at most `threshold`. The examples are those from number `first` on.
    fn sets(
        &self,
        threshold: Score,
        first: usize,
        probabilities: &[f64],
        classes: usize,
    ) -> Result<Vec<Vec<usize>>, InputError> {
        check::class_probabilities(probabilities, classes)?;
        // Again on the grid: a number that went through a file may have lost its last digit.
        let threshold = Score {
            sum: on_grid(threshold.sum),
            ..threshold
        };
        let set = |(place, row): (usize, &[f64])| {
            let example = first.wrapping_add(place);
            let share = share(self.seed(), example, conformal::APPLICATION);
            let scores = self.scores(row, share);
            let inside = scores.take_while(|(_, score)| score.total_cmp(&threshold).is_le());
            inside.map(|(class, _)| class).collect()
        };
        Ok(probabilities.chunks(classes).enumerate().map(set).collect())
    }
}

/// Makes the methods of sets that are fitted. They are the type's own, not the trait's, so that a user imports nothing
/// for them.
macro_rules! applies_by_rank {
    ($sets:ident) => {
        impl $sets {
            /// The set of each example, its most probable class first. A set may be empty; adding the most probable
            /// class covers no less.
            ///
            /// The randomization of an example follows from the seed and its number, counted from 0 in each call.
            /// Examples that come one by one or in batches would all have that of the first ones: they go to
            /// [`apply_from`](Self::apply_from).
            ///
            /// # Panics
            ///
            /// Panics unless `probabilities` are whole rows of the classes of the fit, inside [0, 1] and summing to 1.
            pub fn apply(&self, probabilities: &[f64]) -> Vec<Vec<usize>> {
                or_panic(self.try_apply(probabilities))
            }

            /// As [`apply`](Self::apply), with an error in place of a panic.
            ///
            /// # Errors
            ///
            /// Unless `probabilities` are whole rows of the classes of the fit, inside [0, 1] and summing to 1.
            pub fn try_apply(&self, probabilities: &[f64]) -> Result<Vec<Vec<usize>>, InputError> {
                self.try_apply_from(0, probabilities)
            }

            /// [`apply`](Self::apply) to the examples from number `first` on: the number of all that came before them. In batches they so have the sets that they have at once,
            /// and the coverage is that of the level.
            ///
            /// Without a seed the number plays no part.
            ///
            /// # Panics
            ///
            /// As [`apply`](Self::apply).
            pub fn apply_from(&self, first: usize, probabilities: &[f64]) -> Vec<Vec<usize>> {
                or_panic(self.try_apply_from(first, probabilities))
            }

            /// As [`apply_from`](Self::apply_from), with an error in place of a panic.
            ///
            /// # Errors
            ///
            /// As [`try_apply`](Self::try_apply).
            pub fn try_apply_from(
                &self,
                first: usize,
                probabilities: &[f64],
            ) -> Result<Vec<Vec<usize>>, InputError> {
                let threshold = Score {
                    sum: self.threshold,
                    rank: self.rank,
                };
                self.config
                    .sets(threshold, first, probabilities, self.classes)
            }
        }
    };
}

pub(super) use applies_by_rank;

/// The classes of an example with their probabilities, most probable first. Equal ones stay in the order of the
/// classes.
pub(super) fn ranked(row: &[f64]) -> Vec<(usize, f64)> {
    let mut ranked: Vec<(usize, f64)> = row.iter().copied().enumerate().collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    ranked
}

/// The score of a class, and how many classes of its example are at least as probable: of equal sums the class of lower
/// rank is ahead.
///
/// Classes of probability 0 have the sum of the class before them. Without a rank, a threshold at which that one is
/// inside would bring them all in. A score may be anything of which labels of later examples have as much as those of
/// the calibration, so the coverage stays.
#[derive(Debug, Clone, Copy)]
pub(super) struct Score {
    pub(super) sum: f64,
    pub(super) rank: usize,
}

impl Score {
    fn total_cmp(&self, other: &Self) -> Ordering {
        let sums = self.sum.total_cmp(&other.sum);
        sums.then(self.rank.cmp(&other.rank))
    }
}

/// To a multiple of 2⁻⁴⁰: sums of the same probabilities in another order, or of 0.5 and 0.4 and of 0.7 and 0.2, differ
/// in their last digits, and are to tie all the same.
pub(super) fn on_grid(sum: f64) -> f64 {
    const CELLS: f64 = (1u64 << 40) as f64;
    (sum * CELLS).round() / CELLS
}

/// The share of its own part that counts for a class of an example: uniform over [0, 1), or all.
fn share(seed: Option<u64>, example: usize, stream: u32) -> f64 {
    match seed {
        Some(seed) => uniform(&mut NoiseKey::new(seed ^ CONFORMAL, example as u64, stream).rng()),
        None => 1.0,
    }
}
