//! Isotonic regression: the best fit that never falls.

use serde::{Deserialize, Serialize};

use super::one_against_the_rest::{apply_each, fit_each};
use crate::check;
use crate::error::{InputError, or_panic};
use crate::numbers::{between, share};

/// The non-decreasing function of least squared error, by pooling adjacent violators (Ayer et al. 1955; for calibration
/// Zadrozny & Elkan 2002).
///
/// Between fitted points it is linear, outside of them constant. Equal `x` are one point, at their mean `y`. It assumes
/// no shape but order, and so needs more examples than a scaling: a thousand or so.
///
/// ```
/// use blitz_predict::calibration::IsotonicRegression;
///
/// // 3 and 2 are out of order and become their mean.
/// let fit = IsotonicRegression::fit(&[1.0, 2.0, 3.0, 4.0], &[1.0, 3.0, 2.0, 5.0]);
/// assert_eq!(fit.apply(&[0.0, 1.5, 2.5, 4.0]), [1.0, 1.75, 2.5, 5.0]);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Points")]
pub struct IsotonicRegression {
    /// Where it bends, increasing; equal neighbours only after reading, see [`settle`].
    x: Vec<f64>,
    /// Its values there, never falling.
    y: Vec<f64>,
}

/// What a file says: a fit only once it is checked.
#[derive(Deserialize)]
struct Points {
    x: Vec<f64>,
    y: Vec<f64>,
}

impl TryFrom<Points> for IsotonicRegression {
    type Error = InputError;

    fn try_from(Points { mut x, mut y }: Points) -> Result<Self, InputError> {
        check_points(&x, &y)?;
        settle(&mut x, "x", "above the one before")?;
        settle(&mut y, "y", "not below the one before")?;
        Ok(Self { x, y })
    }
}

/// Makes a list that was read from text one that never falls. A reader may be off by a last digit, as `serde_json` is
/// without its `float_roundtrip`, so that neighbours meet or pass each other; what falls by more is no fit's.
fn settle(list: &mut [f64], what: &'static str, range: &'static str) -> Result<(), InputError> {
    for index in 1..list.len() {
        let (before, value) = (list[index - 1], list[index]);
        if before - value > 4.0 * f64::EPSILON * before.abs() {
            return Err(InputError::Value {
                what,
                index,
                value,
                range,
            });
        }
        list[index] = value.max(before);
    }
    Ok(())
}

fn check_points(x: &[f64], y: &[f64]) -> Result<(), InputError> {
    check::not_empty(x.len(), "point")?;
    check::same_length((x.len(), "x"), (y.len(), "y"))?;
    check::finite(x, "x")?;
    check::finite(y, "y")
}

/// Adjacent points that share a fitted value.
struct Block {
    first: f64,
    last: f64,
    sum: f64,
    weight: f64,
}

impl Block {
    fn mean(&self) -> f64 {
        self.sum / self.weight
    }
}

impl IsotonicRegression {
    /// Fit `y` as a non-decreasing function of `x`.
    ///
    /// # Panics
    ///
    /// Panics without points, unless there is one `y` for each `x`, or if a value is not finite.
    pub fn fit(x: &[f64], y: &[f64]) -> Self {
        or_panic(Self::try_fit(x, y))
    }

    /// As [`fit`](Self::fit), with an error in place of a panic.
    ///
    /// # Errors
    ///
    /// Without points, unless there is one `y` for each `x`, or if a value is not finite.
    pub fn try_fit(x: &[f64], y: &[f64]) -> Result<Self, InputError> {
        check_points(x, y)?;
        // By a power of two, which rounds nothing: the sum of large values must be a number.
        let largest = y.iter().fold(0.0, |largest: f64, y| largest.max(y.abs()));
        let scale = match largest * y.len() as f64 {
            sum if sum.is_finite() => 1.0,
            _ => 2f64.powi(-64),
        };
        let mut order: Vec<usize> = (0..x.len()).collect();
        order.sort_by(|a, b| x[*a].total_cmp(&x[*b]));
        let mut blocks: Vec<Block> = Vec::new();
        for tied in order.chunk_by(|a, b| x[*a] == x[*b]) {
            let mut block = Block {
                first: x[tied[0]],
                last: x[tied[0]],
                sum: tied.iter().map(|i| y[*i] * scale).sum(),
                weight: tied.len() as f64,
            };
            while let Some(before) = blocks.pop_if(|before| before.mean() >= block.mean()) {
                block = Block {
                    first: before.first,
                    last: block.last,
                    sum: before.sum + block.sum,
                    weight: before.weight + block.weight,
                };
            }
            blocks.push(block);
        }
        let mut fit = Self {
            x: Vec::with_capacity(2 * blocks.len()),
            y: Vec::with_capacity(2 * blocks.len()),
        };
        for block in &blocks {
            let mean = block.mean() / scale;
            fit.push(block.first, mean);
            if block.last > block.first {
                fit.push(block.last, mean);
            }
        }
        Ok(fit)
    }

    /// Fit the frequency of an event as a non-decreasing function of the probability it was given.
    ///
    /// # Panics
    ///
    /// Panics without predictions, unless there is one outcome for each, or if a probability lies outside [0, 1].
    pub fn fit_event(probability: &[f64], happened: &[bool]) -> Self {
        or_panic(Self::try_fit_event(probability, happened))
    }

    /// As [`fit_event`](Self::fit_event), with an error in place of a panic.
    ///
    /// # Errors
    ///
    /// Without predictions, unless there is one outcome for each, or if a probability lies outside [0, 1].
    pub fn try_fit_event(probability: &[f64], happened: &[bool]) -> Result<Self, InputError> {
        check::probabilities(probability, "probability")?;
        let outcome = |happened: &bool| f64::from(u8::from(*happened));
        let outcomes: Vec<f64> = happened.iter().map(outcome).collect();
        Self::try_fit(probability, &outcomes)
    }

    fn push(&mut self, x: f64, y: f64) {
        self.x.push(x);
        self.y.push(y);
    }

    /// The fit at each of `x`.
    ///
    /// # Panics
    ///
    /// Panics if a value is not finite.
    pub fn apply(&self, x: &[f64]) -> Vec<f64> {
        or_panic(self.try_apply(x))
    }

    /// As [`apply`](Self::apply), with an error in place of a panic.
    ///
    /// # Errors
    ///
    /// If a value is not finite.
    pub fn try_apply(&self, x: &[f64]) -> Result<Vec<f64>, InputError> {
        check::finite(x, "x")?;
        Ok(x.iter()
            .map(|x| interpolate(&self.x, &self.y, *x))
            .collect())
    }

    /// The points between which the fit is linear, with `x` increasing. Of a fit that was read from text, neighbours
    /// that differ in their last digit may have become equal.
    pub fn points(&self) -> impl Iterator<Item = (f64, f64)> {
        self.x.iter().copied().zip(self.y.iter().copied())
    }
}

/// Linear between the points `(x, y)`, constant outside of them; `x` increasing.
pub(super) fn interpolate(x: &[f64], y: &[f64], at: f64) -> f64 {
    let after = x.partition_point(|x| *x < at);
    if after == x.len() {
        return y[after - 1];
    }
    if after == 0 || x[after] == at {
        return y[after];
    }
    let share = share(x[after - 1], x[after], at);
    // Rounding must not leave the values between which it lies, or the fit could fall.
    between(y[after - 1], y[after], share).clamp(y[after - 1], y[after])
}

/// Isotonic regression of each class's probability on whether it is the label, one against the rest, then normalized
/// (Zadrozny & Elkan 2002).
///
/// Probabilities that all become 0 are taken for equal ones.
///
/// ```
/// use blitz_predict::calibration::IsotonicClasses;
///
/// // Class 0 at 0.9 was right once in two, at 0.2 never.
/// let p = [0.9, 0.1, 0.9, 0.1, 0.2, 0.8];
/// let fit = IsotonicClasses::fit(&p, 2, &[0, 1, 1]);
/// assert_eq!(fit.apply(&[0.9, 0.1, 0.2, 0.8]), [0.5, 0.5, 0.0, 1.0]);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct IsotonicClasses {
    /// The fit of each class.
    classes: Vec<IsotonicRegression>,
}

/// What a file says: a fit only once it is checked.
#[derive(Deserialize)]
struct Stored {
    classes: Vec<IsotonicRegression>,
}

impl TryFrom<Stored> for IsotonicClasses {
    type Error = InputError;

    fn try_from(Stored { classes }: Stored) -> Result<Self, InputError> {
        check::not_empty(classes.len(), "class")?;
        for class in &classes {
            check::probabilities(&class.y, "calibrated probability")?;
        }
        Ok(Self { classes })
    }
}

impl IsotonicClasses {
    /// Fit the probabilities of each class, in row-major order `[example, class]`, of examples that training has not
    /// seen.
    ///
    /// # Panics
    ///
    /// Panics without examples, unless there is one label below `classes` for each example, if a probability lies
    /// outside [0, 1], or if those of an example don't sum to 1 (to 1e-4).
    pub fn fit(probabilities: &[f64], classes: usize, labels: &[usize]) -> Self {
        or_panic(Self::try_fit(probabilities, classes, labels))
    }

    /// As [`fit`](Self::fit), with an error in place of a panic.
    ///
    /// # Errors
    ///
    /// Without examples, unless there is one label below `classes` for each example, if a probability lies outside [0,
    /// 1], or if those of an example don't sum to 1 (to 1e-4).
    pub fn try_fit(
        probabilities: &[f64],
        classes: usize,
        labels: &[usize],
    ) -> Result<Self, InputError> {
        let fit = IsotonicRegression::try_fit_event;
        Ok(Self {
            classes: fit_each(probabilities, classes, labels, fit)?,
        })
    }

    /// The calibrated probabilities, in row-major order `[example, class]`.
    ///
    /// # Panics
    ///
    /// Panics unless `probabilities` are whole rows of the classes of the fit, inside [0, 1] and summing to 1.
    pub fn apply(&self, probabilities: &[f64]) -> Vec<f64> {
        or_panic(self.try_apply(probabilities))
    }

    /// As [`apply`](Self::apply), with an error in place of a panic.
    ///
    /// # Errors
    ///
    /// Unless `probabilities` are whole rows of the classes of the fit, inside [0, 1] and summing to 1.
    pub fn try_apply(&self, probabilities: &[f64]) -> Result<Vec<f64>, InputError> {
        apply_each(&self.classes, probabilities, |fit, p| {
            interpolate(&fit.x, &fit.y, p)
        })
    }
}
