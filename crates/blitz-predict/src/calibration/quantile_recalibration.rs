//! Recalibrated distributions and intervals for regression.

use serde::{Deserialize, Serialize};

use super::isotonic::{IsotonicRegression, interpolate};
use crate::check;
use crate::distribution::Distribution;
use crate::error::{InputError, or_panic};
use crate::mixture::{Interval, Mixture};

/// The last number below 1.
const BEFORE_ONE: f64 = 1.0 - f64::EPSILON / 2.0;

/// `R ∘ F`: the predictive distribution function F, mapped so that its values at held-out targets are uniform
/// (Kuleshov, Fenner & Ermon 2018).
///
/// R is the isotonic regression of how many held-out values `F_i(y_i)` lie at or below each of them. The k-th of n is
/// mapped to `k/(n + 1)`, its mean if they are uniform, where the paper has `k/n`: neither end is then reached within
/// the data. R is increasing, from R(0) = 0 to R(1) = 1 unless held-out values lie at 0 or 1 themselves: there it
/// jumps, and quantiles within the jump are the end of what the model thought possible.
///
/// Corrects the shape of the distribution on average over all inputs, not for each.
///
/// ```
/// use blitz_predict::calibration::QuantileRecalibration;
/// use blitz_predict::NormalMixture;
///
/// // Held-out targets lie about the median: the predictions are too wide.
/// let recalibration = QuantileRecalibration::fit(&[0.3, 0.4, 0.5, 0.6, 0.7]);
/// assert_eq!(recalibration.apply(&[0.3, 0.5, 1.0]), [1.0 / 6.0, 0.5, 1.0]);
/// // The calibrated interval of level 2/3 lies between the model's quantiles of 0.3 and 0.7.
/// let y = NormalMixture::new(vec![vec![10.0]], vec![2.0], 1);
/// let interval = recalibration.interval(&y, 2.0 / 3.0)[0];
/// assert!((interval.lower - y.quantile(0.3)[0]).abs() < 1e-9);
/// assert!((interval.upper - y.quantile(0.7)[0]).abs() < 1e-9);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct QuantileRecalibration {
    regression: IsotonicRegression,
}

/// What a file has of it.
#[derive(Deserialize)]
struct Stored {
    regression: IsotonicRegression,
}

impl TryFrom<Stored> for QuantileRecalibration {
    type Error = InputError;

    fn try_from(Stored { regression }: Stored) -> Result<Self, InputError> {
        let (x, y): (Vec<f64>, Vec<f64>) = regression.points().unzip();
        check::probabilities(&x, "value of a distribution function")?;
        check::probabilities(&y, "calibrated probability")?;
        Ok(Self { regression })
    }
}

impl QuantileRecalibration {
    /// From the predictive distribution function at the targets (the PIT values) of examples that training has not
    /// seen: see
    /// [`NormalMixture::cdf`](crate::NormalMixture::cdf).
    ///
    /// # Panics
    ///
    /// Panics without values, or if one lies outside [0, 1].
    pub fn fit(pit: &[f64]) -> Self {
        or_panic(Self::try_fit(pit))
    }

    /// As [`fit`](Self::fit), with an error in place of a panic.
    ///
    /// # Errors
    ///
    /// Without values, or if one lies outside [0, 1].
    pub fn try_fit(pit: &[f64]) -> Result<Self, InputError> {
        check::not_empty(pit.len(), "PIT value")?;
        check::probabilities(pit, "PIT value")?;
        let n = pit.len() as f64;
        let mut x: Vec<f64> = pit.iter().map(|p| p.min(1.0)).collect();
        x.sort_by(f64::total_cmp);
        // Equal values all have the rank of the last: at or below them lie as many.
        let tied = x.chunk_by(|a, b| a == b);
        let mut y = Vec::with_capacity(x.len() + 2);
        for tied in tied {
            let rank = (y.len() + tied.len()) as f64;
            y.extend(tied.iter().map(|_| rank / (n + 1.0)));
        }
        let [low, high] = [x[0], x[x.len() - 1]];
        if low > 0.0 {
            x.push(0.0);
            y.push(0.0);
        }
        if high < 1.0 {
            x.push(1.0);
            y.push(1.0);
        } else {
            // R jumps at 1 as it does at 0. Of n values that are k ones it is 1 − k/(n + 1) until then, as it is k/(n + 1)
            // at 0 of k zeros.
            let ones = pit.iter().filter(|p| **p >= 1.0).count() as f64;
            if !x.contains(&BEFORE_ONE) {
                x.push(BEFORE_ONE);
                y.push(1.0 - ones / (n + 1.0));
            }
        }
        Ok(Self {
            regression: IsotonicRegression::try_fit(&x, &y)?,
        })
    }

    /// R at each of the predictive distribution function's values: calibrated probabilities to lie below.
    ///
    /// # Panics
    ///
    /// Panics if one lies outside [0, 1].
    pub fn apply(&self, cdf: &[f64]) -> Vec<f64> {
        or_panic(self.try_apply(cdf))
    }

    /// As [`apply`](Self::apply), with an error in place of a panic.
    ///
    /// # Errors
    ///
    /// If one lies outside [0, 1].
    pub fn try_apply(&self, cdf: &[f64]) -> Result<Vec<f64>, InputError> {
        check::probabilities(cdf, "distribution function")?;
        self.regression.try_apply(cdf)
    }

    /// `R⁻¹(p)`: the probability whose quantile by the model is the calibrated `p`-quantile. It is 0 or 1 where
    /// held-out values lay at that end.
    ///
    /// # Panics
    ///
    /// Panics unless `p` lies inside (0, 1).
    pub fn inverse(&self, p: f64) -> f64 {
        or_panic(self.try_inverse(p))
    }

    /// As [`inverse`](Self::inverse), with an error in place of a panic.
    ///
    /// # Errors
    ///
    /// Unless `p` lies inside (0, 1).
    pub fn try_inverse(&self, p: f64) -> Result<f64, InputError> {
        check::level(p)?;
        let (x, y): (Vec<f64>, Vec<f64>) = self.regression.points().unzip();
        if p > interpolate(&x, &y, BEFORE_ONE) {
            return Ok(1.0);
        }
        // A file may be a rounding beyond.
        Ok(interpolate(&y, &x, p).clamp(0.0, 1.0))
    }

    /// The calibrated `p`-quantiles of predictions; infinite, or the end of the support, where held-out targets lay
    /// beyond all that the model had thought possible.
    ///
    /// # Panics
    ///
    /// Panics unless `p` lies inside (0, 1).
    pub fn quantile<C: Distribution>(&self, predictive: &Mixture<C>, p: f64) -> Vec<f64> {
        or_panic(self.try_quantile(predictive, p))
    }

    /// As [`quantile`](Self::quantile), with an error in place of a panic.
    ///
    /// # Errors
    ///
    /// Unless `p` lies inside (0, 1).
    pub fn try_quantile<C: Distribution>(
        &self,
        predictive: &Mixture<C>,
        p: f64,
    ) -> Result<Vec<f64>, InputError> {
        Ok(predictive.quantile_or_end(self.try_inverse(p)?))
    }

    /// The calibrated central intervals of predictions: between their calibrated quantiles `(1 − level)/2` and `(1 +
    /// level)/2`.
    ///
    /// # Panics
    ///
    /// Panics unless `level` lies inside (0, 1).
    pub fn interval<C: Distribution>(&self, predictive: &Mixture<C>, level: f64) -> Vec<Interval> {
        or_panic(self.try_interval(predictive, level))
    }

    /// As [`interval`](Self::interval), with an error in place of a panic.
    ///
    /// # Errors
    ///
    /// Unless `level` lies inside (0, 1).
    pub fn try_interval<C: Distribution>(
        &self,
        predictive: &Mixture<C>,
        level: f64,
    ) -> Result<Vec<Interval>, InputError> {
        check::level(level)?;
        let [below, above] = Interval::central_probabilities(level);
        let lower = self.try_quantile(predictive, below)?;
        let upper = self.try_quantile(predictive, above)?;
        let ends = lower.into_iter().zip(upper);
        Ok(ends
            .map(|(lower, upper)| Interval { lower, upper })
            .collect())
    }
}
