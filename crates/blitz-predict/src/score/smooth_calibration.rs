//! The smooth calibration error: a calibration error without bins (Błasiok & Nakkiran 2024).

use std::f64::consts::PI;

use super::brier::indicator;
use crate::check;
use crate::error::{InputError, or_panic};

/// The smooth calibration error of Błasiok & Nakkiran (2024): the σ at which `smECE_σ = σ`.
///
/// `smECE_σ = ∫₀¹ |1/n Σ_i (y_i − p_i) K_σ(t, p_i)| dt`, where K is a Gaussian of deviation σ that 0 and 1 reflect
/// ([`smooth_calibration_error_at`]). It falls as σ rises, so that exactly one σ fits the size of the error itself: no
/// number of bins is chosen, and no confidence is near an edge.
///
/// In [0, 1], lower is better. Up to a constant factor it is the least distance to calibrated predictions. As any
/// calibration error it is above zero in expectation for a finite sample of calibrated predictions. A σ below 10⁻³ is
/// not looked for: below it the value is `smECE` at 10⁻³, which is too low by less than that.
///
/// ```
/// use blitz_predict::score::smooth_calibration_error;
///
/// // All at 0.7 and half of them right: wherever the 0.2 are smeared to, they have one sign.
/// let error = smooth_calibration_error(&[0.7; 10], &[[true; 5], [false; 5]].concat());
/// assert!((error - 0.2).abs() < 1e-9);
/// // Neighbours on both sides of ½ are neighbours here; by two bins the error is ½.
/// let near = smooth_calibration_error(&[0.499, 0.501], &[true, false]);
/// assert!(near < 0.05);
/// ```
///
/// # Panics
///
/// As [`expected_calibration_error`](super::expected_calibration_error), but for the bins.
pub fn smooth_calibration_error(confidence: &[f64], correct: &[bool]) -> f64 {
    or_panic(try_smooth_calibration_error(confidence, correct))
}

/// As [`smooth_calibration_error`], with an error in place of a panic.
///
/// # Errors
///
/// As [`try_expected_calibration_error`](super::try_expected_calibration_error), but for the bins.
pub fn try_smooth_calibration_error(
    confidence: &[f64],
    correct: &[bool],
) -> Result<f64, InputError> {
    let mut residuals = Residuals::of(confidence, correct)?;
    let (mut below, mut above) = (NARROWEST, 1.0);
    // From wide to narrow: a narrow kernel costs more, and is needed only if the error is small.
    while below == NARROWEST && above >= 4.0 * NARROWEST {
        (below, above) = residuals.halve(below, above);
    }
    if below == NARROWEST {
        let narrowest = residuals.error(NARROWEST);
        if narrowest < NARROWEST {
            return Ok(narrowest);
        }
    }
    while above - below > 1e-11 {
        (below, above) = residuals.halve(below, above);
    }
    Ok(residuals.error(above))
}

/// [`smooth_calibration_error`] at a `bandwidth` σ of your own: `∫₀¹ |1/n Σ_i (y_i − p_i) K_σ(t, p_i)| dt`.
///
/// ```
/// use blitz_predict::score::{smooth_calibration_error, smooth_calibration_error_at};
///
/// let (p, y) = ([0.6, 0.7, 0.9, 0.95], [false, true, true, false]);
/// let error = smooth_calibration_error(&p, &y);
/// assert!((smooth_calibration_error_at(&p, &y, error) - error).abs() < 1e-9);
/// // The wider the kernel, the more errors of opposite sign cancel.
/// assert!(smooth_calibration_error_at(&p, &y, 0.05) > smooth_calibration_error_at(&p, &y, 0.5));
/// ```
///
/// # Panics
///
/// As [`smooth_calibration_error`], and unless the bandwidth lies inside [10⁻³, 1].
pub fn smooth_calibration_error_at(confidence: &[f64], correct: &[bool], bandwidth: f64) -> f64 {
    or_panic(try_smooth_calibration_error_at(
        confidence, correct, bandwidth,
    ))
}

/// As [`smooth_calibration_error_at`], with an error in place of a panic.
///
/// # Errors
///
/// As [`try_smooth_calibration_error`], and unless the bandwidth lies inside [10⁻³, 1].
pub fn try_smooth_calibration_error_at(
    confidence: &[f64],
    correct: &[bool],
    bandwidth: f64,
) -> Result<f64, InputError> {
    if !(NARROWEST..=1.0).contains(&bandwidth) {
        return Err(InputError::Setting {
            what: "a bandwidth",
            value: bandwidth,
            range: "inside [0.001, 1]",
        });
    }
    Ok(Residuals::of(confidence, correct)?.error(bandwidth))
}

/// The narrowest kernel. The cost is of order 1/σ².
const NARROWEST: f64 = 1e-3;
/// Points for each σ between which a sign of the smoothed residual is looked for.
const POINTS: f64 = 8.0;

/// What predictions miss, as a function of the confidence, by its cosine series.
///
/// Smoothing with a reflected Gaussian is heat that flows in an insulated rod: it damps the k-th cosine by `exp(−π² k²
/// σ²/2)`, exactly.
struct Residuals {
    /// `(p_i, y_i − p_i)` of each prediction.
    points: Vec<(f64, f64)>,
    /// `1/n Σ_i (y_i − p_i) cos(π k p_i)`, as far as they have been needed.
    cosines: Vec<f64>,
}

impl Residuals {
    fn of(confidence: &[f64], correct: &[bool]) -> Result<Self, InputError> {
        check::not_empty(confidence.len(), "prediction")?;
        check::same_length(
            (confidence.len(), "confidences"),
            (correct.len(), "outcomes"),
        )?;
        check::probabilities(confidence, "confidence")?;
        let pairs = confidence.iter().zip(correct);
        let points = pairs.map(|(p, correct)| (*p, indicator(*correct) - p));
        Ok(Self {
            points: points.collect(),
            cosines: Vec::new(),
        })
    }

    /// The half of the range in which `smECE_σ = σ`.
    fn halve(&mut self, below: f64, above: f64) -> (f64, f64) {
        let middle = 0.5 * (below + above);
        if self.error(middle) >= middle {
            (middle, above)
        } else {
            (below, middle)
        }
    }

    /// `smECE_σ`.
    fn error(&mut self, sigma: f64) -> f64 {
        // Above this k a cosine is damped to less than the rounding of the first.
        let terms = (8.6 / (PI * sigma)).ceil() as usize + 1;
        for k in self.cosines.len()..terms {
            let k = PI * k as f64;
            let sum: f64 = self.points.iter().map(|(p, r)| r * (k * p).cos()).sum();
            self.cosines.push(sum / self.points.len() as f64);
        }
        let damped = self.cosines[..terms].iter().enumerate().map(|(k, c)| {
            let exponent = PI * k as f64 * sigma;
            let both_sides = if k == 0 { 1.0 } else { 2.0 };
            both_sides * c * (-0.5 * exponent * exponent).exp()
        });
        let smooth = Series(damped.collect());
        let steps = (POINTS / sigma).ceil() as usize;
        let (mut area, mut from) = (0.0, 0.0);
        let mut before = (0.0, smooth.value(0.0));
        for step in 1..=steps {
            let at = step as f64 / steps as f64;
            let here = (at, smooth.value(at));
            if before.1 * here.1 < 0.0 {
                let zero = smooth.zero(before, here);
                area += smooth.integral(from, zero).abs();
                from = zero;
            }
            before = here;
        }
        area + smooth.integral(from, 1.0).abs()
    }
}

/// `Σ_k a_k cos(π k t)`.
struct Series(Vec<f64>);

impl Series {
    /// By Clenshaw's recurrence, without a cosine for each term.
    fn value(&self, t: f64) -> f64 {
        let cosine = (PI * t).cos();
        let (mut next, mut after) = (0.0, 0.0);
        for a in self.0[1..].iter().rev() {
            (next, after) = (a + 2.0 * cosine * next - after, next);
        }
        self.0[0] + cosine * next - after
    }

    fn integral(&self, from: f64, to: f64) -> f64 {
        let mut sum = self.0[0] * (to - from);
        for (k, a) in self.0.iter().enumerate().skip(1) {
            let k = PI * k as f64;
            sum += a * ((k * to).sin() - (k * from).sin()) / k;
        }
        sum
    }

    /// Between two points whose values have opposite signs, by halving.
    fn zero(&self, (mut a, at_a): (f64, f64), (mut b, _): (f64, f64)) -> f64 {
        // An error of its place changes the area by its square.
        for _ in 0..24 {
            let middle = 0.5 * (a + b);
            if self.value(middle) * at_a > 0.0 {
                a = middle;
            } else {
                b = middle;
            }
        }
        0.5 * (a + b)
    }
}
