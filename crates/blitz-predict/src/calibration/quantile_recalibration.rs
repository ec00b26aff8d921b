//! Recalibrated distributions and intervals for regression.

use serde::{Deserialize, Serialize};

use super::isotonic::{IsotonicRegression, interpolate};
use crate::check;
use crate::error::{InputError, or_panic};

/// `R ∘ F`: the predictive distribution function F, mapped so that its values at held-out targets are uniform
/// (Kuleshov, Fenner & Ermon 2018).
///
/// R is the isotonic regression of how many held-out values `F_i(y_i)` lie at or below each of them. The k-th of n is
/// mapped to `k/(n + 1)`, its mean if they are uniform, where the paper has `k/n`: neither end is then reached within the data.
/// R is increasing, from R(0) = 0 to R(1) = 1 unless held-out values lie at 0 or 1 themselves.
///
/// Corrects the shape of the distribution on average over all inputs, not for each.
///
/// ```
/// use blitz_predict::calibration::QuantileRecalibration;
///
/// // Held-out targets lie about the median: the predictions are too wide.
/// let recalibration = QuantileRecalibration::fit(&[0.3, 0.4, 0.5, 0.6, 0.7]);
/// assert_eq!(recalibration.apply(&[0.3, 0.5, 1.0]), [1.0 / 6.0, 0.5, 1.0]);
/// // The calibrated interval of level 2/3 lies between the model's quantiles of 0.3 and 0.7.
/// let (lower, upper) = recalibration.interval(2.0 / 3.0);
/// assert!((lower - 0.3).abs() < 1e-12 && (upper - 0.7).abs() < 1e-12);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QuantileRecalibration {
    regression: IsotonicRegression,
}

impl QuantileRecalibration {
    /// From the predictive distribution function at the targets (the PIT values) of examples that training has not seen: see
    /// [`NormalMixture::cdf`](crate::NormalMixture::cdf).
    ///
    /// # Panics
    ///
    /// Panics without values, or if one lies outside [0, 1].
    pub fn fit(pit: &[f64]) -> Self {
        or_panic(Self::try_fit(pit))
    }

    /// As [`fit`](Self::fit), with an error in place of a panic.
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
        if x[0] > 0.0 {
            x.push(0.0);
            y.push(0.0);
        }
        if pit.iter().all(|p| *p < 1.0) {
            x.push(1.0);
            y.push(1.0);
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
    pub fn try_apply(&self, cdf: &[f64]) -> Result<Vec<f64>, InputError> {
        check::probabilities(cdf, "distribution function")?;
        self.regression.try_apply(cdf)
    }

    /// `R⁻¹(p)`: which of the model's quantiles is the calibrated `p`-quantile; see
    /// [`NormalMixture::quantile`](crate::NormalMixture::quantile).
    ///
    /// # Panics
    ///
    /// Panics unless `p` lies inside (0, 1).
    pub fn quantile(&self, p: f64) -> f64 {
        or_panic(self.try_quantile(p))
    }

    /// As [`quantile`](Self::quantile), with an error in place of a panic.
    pub fn try_quantile(&self, p: f64) -> Result<f64, InputError> {
        check::level(p)?;
        let (x, y): (Vec<f64>, Vec<f64>) = self.regression.points().unzip();
        Ok(interpolate(&y, &x, p))
    }

    /// The two of the model's quantiles between which lies the calibrated central interval of probability `level`.
    ///
    /// # Panics
    ///
    /// Panics unless `level` lies inside (0, 1).
    pub fn interval(&self, level: f64) -> (f64, f64) {
        or_panic(self.try_interval(level))
    }

    /// As [`interval`](Self::interval), with an error in place of a panic.
    pub fn try_interval(&self, level: f64) -> Result<(f64, f64), InputError> {
        check::level(level)?;
        let lower = self.try_quantile(0.5 - 0.5 * level)?;
        Ok((lower, self.try_quantile(0.5 + 0.5 * level)?))
    }
}
