//! Whether the gradient of a density is that of its values: along a direction, both say how steep it is.
//!
//! A likelihood may have a gradient of its own for training, as the β-NLL has, or a layer may stop gradients on their
//! way. Chains that follow such a gradient don't stay on the level of their Hamiltonian.

use blitz_train::blitz_core::noise::{NoiseKey, layout};
use nuts_rs::rand::Rng;

use super::jitter;
use crate::error::McmcError;

/// How far the positions lie from the start at most, for each weight. The start itself is no place to look: there a
/// weight of 0 may be the kink of a prior or of a ReLU, and a deviation of 1 hides its exponent.
const JITTERS: [f64; 3] = [0.5, 0.1, 0.02];

/// The step of a difference.
const STEP: f64 = 1e-4;

/// The share of the gradient that is let pass: a step over kinks leaves less.
const TOLERANCE: f64 = 1e-3;

/// What a difference may be off by without an end of its digits, as a share of the density.
const ROUNDING: f64 = 1e-12;

/// Refuses a density if values and gradient disagree at two of three positions near `start`; by chance a kink may lie
/// at one.
pub(super) fn check(
    start: &[f64],
    mut evaluate: impl FnMut(&[f64], &mut [f64]) -> f64,
) -> Result<(), McmcError> {
    let (mut agree, mut disagree) = (0, 0);
    for (number, size) in (0..).zip(JITTERS) {
        // A constant, so that a density is refused or taken each time.
        let mut rng = NoiseKey::new(layout::NUTS, number, 2).rng();
        let Some(slopes) = Slopes::near(start, size, &mut rng, &mut evaluate) else {
            continue;
        };
        if slopes.agree() {
            agree += 1;
        } else {
            disagree += 1;
        }
        if agree == 2 {
            break;
        }
        if disagree == 2 {
            return Err(McmcError::Gradient {
                of_gradient: slopes.of_gradient,
                of_values: slopes.of_values,
            });
        }
    }
    Ok(())
}

/// How steep a density is along a direction.
struct Slopes {
    of_gradient: f64,
    of_values: f64,
    /// How far they may be from each other.
    allowed: f64,
}

impl Slopes {
    /// None where they say nothing: where the density is no number or flat, or where it bends within a step.
    fn near(
        start: &[f64],
        size: f64,
        rng: &mut impl Rng,
        evaluate: &mut impl FnMut(&[f64], &mut [f64]) -> f64,
    ) -> Option<Self> {
        let position: Vec<f64> = start.iter().map(|w| w + size * jitter(rng)).collect();
        let mut gradient = vec![0.0; start.len()];
        evaluate(&position, &mut gradient);
        let norm = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
        if !(norm > 0.0 && norm.is_finite()) {
            return None;
        }
        // Up the gradient, where a wrong size of it shows, and along all weights, where one that is missing does.
        let even = (start.len() as f64).sqrt().recip();
        let direction = gradient
            .iter()
            .map(|g| g / norm + even.copysign(jitter(rng)));
        let direction: Vec<f64> = direction.collect();
        let of_gradient = gradient.iter().zip(&direction).map(|(g, d)| g * d).sum();

        let mut largest = 0.0f64;
        let mut unused = vec![0.0; start.len()];
        let mut slope = |step: f64| {
            let mut at = |step: f64| {
                let moved = position.iter().zip(&direction).map(|(w, d)| w + step * d);
                let value = evaluate(&moved.collect::<Vec<_>>(), &mut unused);
                largest = largest.max(value.abs());
                value
            };
            (at(step) - at(-step)) / (2.0 * step)
        };
        let (far, of_values) = (slope(STEP), slope(0.5 * STEP));
        // The nearer one is off by a third of this if the density is smooth.
        let bend = (far - of_values).abs();
        let allowed = TOLERANCE * norm + 10.0 * bend + ROUNDING * largest / STEP;
        // Of a NaN it is false.
        (allowed < 0.1 * norm).then_some(Self {
            of_gradient,
            of_values,
            allowed,
        })
    }

    fn agree(&self) -> bool {
        (self.of_gradient - self.of_values).abs() <= self.allowed
    }
}
