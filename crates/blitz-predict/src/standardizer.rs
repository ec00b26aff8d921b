//! Columns brought to mean 0 and deviation 1, and predictions brought back.

use serde::{Deserialize, Serialize};

use crate::check;
use crate::distribution::Rescale;
use crate::error::{InputError, or_panic};
use crate::mixture::{Interval, Mixture};
use crate::numbers::in_units;

/// The mean and the deviation of each column of a table: `z = (x − mean) / std`.
///
/// Inputs and targets have one each, fitted to the training rows alone. It is saved beside the model, by serde: what
/// the network has learnt means nothing without it. A field of this type in a configuration of Burn's is enough. A
/// constant column has a deviation of 1 here, so that it becomes 0; so has one that is constant but for rounding, by no
/// more than 16 units of its last place.
///
/// ```
/// use blitz_predict::{NormalMixture, Standardizer};
///
/// // Three rows of two columns; the second is constant.
/// let scale = Standardizer::fit(&[1.0, 5.0, 2.0, 5.0, 3.0, 5.0], 2);
/// assert_eq!((scale.mean.as_slice(), scale.std[1]), ([2.0, 5.0].as_slice(), 1.0));
/// assert_eq!(scale.transform(&[2.0, 5.0]), [0.0, 0.0]);
///
/// // A network of standardized targets predicts 1 ± 0.5 there. In the targets' own unit that is 10 ± 1.
/// let targets = Standardizer::fit(&[6.0, 10.0], 1);
/// let y = targets.inverse_predictive(NormalMixture::new(vec![vec![1.0]], vec![0.5], 1));
/// assert_eq!((y.mean()[0], y.std_dev()[0]), (10.0, 1.0));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct Standardizer {
    /// The mean of each column.
    pub mean: Vec<f64>,
    /// The deviation of each column over the rows, not the rows less one; 1 of a constant column, also of one that is
    /// constant but for rounding.
    pub std: Vec<f64>,
}

/// What a file says: a scaling only once it is checked.
#[derive(Deserialize)]
struct Stored {
    mean: Vec<f64>,
    std: Vec<f64>,
}

impl TryFrom<Stored> for Standardizer {
    type Error = InputError;

    fn try_from(Stored { mean, std }: Stored) -> Result<Self, InputError> {
        Self::try_new(mean, std)
    }
}

impl Standardizer {
    /// With means and deviations from elsewhere.
    ///
    /// # Panics
    ///
    /// Panics without columns, unless there are as many deviations as means, if a mean is not finite, or if a deviation
    /// is not positive and finite.
    #[must_use]
    pub fn new(mean: Vec<f64>, std: Vec<f64>) -> Self {
        or_panic(Self::try_new(mean, std))
    }

    /// As [`new`](Self::new), with an error in place of a panic.
    ///
    /// # Errors
    ///
    /// Without columns, unless there are as many deviations as means, if a mean is not finite, or if a deviation is not
    /// positive and finite.
    pub fn try_new(mean: Vec<f64>, std: Vec<f64>) -> Result<Self, InputError> {
        check::not_empty(mean.len(), "column")?;
        check::same_length((mean.len(), "means"), (std.len(), "deviations"))?;
        check::finite(&mean, "mean")?;
        check::positive(&std, "deviation")?;
        Ok(Self { mean, std })
    }

    /// Fits each column of `values`, row after row with `columns` to a row.
    ///
    /// # Panics
    ///
    /// Panics without rows or columns, if the last row is not complete, if a value is NaN or infinite, or if a column's
    /// variance is beyond the numbers, or its deviation below them.
    #[must_use]
    pub fn fit(values: &[f64], columns: usize) -> Self {
        or_panic(Self::try_fit(values, columns))
    }

    /// As [`fit`](Self::fit), with an error in place of a panic.
    ///
    /// # Errors
    ///
    /// Without rows or columns, if the last row is not complete, if a value is NaN or infinite, or if a column's
    /// variance is beyond the numbers, or its deviation below them.
    pub fn try_fit(values: &[f64], columns: usize) -> Result<Self, InputError> {
        check::not_empty(columns, "column")?;
        check::not_empty(values.len(), "row")?;
        finite_rows(values, columns)?;
        let moments = (0..columns).map(|column| {
            let values = values[column..].iter().step_by(columns).copied();
            let (mean, std) = moments(values);
            // The variance of a prediction would not be finite either. A deviation below the least number is 0.
            if mean.is_finite() && std > 0.0 && (std * std).is_finite() {
                Ok((mean, std))
            } else {
                Err(InputError::Column { column })
            }
        });
        let (mean, std) = moments.collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
        Ok(Self { mean, std })
    }

    /// The number of columns.
    pub fn columns(&self) -> usize {
        self.mean.len()
    }

    /// `(x − mean) / std` of whole rows.
    ///
    /// # Panics
    ///
    /// Panics if the last row is not complete, or if a value is NaN or infinite.
    #[must_use]
    pub fn transform(&self, values: &[f64]) -> Vec<f64> {
        or_panic(self.try_transform(values))
    }

    /// As [`transform`](Self::transform), with an error in place of a panic, which names row and column of what is not
    /// finite.
    ///
    /// # Errors
    ///
    /// If the last row is not complete, or if a value is NaN or infinite.
    pub fn try_transform(&self, values: &[f64]) -> Result<Vec<f64>, InputError> {
        finite_rows(values, self.columns())?;
        Ok(self.map(values, in_units))
    }

    /// `z · std + mean` of whole rows: predicted means, draws or samples in the unit of the data.
    ///
    /// # Panics
    ///
    /// Panics if the last row is not complete.
    #[must_use]
    pub fn inverse(&self, values: &[f64]) -> Vec<f64> {
        or_panic(check::rows(values.len(), self.columns()));
        self.map(values, |z, mean, std| z * std + mean)
    }

    /// A prediction in the unit of the data: location and scale of each of its distributions, and with them its
    /// intervals, samples, scores and its NLL, which is then that of a density over the data.
    ///
    /// # Panics
    ///
    /// Panics unless the predictions have as many target columns as this has.
    #[must_use]
    pub fn inverse_predictive<C: Rescale>(&self, predictive: Mixture<C>) -> Mixture<C> {
        predictive.rescale(&self.mean, &self.std)
    }

    /// Intervals in the unit of the data, in row-major order `[example, column]`: for those that are no mixture's, such
    /// as conformal ones.
    ///
    /// # Panics
    ///
    /// Panics unless they are a multiple of the columns.
    #[must_use]
    pub fn inverse_intervals(&self, intervals: &[Interval]) -> Vec<Interval> {
        or_panic(check::rows(intervals.len(), self.columns()));
        let columns = self.mean.iter().zip(&self.std).cycle();
        let pairs = intervals.iter().zip(columns);
        pairs
            .map(|(interval, (mean, std))| Interval {
                lower: interval.lower * std + mean,
                upper: interval.upper * std + mean,
            })
            .collect()
    }

    /// `ln std` of each column: an NLL in nats per standardized value, plus this, is one per value in the unit of the
    /// data.
    ///
    /// It is the logarithm of the Jacobian. [`inverse_predictive`](Self::inverse_predictive) takes it into account;
    /// numbers such as those of a dashboard don't.
    pub fn log_std(&self) -> Vec<f64> {
        self.std.iter().map(|std| std.ln()).collect()
    }

    fn map(&self, values: &[f64], f: impl Fn(f64, f64, f64) -> f64) -> Vec<f64> {
        let columns = self.mean.iter().zip(&self.std).cycle();
        let cells = values.iter().zip(columns);
        cells
            .map(|(value, (mean, std))| f(*value, *mean, *std))
            .collect()
    }
}

/// What a constant that was computed in several ways may be off by, as a share of it: rounding, which must not become
/// the unit of a column.
///
/// scikit-learn's bound grows with the rows, for the rounding of its sums. Offsets from the first value have none.
const ROUNDING: f64 = 16.0 * f64::EPSILON;

/// Mean and deviation, the latter 1 if all values are the same but for rounding.
fn moments(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    // The first value as the origin makes a constant column's deviation exactly 0, which a rounded mean would not.
    let origin = values.clone().next().unwrap_or(0.0);
    let offsets = values.map(|value| value - origin);
    let count = offsets.clone().count() as f64;
    let largest = offsets
        .clone()
        .fold(0.0, |largest, offset| f64::max(largest, offset.abs()));
    if largest <= ROUNDING * origin.abs() {
        return (origin, 1.0);
    }
    // In units of a power of two, which rounds nothing, squares neither overflow nor vanish.
    let exponent_bits = 0x7ff0_0000_0000_0000;
    let unit = f64::from_bits(largest.to_bits() & exponent_bits).max(f64::MIN_POSITIVE);
    let offsets = offsets.map(|offset| offset / unit);
    let shift = offsets.clone().sum::<f64>() / count;
    let squares = offsets.map(|offset| (offset - shift).powi(2));
    let variance = squares.sum::<f64>() / count;
    (origin + unit * shift, unit * variance.sqrt())
}

/// Whole rows of finite values.
fn finite_rows(values: &[f64], columns: usize) -> Result<(), InputError> {
    check::rows(values.len(), columns)?;
    match values.iter().position(|value| !value.is_finite()) {
        Some(index) => Err(InputError::Cell {
            row: index / columns,
            column: index % columns,
            value: values[index],
        }),
        None => Ok(()),
    }
}
