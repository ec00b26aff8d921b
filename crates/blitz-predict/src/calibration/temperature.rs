//! Temperature scaling: one number that makes a classifier less, or more, sure of itself.

use serde::{Deserialize, Serialize};

use super::newton::{Expansion, minimise};
use crate::check;
use crate::distribution::softmax::{log_softmax, softmax};
use crate::error::{InputError, or_panic};

/// `softmax(z / T)` (Guo et al. 2017).
///
/// T above 1 flattens the probabilities, below 1 sharpens them; their order, and so the accuracy, stays. T is that of the
/// largest likelihood on held-out examples, found by Newton's method in `1/T`, in which the NLL is convex.
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
    pub temperature: f64,
}

impl TemperatureScaling {
    /// The temperature of the largest likelihood, from logits in row-major order `[example, class]` that training has not
    /// seen.
    ///
    /// # Panics
    ///
    /// Panics without examples, unless there is one label below `classes` for each example, if a logit is not finite, or if
    /// the likelihood has no maximum at a positive temperature: where every label has the largest logit of its row, the
    /// colder the better, and where the logits predict no better than chance, the hotter.
    pub fn fit(logits: &[f64], classes: usize, labels: &[usize]) -> Self {
        or_panic(Self::try_fit(logits, classes, labels))
    }

    /// As [`fit`](Self::fit), with an error in place of a panic.
    pub fn try_fit(logits: &[f64], classes: usize, labels: &[usize]) -> Result<Self, InputError> {
        check::logits(logits, classes, labels)?;
        let rows = || logits.chunks(classes).zip(labels);
        // The slope in 1/T is Σ E_p[z] − z_label: at T = ∞ over equal probabilities, at T = 0 over the largest logit.
        let largest = |row: &[f64]| row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let (mut slope_hot, mut slope_cold) = (0.0, 0.0);
        for (row, label) in rows() {
            // Relative to the largest, so that no offset of a row costs precision.
            let top = largest(row);
            let label = row[*label] - top;
            slope_hot += row.iter().map(|z| z - top).sum::<f64>() / classes as f64 - label;
            slope_cold -= label;
        }
        let no_optimum = |reason| Err(InputError::NoOptimum { reason });
        if slope_cold <= 0.0 {
            return no_optimum("every label has the largest logit, so the colder the better");
        }
        if slope_hot >= 0.0 {
            return no_optimum(
                "the logits predict no better than chance, so the hotter the better",
            );
        }
        let minimum = minimise(vec![1.0], |inverse| {
            let mut nll = Expansion::zero(1);
            let mut scaled = vec![0.0; classes];
            for (row, label) in rows() {
                let top = largest(row);
                for (scaled, z) in scaled.iter_mut().zip(row) {
                    *scaled = inverse[0] * (z - top);
                }
                log_softmax(&mut scaled);
                let moments = scaled
                    .iter()
                    .zip(row)
                    .map(|(log_p, z)| (log_p.exp(), z - top));
                let mean: f64 = moments.clone().map(|(p, z)| p * z).sum();
                nll.value -= scaled[*label];
                nll.gradient[0] += mean - (row[*label] - top);
                nll.hessian[0] += moments.map(|(p, z)| p * (z - mean).powi(2)).sum::<f64>();
            }
            nll
        });
        match minimum {
            Some(inverse) => Ok(Self {
                temperature: 1.0 / inverse[0],
            }),
            None => no_optimum("it is flat to rounding, the logits may be too large"),
        }
    }

    /// The logits over T.
    pub fn scale(&self, logits: &[f64]) -> Vec<f64> {
        logits.iter().map(|z| z / self.temperature).collect()
    }

    /// The calibrated probabilities, in row-major order `[example, class]` as the logits.
    ///
    /// # Panics
    ///
    /// Panics unless the logits are finite and whole rows of `classes`.
    pub fn apply(&self, logits: &[f64], classes: usize) -> Vec<f64> {
        or_panic(self.try_apply(logits, classes))
    }

    /// As [`apply`](Self::apply), with an error in place of a panic.
    pub fn try_apply(&self, logits: &[f64], classes: usize) -> Result<Vec<f64>, InputError> {
        check::rows(logits.len(), classes)?;
        check::finite(logits, "logit")?;
        Ok(softmax(self.scale(logits), classes))
    }
}
