//! What the sliders set, and what is refused.

use crate::data::{FRAME, MOST_POINTS, Point};

/// What all ways have in common.
///
/// Their posterior is `p(w | D) ∝ Π p(y_i | x_i, w)^(1/β) · N(w; 0, s²)` for a noise of deviation σ: β = 1 is Bayes'
/// rule, less makes it colder, more keeps it closer to the prior. In an ELBO that is the KL's weight.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// The deviation s of the prior of every weight.
    pub prior_std: f64,
    /// The deviation σ of the noise on the points.
    pub noise: f64,
    /// The weight β of the KL.
    pub kl_weight: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            prior_std: 1.0,
            noise: 0.1,
            kl_weight: 1.0,
        }
    }
}

impl Settings {
    pub(crate) fn check(&self) -> Result<(), InputError> {
        for (what, value, least, most) in [
            ("prior deviation", self.prior_std, 0.1, 10.0),
            ("noise", self.noise, 0.02, 1.0),
            ("KL weight", self.kl_weight, 0.01, 10.0),
        ] {
            // Written so that a NaN is refused.
            if !(least..=most).contains(&value) {
                return Err(InputError::Setting {
                    what,
                    value,
                    least,
                    most,
                });
            }
        }
        Ok(())
    }
}

/// Why points or settings are refused.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// A setting out of its range.
    #[error("the {what} must lie between {least} and {most}, got {value}")]
    Setting {
        /// The setting.
        what: &'static str,
        /// Its value.
        value: f64,
        /// The least that is possible.
        least: f64,
        /// The most.
        most: f64,
    },
    /// A point outside the picture.
    #[error("the point ({}, {}) lies outside the picture, which ends at ±{} and ±{}", .0.x, .0.y, FRAME.x, FRAME.y)]
    Outside(Point),
    /// More points than a step of training can have.
    #[error("there is room for {MOST_POINTS} points, got {0}")]
    TooMany(usize),
    /// Numbers that are no pairs.
    #[error("a point is two numbers, got {0} numbers")]
    Odd(usize),
}
