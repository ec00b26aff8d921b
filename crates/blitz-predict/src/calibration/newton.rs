//! Newton's method for a smooth convex function of few variables.

use nalgebra::{DMatrix, DVector};

/// The value of a function, its gradient and its Hessian, the last in row-major order.
pub(super) struct Expansion {
    pub(super) value: f64,
    pub(super) gradient: Vec<f64>,
    pub(super) hessian: Vec<f64>,
}

impl Expansion {
    pub(super) fn zero(len: usize) -> Self {
        Self {
            value: 0.0,
            gradient: vec![0.0; len],
            hessian: vec![0.0; len * len],
        }
    }
}

/// Steps after which there is no minimum to be found: quadratic convergence needs ten or so, and the way there some
/// dozens where examples differ by orders of magnitude.
const MAX_STEPS: usize = 200;
/// Below this share of its variable's own curvature, a pivot of the Hessian is noise, and the function flat in some
/// direction.
const FLAT: f64 = 1e-13;

/// The minimum that Newton's method finds from `start`, its steps halved until they go down; `None` if the function is
/// flat in some direction where it arrives, as it is towards a minimum at infinity.
pub(super) fn minimise(
    start: Vec<f64>,
    function: impl Fn(&[f64]) -> Expansion,
) -> Option<Vec<f64>> {
    let mut at = start;
    let mut here = function(&at);
    for _ in 0..MAX_STEPS {
        let step = solve(&here.hessian, &here.gradient)?;
        let slope: f64 = step.iter().zip(&here.gradient).map(|(s, g)| s * g).sum();
        let mut share = 1.0;
        let (next, there) = loop {
            let next: Vec<f64> = at.iter().zip(&step).map(|(x, s)| x - share * s).collect();
            let there = function(&next);
            // At the minimum no step goes down by more than the rounding of a long sum: the whole one is as good as
            // any.
            let rounding = 1e-12 * here.value.abs();
            if there.value <= here.value - 1e-4 * share * slope + rounding {
                break (next, there);
            }
            share *= 0.5;
            if share < 1e-12 {
                return None;
            }
        };
        let small = |(x, s): (&f64, &f64)| (share * s).abs() <= 1e-11 * (1.0 + x.abs());
        let done = next.iter().zip(&step).all(small);
        (at, here) = (next, there);
        if done {
            return at.iter().all(|x| x.is_finite()).then_some(at);
        }
    }
    None
}

/// `A⁻¹ b`, reading A's lower triangle alone; `None` unless A is positive definite.
///
/// In units in which each variable has the curvature 1, so that no choice of units decides what is flat.
fn solve(a: &[f64], b: &[f64]) -> Option<Vec<f64>> {
    let a = DMatrix::from_row_slice(b.len(), b.len(), a);
    if !a.diagonal().iter().all(|d| *d > 0.0 && d.is_finite()) {
        return None;
    }
    let unit = a.diagonal().map(|d| d.sqrt().recip());
    let scaled = DMatrix::from_fn(b.len(), b.len(), |i, j| unit[i] * a[(i, j)] * unit[j]);
    let cholesky = scaled.cholesky()?;
    let pivots = cholesky.l_dirty().diagonal().map(|l| l * l);
    if pivots.min() <= FLAT {
        return None;
    }
    let x = cholesky.solve(&DVector::from_column_slice(b).component_mul(&unit));
    Some(x.component_mul(&unit).as_slice().to_vec())
}

/// Panics unless gradient and Hessian are those of the value: with a wrong value the minimum would still be found, by
/// another way.
#[cfg(test)]
pub(super) fn assert_derivatives(expand: impl Fn(&[f64]) -> Expansion, at: &[f64]) {
    const STEP: f64 = 1e-5;
    let expanded = expand(at);
    let moved = |i: usize, step: f64| {
        let mut moved = at.to_vec();
        moved[i] += step;
        expand(&moved)
    };
    for i in 0..at.len() {
        let (up, down) = (moved(i, STEP), moved(i, -STEP));
        let slope = (up.value - down.value) / (2.0 * STEP);
        assert!((slope - expanded.gradient[i]).abs() < 1e-8, "{i}: {slope}");
        for j in 0..=i {
            let curvature = (up.gradient[j] - down.gradient[j]) / (2.0 * STEP);
            let of_hessian = expanded.hessian[i * at.len() + j];
            assert!((curvature - of_hessian).abs() < 1e-8, "{i}, {j}");
        }
    }
}
