//! The smallest prediction sets on average: those of a bound on the probability.

use serde::{Deserialize, Serialize};

use super::super::stored;
use super::ranked::ranked;
use super::try_conformal_quantile;
use crate::check;
use crate::error::{InputError, or_panic};

/// Sets of the classes whose probability is at least `1 − q`: q is the conformal quantile of `1 − p(label)` (LAC, also
/// called THR; Sadinle, Lei & Wasserman 2019).
///
/// Of all sets that hold the label with probability `level` these are the smallest on average, if the model's
/// probabilities are right. They get there by being empty where no class is probable enough: hard inputs are covered
/// less often than easy ones. [`AdaptiveSets`](super::AdaptiveSets) even that out, and are larger.
///
/// ```
/// use blitz_predict::calibration::LeastAmbiguousSets;
///
/// // The labels had the probabilities 0.7, 0.7 and 0.2: the ⌈4 · 0.75⌉ = third of 1 − p is 0.8.
/// let p = [0.7, 0.2, 0.1].repeat(3);
/// let sets = LeastAmbiguousSets::fit(&p, 3, &[0, 0, 1], 0.75);
/// assert!((sets.threshold - 0.8).abs() < 1e-12);
/// assert_eq!(sets.apply(&[0.1, 0.2, 0.7, 0.19, 0.8, 0.01]), [vec![2, 1], vec![1]]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LeastAmbiguousSets {
    /// q, the largest `1 − p` of a class in a set.
    #[serde(deserialize_with = "stored::not_nan")]
    pub threshold: f64,
    /// The smallest probability of a class in a set: `1 − q` before it was rounded, which makes all probabilities below
    /// 1e-16 the same. `None` of a fit that was saved before there was this number; then `threshold` decides.
    #[serde(default, deserialize_with = "stored::probability_if_any")]
    pub bound: Option<f64>,
    /// The probability of coverage.
    #[serde(deserialize_with = "stored::level")]
    pub level: f64,
    /// The number of classes.
    #[serde(deserialize_with = "stored::classes")]
    pub classes: usize,
}

impl LeastAmbiguousSets {
    /// From predictive probabilities in row-major order `[example, class]` of examples that training has not seen.
    ///
    /// # Panics
    ///
    /// Panics unless `level` lies inside (0, 1), unless there is one label below `classes` for each example, if a
    /// probability lies outside [0, 1], if those of an example don't sum to 1 (to 1e-4), or with fewer than `level/(1 −
    /// level)` examples.
    pub fn fit(probabilities: &[f64], classes: usize, labels: &[usize], level: f64) -> Self {
        or_panic(Self::try_fit(probabilities, classes, labels, level))
    }

    /// As [`fit`](Self::fit), with an error in place of a panic.
    ///
    /// # Errors
    ///
    /// Unless `level` lies inside (0, 1), unless there is one label below `classes` for each example, if a probability
    /// lies outside [0, 1], if those of an example don't sum to 1 (to 1e-4), or with fewer than `level/(1 − level)`
    /// examples.
    pub fn try_fit(
        probabilities: &[f64],
        classes: usize,
        labels: &[usize],
        level: f64,
    ) -> Result<Self, InputError> {
        check::level(level)?;
        check::classification(probabilities, classes, labels)?;
        let rows = probabilities.chunks(classes).zip(labels);
        // In the order of 1 − p, which loses the small ones.
        let scores: Vec<f64> = rows.map(|(row, label)| -row[*label]).collect();
        let bound = -try_conformal_quantile(&scores, level)?;
        Ok(Self {
            threshold: score(bound),
            bound: Some(bound),
            level,
            classes,
        })
    }

    /// The set of each example, its most probable class first. A set may be empty; adding the most probable class
    /// covers no less.
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
        check::class_probabilities(probabilities, self.classes)?;
        // A number that went through a file may have lost its last digit.
        let rounding = 4.0 * f64::EPSILON;
        let is_inside = |p: f64| match self.bound {
            Some(bound) => p >= bound * (1.0 - rounding),
            None => score(p) <= self.threshold * (1.0 + rounding),
        };
        let set = |row: &[f64]| {
            let ranked = ranked(row).into_iter();
            let inside = ranked.take_while(|(_, p)| is_inside(*p));
            inside.map(|(class, _)| class).collect()
        };
        Ok(probabilities.chunks(self.classes).map(set).collect())
    }
}

/// Above 0 though a probability may be a rounding above 1.
fn score(p: f64) -> f64 {
    (1.0 - p).max(0.0)
}
