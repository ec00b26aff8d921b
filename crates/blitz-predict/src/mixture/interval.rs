//! An interval of the target.

use std::cmp::Ordering;

use crate::error::InputError;

/// An interval `[lower, upper]` of the target.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The lower end.
    pub lower: f64,
    /// The upper end.
    pub upper: f64,
}

impl Interval {
    /// Whether `y` lies inside, the ends included.
    pub fn contains(&self, y: f64) -> bool {
        (self.lower..=self.upper).contains(&y)
    }

    /// `upper − lower`; 0 where both ends are the same infinity.
    pub fn width(&self) -> f64 {
        match self.lower == self.upper {
            true => 0.0,
            false => self.upper - self.lower,
        }
    }

    /// Ends in order in all of them; infinite ones are allowed, NaN is not.
    pub(crate) fn check_all(intervals: &[Self]) -> Result<(), InputError> {
        match intervals
            .iter()
            .position(|i| i.lower.partial_cmp(&i.upper).is_none_or(Ordering::is_gt))
        {
            Some(index) => Err(InputError::Interval {
                index,
                lower: intervals[index].lower,
                upper: intervals[index].upper,
            }),
            None => Ok(()),
        }
    }

    /// The probabilities below the ends of the central interval of a level inside (0, 1), and inside (0, 1) as well:
    /// the upper one of the last level before 1 rounds to 1.
    pub(crate) fn central_probabilities(level: f64) -> [f64; 2] {
        [0.5 - 0.5 * level, (0.5 + 0.5 * level).min(1f64.next_down())]
    }

    pub(super) fn check_level(level: f64) {
        assert!(
            level > 0.0 && level < 1.0,
            "an interval needs a level inside (0, 1), got {level}"
        );
    }
}
