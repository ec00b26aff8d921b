//! The search for the prior precision, and the noise, of largest marginal likelihood.

use super::super::error::LaplaceError;

/// `ln p(data | λ)` by Laplace, in nats, of weights of that squared norm whose loss has a curvature of these
/// eigenvalues.
pub(in crate::methods::laplace) fn log_evidence<'a>(
    log_likelihood: f64,
    squared_norm: f64,
    curvature: impl Iterator<Item = &'a f64>,
    precision: f64,
) -> f64 {
    // Each weight's ½ ln λ and its determinant's in one, which keeps digits where λ is large.
    let occam: f64 = curvature.map(|e| -(e / precision).ln_1p()).sum();
    log_likelihood - 0.5 * precision * squared_norm + 0.5 * occam
}

/// The range searched, as the natural logarithm of the precision: 10⁻¹² to 10¹².
const RANGE: f64 = 27.631_021_115_928_547;
const GRID: usize = 112;

/// The precision in [10⁻¹², 10¹²] at which `evidence` is largest: a grid in the logarithm, then golden sections about
/// its best point.
///
/// A finite grid's best point at an end means that the evidence goes on growing there.
pub(in crate::methods::laplace) fn best_precision(
    evidence: impl Fn(f64) -> f64,
) -> Result<f64, LaplaceError> {
    let step = 2.0 * RANGE / GRID as f64;
    let at = |log: f64| {
        let value = evidence(log.exp());
        if value.is_nan() {
            f64::NEG_INFINITY
        } else {
            value
        }
    };
    let best = (0..=GRID)
        .map(|i| (i, at(i as f64 * step - RANGE)))
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .map_or(0, |(i, _)| i);
    if best == 0 || best == GRID {
        return Err(LaplaceError::NoOptimum {
            reason: "it still grows where the prior precision leaves [1e-12, 1e12]",
        });
    }
    let (mut low, mut high) = (
        (best - 1) as f64 * step - RANGE,
        (best + 1) as f64 * step - RANGE,
    );
    let golden = (5f64.sqrt() - 1.0) / 2.0;
    // Near a maximum f64 tells points apart to the root of its precision: forty sections get there.
    for _ in 0..40 {
        let width = golden * (high - low);
        let (left, right) = (high - width, low + width);
        if at(left) < at(right) {
            low = left;
        } else {
            high = right;
        }
    }
    Ok((0.5 * (low + high)).exp())
}

/// The noises' variances and the prior precision that MacKay's fixed point comes to from these; `next` makes the next
/// ones of the last.
pub(in crate::methods::laplace) fn fixed_point(
    mut noises: Vec<f64>,
    mut precision: f64,
    next: impl Fn(&[f64], f64) -> (Vec<f64>, f64),
) -> Result<(Vec<f64>, f64), LaplaceError> {
    for _ in 0..10_000 {
        let (next_noises, next_precision) = next(&noises, precision);
        let usable = |value: &f64| *value > 1e-12 && *value < 1e12;
        if !usable(&next_precision) || !next_noises.iter().all(usable) {
            return Err(LaplaceError::NoOptimum {
                reason: "the noise or the prior precision leaves [1e-12, 1e12]",
            });
        }
        let close = |a: f64, b: f64| (a / b - 1.0).abs() < 1e-12;
        let mut pairs = next_noises.iter().zip(&noises);
        let done = pairs.all(|(a, b)| close(*a, *b)) && close(next_precision, precision);
        (noises, precision) = (next_noises, next_precision);
        if done {
            return Ok((noises, precision));
        }
    }
    Err(LaplaceError::NoOptimum {
        reason: "MacKay's fixed point did not settle in 10,000 steps",
    })
}
