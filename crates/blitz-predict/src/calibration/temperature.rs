//! Temperature scaling: one number that makes a classifier less, or more, sure of itself.

use serde::{Deserialize, Serialize};

use super::stored;
use crate::check;
use crate::distribution::search;
use crate::distribution::softmax::softmax;
use crate::error::{InputError, or_panic};
use crate::numbers::{exponent, times_power_of_two};

/// `softmax(z / T)` (Guo et al. 2017).
///
/// T above 1 flattens the probabilities, below 1 sharpens them; their order, and so the accuracy, stays. T is that of
/// the largest likelihood on held-out examples: the one root of the slope of the NLL, which is convex in `1/T`. It is
/// in the units of the logits, whatever their size: logits times c have c times the temperature.
///
/// The logits may be those of one network, or `ln p` of a predictive mixture; to scale each draw of a mixture, pass
/// [`scale`](Self::scale)d logits to [`CategoricalMixture::from_logits`](crate::CategoricalMixture::from_logits).
///
/// ```
/// use blitz_predict::calibration::TemperatureScaling;
///
/// // Sure with odds of e⁴ : 1, and right three times in four: the odds should be 3 : 1.
/// let logits = [4.0, 0.0].repeat(4);
/// let scaling = TemperatureScaling::fit(&logits, 2, &[0, 0, 1, 0]);
/// assert!((scaling.temperature - 4.0 / 3f64.ln()).abs() < 1e-9);
/// assert!((scaling.apply(&[4.0, 0.0], 2)[0] - 0.75).abs() < 1e-9);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TemperatureScaling {
    /// T, positive and finite.
    #[serde(deserialize_with = "stored::temperature")]
    pub temperature: f64,
}

impl TemperatureScaling {
    /// The temperature of the largest likelihood, from logits in row-major order `[example, class]` that training has
    /// not seen.
    ///
    /// # Panics
    ///
    /// Panics without examples, unless there is one label below `classes` for each example, if a logit is not finite,
    /// or if the likelihood has no maximum at a positive temperature: where every label has the largest logit of its
    /// row, the colder the better, and where the logits predict no better than chance, the hotter.
    pub fn fit(logits: &[f64], classes: usize, labels: &[usize]) -> Self {
        or_panic(Self::try_fit(logits, classes, labels))
    }

    /// As [`fit`](Self::fit), with an error in place of a panic.
    ///
    /// # Errors
    ///
    /// Without examples, unless there is one label below `classes` for each example, if a logit is not finite, or if
    /// the likelihood has no maximum at a positive temperature: where every label has the largest logit of its row, the
    /// colder the better, and where the logits predict no better than chance, the hotter.
    pub fn try_fit(logits: &[f64], classes: usize, labels: &[usize]) -> Result<Self, InputError> {
        check::logits(logits, classes, labels)?;
        let no_optimum = |reason| Err(InputError::NoOptimum { reason });
        let Some(gaps) = Gaps::of(logits, classes) else {
            return no_optimum("every label has the largest logit, so the colder the better");
        };
        let rows = || gaps.values.chunks(classes).zip(labels);
        // At 1/T = 0 the slope is that of equal probabilities, at 1/T = ∞ that of the largest logits.
        let (mut slope_hot, mut slope_cold, mut size) = (0.0, 0.0, 0.0);
        for (row, label) in rows() {
            let mean = row.iter().sum::<f64>() / classes as f64;
            slope_hot += row[*label] - mean;
            slope_cold += row[*label];
            size += row[*label] + mean;
        }
        if slope_cold <= 0.0 {
            return no_optimum("every label has the largest logit, so the colder the better");
        }
        if slope_hot >= -ROUNDING * size {
            return no_optimum(
                "the logits predict no better than chance, so the hotter the better",
            );
        }
        // By the logarithm of 1/T, since rows may differ in their scale by any factor.
        let slope = |log: f64| {
            let inverse = log.exp();
            rows()
                .map(|(row, label)| {
                    let weighted = row.iter().map(|gap| ((-inverse * gap).exp(), gap));
                    let (sum, product) = weighted.fold((0.0, 0.0), |(sum, product), (w, gap)| {
                        (sum + w, product + w * gap)
                    });
                    row[*label] - product / sum
                })
                .sum::<f64>()
        };
        let (mut lower, mut upper, mut step) = (0.0f64, 0.0f64, 1.0);
        while slope(upper) < 0.0 && upper < WIDEST {
            upper = (upper + step).min(WIDEST);
            step *= 2.0;
        }
        while slope(lower) > 0.0 && lower > -WIDEST {
            lower = (lower - step).max(-WIDEST);
            step *= 2.0;
        }
        let log = search::between(slope, 0.0, lower, upper, search::Places::REAL);
        let temperature = times_power_of_two((-log).exp(), gaps.exponent);
        if slope(upper) >= 0.0 && temperature > 0.0 && temperature.is_finite() {
            return Ok(Self { temperature });
        }
        no_optimum("it lies at a temperature beyond the numbers of f64")
    }

    /// [`fit`](Self::fit) of two classes with a single logit `z = ln p/(1 − p)` each, such as the output of a Bernoulli likelihood; a label says whether it
    /// is the class of the logit.
    ///
    /// ```
    /// use blitz_predict::calibration::TemperatureScaling;
    ///
    /// // Sure with odds of e⁴ : 1, and right three times in four.
    /// let scaling = TemperatureScaling::fit_binary(&[4.0; 4], &[true, true, false, true]);
    /// assert!((scaling.temperature - 4.0 / 3f64.ln()).abs() < 1e-9);
    /// assert!((scaling.apply_binary(&[4.0])[0] - 0.75).abs() < 1e-9);
    /// ```
    ///
    /// # Panics
    ///
    /// As [`fit`](Self::fit).
    pub fn fit_binary(logits: &[f64], labels: &[bool]) -> Self {
        or_panic(Self::try_fit_binary(logits, labels))
    }

    /// As [`fit_binary`](Self::fit_binary), with an error in place of a panic.
    ///
    /// # Errors
    ///
    /// As [`try_fit`](Self::try_fit).
    pub fn try_fit_binary(logits: &[f64], labels: &[bool]) -> Result<Self, InputError> {
        let labels: Vec<_> = labels.iter().map(|label| usize::from(*label)).collect();
        Self::try_fit(&of_two_classes(logits), 2, &labels)
    }

    /// The calibrated probabilities `σ(z / T)` of the class of a single logit.
    ///
    /// # Panics
    ///
    /// As [`apply`](Self::apply).
    pub fn apply_binary(&self, logits: &[f64]) -> Vec<f64> {
        or_panic(self.try_apply_binary(logits))
    }

    /// As [`apply_binary`](Self::apply_binary), with an error in place of a panic.
    ///
    /// # Errors
    ///
    /// As [`try_apply`](Self::try_apply).
    pub fn try_apply_binary(&self, logits: &[f64]) -> Result<Vec<f64>, InputError> {
        if logits.is_empty() {
            return Ok(Vec::new());
        }
        let both = self.try_apply(&of_two_classes(logits), 2)?;
        Ok(both.into_iter().skip(1).step_by(2).collect())
    }

    /// The logits over T.
    pub fn scale(&self, logits: &[f64]) -> Vec<f64> {
        logits.iter().map(|z| z / self.temperature).collect()
    }

    /// The calibrated probabilities, in row-major order `[example, class]` as the logits.
    ///
    /// # Panics
    ///
    /// Panics unless the logits are finite and whole rows of `classes`, if T is not positive and finite, or if a logit
    /// over T overflows.
    pub fn apply(&self, logits: &[f64], classes: usize) -> Vec<f64> {
        or_panic(self.try_apply(logits, classes))
    }

    /// As [`apply`](Self::apply), with an error in place of a panic.
    ///
    /// # Errors
    ///
    /// Unless the logits are finite and whole rows of `classes`, if T is not positive and finite, or if a logit over T
    /// overflows.
    pub fn try_apply(&self, logits: &[f64], classes: usize) -> Result<Vec<f64>, InputError> {
        check::rows(logits.len(), classes)?;
        check::finite(logits, "logit")?;
        // A file may hold any number.
        if !(self.temperature > 0.0 && self.temperature.is_finite()) {
            return Err(InputError::Setting {
                what: "a temperature",
                value: self.temperature,
                range: "positive and finite",
            });
        }
        let scaled = self.scale(logits);
        check::finite(&scaled, "logit over the temperature")?;
        Ok(softmax(scaled, classes))
    }
}

/// The logits of both classes of each example: a softmax of 0 and z is a logistic function of z.
fn of_two_classes(logits: &[f64]) -> Vec<f64> {
    logits.iter().flat_map(|z| [0.0, *z]).collect()
}

/// The share of a slope that may be rounding of its sum.
const ROUNDING: f64 = 1e-12;
/// The largest logarithm of 1/T, up or down: its exponential is a number of f64.
const WIDEST: f64 = 700.0;

/// How far each logit lies below the largest of its row, in units of a power of two that brings the largest distance to
/// order 1.
///
/// Distances, since an offset of a row changes no probability and must not cost their precision.
struct Gaps {
    values: Vec<f64>,
    exponent: i32,
}

impl Gaps {
    /// None if all logits of each row are equal.
    fn of(logits: &[f64], classes: usize) -> Option<Self> {
        // Of order 1 before they are subtracted, which could overflow.
        let size = exponent(logits)?;
        let mut values = Vec::with_capacity(logits.len());
        for row in logits.chunks(classes) {
            let row = row.iter().map(|z| times_power_of_two(*z, -size));
            let top = row.clone().fold(f64::NEG_INFINITY, f64::max);
            values.extend(row.map(|z| top - z));
        }
        let widest = exponent(&values)?;
        for gap in &mut values {
            *gap = times_power_of_two(*gap, -widest);
        }
        Some(Self {
            values,
            exponent: size + widest,
        })
    }
}
