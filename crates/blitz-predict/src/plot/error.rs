//! Why there is no plot.

use std::path::PathBuf;

use thiserror::Error;

use crate::distribution::Distribution;
use crate::error::InputError;
use crate::mixture::Mixture;

/// Why there is no plot.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PlotError {
    /// There is nothing to plot.
    #[error("there is no {what} to plot")]
    Empty {
        /// What is missing.
        what: &'static str,
    },
    /// Two lists that belong together differ in length.
    #[error("there are {got} {what}, {expected} are needed")]
    Length {
        /// What there are too many or too few of.
        what: &'static str,
        /// How many there should be.
        expected: usize,
        /// How many there are.
        got: usize,
    },
    /// A number is a NaN or an infinity.
    #[error("{what} {index} is not finite")]
    NotFinite {
        /// What is not finite.
        what: &'static str,
        /// Its place, from 0.
        index: usize,
    },
    /// An axis that would have to show numbers of which no difference is finite.
    #[error("the {axis} axis has no finite length, from {low:e} to {high:e}")]
    Axis {
        /// Horizontal or vertical.
        axis: &'static str,
        /// Its lower end.
        low: f64,
        /// Its upper end.
        high: f64,
    },
    /// The numbers are no predictions or no scores.
    #[error(transparent)]
    Input(#[from] InputError),
    /// A file whose name says no format.
    #[error("{path}: a plot is written as .png or .svg", path = path.display())]
    Extension {
        /// The file that was to be written.
        path: PathBuf,
    },
    /// The plot could not be drawn or written.
    #[error("cannot write the plot {path}: {reason}", path = path.display())]
    NotWritten {
        /// The file that was to be written; empty for a text.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
}

/// An error if there is nothing, or a number that is not finite.
pub(super) fn check_finite(what: &'static str, values: &[f64]) -> Result<(), PlotError> {
    if values.is_empty() {
        return Err(PlotError::Empty { what });
    }
    match values.iter().position(|value| !value.is_finite()) {
        Some(index) => Err(PlotError::NotFinite { what, index }),
        None => Ok(()),
    }
}

/// An error if a number of a point is not finite.
pub(super) fn check_points(what: &'static str, points: &[(f64, f64)]) -> Result<(), PlotError> {
    let is_finite = |(x, y): &(f64, f64)| x.is_finite() && y.is_finite();
    match points.iter().position(|point| !is_finite(point)) {
        Some(index) => Err(PlotError::NotFinite { what, index }),
        None => Ok(()),
    }
}

/// An error if a number of a point is no share.
pub(super) fn check_shares(
    what: &'static str,
    index: usize,
    point: [f64; 2],
) -> Result<(), PlotError> {
    if point.iter().any(|share| !share.is_finite()) {
        return Err(PlotError::NotFinite { what, index });
    }
    match point
        .iter()
        .find(|share| !(0.0..=MOST_SHARE).contains(*share))
    {
        Some(value) => Err(PlotError::Input(InputError::Value {
            what,
            index,
            value: *value,
            range: "inside [0, 1]",
        })),
        None => Ok(()),
    }
}

/// A confidence that is a mean over draws may exceed 1 by an ulp or so of `f32`.
const MOST_SHARE: f64 = 1.0 + 1e-6;

/// An error unless there is one for each prediction.
pub(super) fn check_one_each<C: Distribution>(
    what: &'static str,
    predictive: &Mixture<C>,
    got: usize,
) -> Result<(), PlotError> {
    check_length(what, predictive.len(), got)
}

/// An error unless there are as many as there should be.
pub(super) fn check_length(
    what: &'static str,
    expected: usize,
    got: usize,
) -> Result<(), PlotError> {
    match got == expected {
        true => Ok(()),
        false => Err(PlotError::Length {
            what,
            expected,
            got,
        }),
    }
}
