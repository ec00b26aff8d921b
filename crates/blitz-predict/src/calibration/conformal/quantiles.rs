//! Conformalized quantile regression.

use serde::{Deserialize, Serialize};

use super::super::stored;
use super::{above, below, try_conformal_quantile};
use crate::check;
use crate::error::{InputError, or_panic};
use crate::mixture::Interval;

/// `[l(x) − c, u(x) + c]`: a model's own intervals, moved out or in by the conformal quantile c of
/// `max(l(x) − y, y − u(x))` (CQR; Romano, Patterson & Candès 2019).
///
/// The intervals may come from a network of quantiles or from a predictive mixture; they should aim at the same level,
/// but need not reach it. They may be skewed, and stay so.
///
/// ```
/// use blitz_predict::Interval;
/// use blitz_predict::calibration::ConformalQuantiles;
///
/// // Outside by 1, inside by 0.5, outside by 0.25: the ⌈4 · 0.75⌉ = third.
/// let unit = Interval { lower: 0.0, upper: 1.0 };
/// let conformal = ConformalQuantiles::fit(&[unit; 3], &[2.0, 0.5, -0.25], 0.75);
/// assert_eq!(conformal.correction, 1.0);
/// let interval = conformal.apply(&[unit])[0];
/// assert_eq!((interval.lower, interval.upper), (-1.0, 2.0));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ConformalQuantiles {
    /// What is added at both ends, c, in the units of the targets; negative if the model's intervals are too wide.
    #[serde(deserialize_with = "stored::not_nan")]
    pub correction: f64,
    /// The probability of coverage.
    #[serde(deserialize_with = "stored::level")]
    pub level: f64,
}

impl ConformalQuantiles {
    /// From predictive intervals of examples that training has not seen, and their targets.
    ///
    /// # Panics
    ///
    /// Panics unless `level` lies inside (0, 1), unless there is a finite target for each interval, if an interval has
    /// no finite end, if a lower end is above the upper one (sort quantiles that cross first), or with fewer than
    /// `level/(1 − level)` examples.
    pub fn fit(intervals: &[Interval], target: &[f64], level: f64) -> Self {
        or_panic(Self::try_fit(intervals, target, level))
    }

    /// As [`fit`](Self::fit), with an error in place of a panic.
    ///
    /// # Errors
    ///
    /// Unless `level` lies inside (0, 1), unless there is a finite target for each interval, if an interval has no
    /// finite end, if a lower end is above the upper one (sort quantiles that cross first), or with fewer than
    /// `level/(1 − level)` examples.
    pub fn try_fit(intervals: &[Interval], target: &[f64], level: f64) -> Result<Self, InputError> {
        check::targets(intervals.len(), target)?;
        Interval::check_all(intervals)?;
        let pairs = intervals.iter().zip(target);
        let outside = pairs.map(|(interval, y)| (interval.lower - y).max(y - interval.upper));
        let outside: Vec<f64> = outside.collect();
        // No correction moves an end that is infinite.
        check::finite(&outside, "distance from the interval")?;
        Ok(Self {
            correction: try_conformal_quantile(&outside, level)?,
            level,
        })
    }

    /// The corrected intervals. One that would end before it begins becomes its middle, which covers no less.
    ///
    /// # Panics
    ///
    /// Panics if a lower end is above the upper one.
    pub fn apply(&self, intervals: &[Interval]) -> Vec<Interval> {
        or_panic(self.try_apply(intervals))
    }

    /// As [`apply`](Self::apply), with an error in place of a panic.
    ///
    /// # Errors
    ///
    /// If a lower end is above the upper one.
    pub fn try_apply(&self, intervals: &[Interval]) -> Result<Vec<Interval>, InputError> {
        Interval::check_all(intervals)?;
        let corrected = intervals.iter().map(|interval| {
            let (lower, upper) = (
                below(interval.lower, self.correction),
                above(interval.upper, self.correction),
            );
            if lower <= upper {
                return Interval { lower, upper };
            }
            let middle = interval.lower.midpoint(interval.upper);
            Interval {
                lower: middle,
                upper: middle,
            }
        });
        Ok(corrected.collect())
    }
}
