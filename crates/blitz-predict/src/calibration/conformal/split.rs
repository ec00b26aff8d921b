//! Split conformal prediction for regression.

use serde::{Deserialize, Serialize};

use super::super::stored;
use super::{above, below, try_conformal_quantile};
use crate::check;
use crate::error::{InputError, or_panic};
use crate::mixture::Interval;

/// `[μ(x) − r, μ(x) + r]`: r is the conformal quantile of the absolute residuals `|y − μ(x)|` (Papadopoulos et al.
/// 2002; Lei et al. 2018).
///
/// Every interval is as wide. Where the model knows that some inputs are harder, [`NormalizedSplitConformal`] uses it.
///
/// ```
/// use blitz_predict::calibration::SplitConformal;
///
/// // Residuals 1, 2 and 3: the ⌈4 · 0.75⌉ = third.
/// let conformal = SplitConformal::fit(&[0.0, 0.0, 0.0], &[1.0, -3.0, 2.0], 0.75);
/// assert_eq!(conformal.radius, 3.0);
/// let interval = conformal.apply(&[10.0])[0];
/// assert_eq!((interval.lower, interval.upper), (7.0, 13.0));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SplitConformal {
    /// Half the width r of every interval, in the units of the targets.
    #[serde(deserialize_with = "stored::radius")]
    pub radius: f64,
    /// The probability of coverage.
    #[serde(deserialize_with = "stored::level")]
    pub level: f64,
}

impl SplitConformal {
    /// From predictive means of examples that training has not seen, and their targets.
    ///
    /// # Panics
    ///
    /// Panics unless `level` lies inside (0, 1), unless there is a target for each mean, if a value is not finite, or
    /// with fewer than `level/(1 − level)` examples.
    pub fn fit(mean: &[f64], target: &[f64], level: f64) -> Self {
        or_panic(Self::try_fit(mean, target, level))
    }

    /// As [`fit`](Self::fit), with an error in place of a panic.
    ///
    /// # Errors
    ///
    /// Unless `level` lies inside (0, 1), unless there is a target for each mean, if a value is not finite, or with
    /// fewer than `level/(1 − level)` examples.
    pub fn try_fit(mean: &[f64], target: &[f64], level: f64) -> Result<Self, InputError> {
        check::targets(mean.len(), target)?;
        check::finite(mean, "mean")?;
        let residuals = mean.iter().zip(target).map(|(m, y)| (y - m).abs());
        let residuals: Vec<f64> = residuals.collect();
        Ok(Self {
            radius: try_conformal_quantile(&residuals, level)?,
            level,
        })
    }

    /// An interval about each predictive mean.
    ///
    /// # Panics
    ///
    /// Panics if a mean is not finite.
    pub fn apply(&self, mean: &[f64]) -> Vec<Interval> {
        or_panic(self.try_apply(mean))
    }

    /// As [`apply`](Self::apply), with an error in place of a panic.
    ///
    /// # Errors
    ///
    /// If a mean is not finite.
    pub fn try_apply(&self, mean: &[f64]) -> Result<Vec<Interval>, InputError> {
        check::finite(mean, "mean")?;
        Ok(mean.iter().map(|mean| about(*mean, self.radius)).collect())
    }
}

/// `[μ(x) − q σ(x), μ(x) + q σ(x)]`: q is the conformal quantile of the normalized residuals `|y − μ(x)| / σ(x)`
/// (Papadopoulos et al. 2008; Lei et al. 2018).
///
/// As wide as the model's own deviation says, times one factor.
///
/// ```
/// use blitz_predict::calibration::NormalizedSplitConformal;
///
/// // Residuals of 0.5, 1 and 2 deviations: the ⌈4 · 0.75⌉ = third.
/// let conformal = NormalizedSplitConformal::fit(&[0.0; 3], &[2.0, 1.0, 3.0], &[1.0, -1.0, 6.0], 0.75);
/// assert_eq!(conformal.factor, 2.0);
/// let interval = conformal.apply(&[10.0], &[0.5])[0];
/// assert_eq!((interval.lower, interval.upper), (9.0, 11.0));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct NormalizedSplitConformal {
    /// Half the width of an interval over the deviation there, q.
    #[serde(deserialize_with = "stored::radius")]
    pub factor: f64,
    /// The probability of coverage.
    #[serde(deserialize_with = "stored::level")]
    pub level: f64,
}

impl NormalizedSplitConformal {
    /// From predictive means and deviations of examples that training has not seen, and their targets.
    ///
    /// # Panics
    ///
    /// Panics unless `level` lies inside (0, 1), unless there are a positive deviation and a target for each mean, if a
    /// value is not finite, or with fewer than `level/(1 − level)` examples.
    pub fn fit(mean: &[f64], std: &[f64], target: &[f64], level: f64) -> Self {
        or_panic(Self::try_fit(mean, std, target, level))
    }

    /// As [`fit`](Self::fit), with an error in place of a panic.
    ///
    /// # Errors
    ///
    /// Unless `level` lies inside (0, 1), unless there are a positive deviation and a target for each mean, if a value
    /// is not finite, or with fewer than `level/(1 − level)` examples.
    pub fn try_fit(
        mean: &[f64],
        std: &[f64],
        target: &[f64],
        level: f64,
    ) -> Result<Self, InputError> {
        check::normals(mean, std, target)?;
        let residuals = mean.iter().zip(std).zip(target);
        let residuals: Vec<f64> = residuals.map(|((m, s), y)| (y - m).abs() / s).collect();
        Ok(Self {
            factor: try_conformal_quantile(&residuals, level)?,
            level,
        })
    }

    /// An interval about each predictive mean.
    ///
    /// # Panics
    ///
    /// Panics unless there is a positive deviation for each mean, or if a value is not finite.
    pub fn apply(&self, mean: &[f64], std: &[f64]) -> Vec<Interval> {
        or_panic(self.try_apply(mean, std))
    }

    /// As [`apply`](Self::apply), with an error in place of a panic.
    ///
    /// # Errors
    ///
    /// Unless there is a positive deviation for each mean, or if a value is not finite.
    pub fn try_apply(&self, mean: &[f64], std: &[f64]) -> Result<Vec<Interval>, InputError> {
        check::same_length((mean.len(), "means"), (std.len(), "deviations"))?;
        check::finite(mean, "mean")?;
        check::positive(std, "deviation")?;
        let pairs = mean.iter().zip(std);
        Ok(pairs.map(|(m, s)| about(*m, self.radius(*s))).collect())
    }

    /// The largest residual whose share of the deviation is q, as scores divide.
    fn radius(&self, std: f64) -> f64 {
        let mut radius = self.factor * std;
        // The product may be rounded down, and the quotient too: by a unit each.
        for _ in 0..2 {
            if radius.next_up() / std <= self.factor {
                radius = radius.next_up();
            }
        }
        radius
    }
}

fn about(mean: f64, radius: f64) -> Interval {
    Interval {
        lower: below(mean, radius),
        upper: above(mean, radius),
    }
}
