//! Newton's method for a smooth convex function of few variables.

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

/// Steps after which there is no minimum to be found: quadratic convergence needs ten or so.
const MAX_STEPS: usize = 100;
/// Below this share of the largest, a pivot of the Hessian is noise, and the function flat in some direction.
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
        let step = solve(here.hessian.clone(), &here.gradient)?;
        let slope: f64 = step.iter().zip(&here.gradient).map(|(s, g)| s * g).sum();
        let mut share = 1.0;
        let (next, there) = loop {
            let next: Vec<f64> = at.iter().zip(&step).map(|(x, s)| x - share * s).collect();
            let there = function(&next);
            // At the minimum no step goes down by more than the rounding of a long sum: the whole one is as good as any.
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

/// `A⁻¹ b` by Cholesky's decomposition; `None` unless A is positive definite.
fn solve(mut a: Vec<f64>, b: &[f64]) -> Option<Vec<f64>> {
    let n = b.len();
    let largest = (0..n).map(|i| a[i * n + i]).fold(0.0, f64::max);
    for j in 0..n {
        for i in j..n {
            let (row_i, row_j) = (&a[i * n..][..j], &a[j * n..][..j]);
            let inner: f64 = row_i.iter().zip(row_j).map(|(x, y)| x * y).sum();
            let rest = a[i * n + j] - inner;
            if i == j {
                if rest.is_nan() || rest <= FLAT * largest {
                    return None;
                }
                a[j * n + j] = rest.sqrt();
            } else {
                a[i * n + j] = rest / a[j * n + j];
            }
        }
    }
    let mut x = b.to_vec();
    for i in 0..n {
        let known: f64 = (0..i).map(|j| a[i * n + j] * x[j]).sum();
        x[i] = (x[i] - known) / a[i * n + i];
    }
    for i in (0..n).rev() {
        let known: f64 = (i + 1..n).map(|j| a[j * n + i] * x[j]).sum();
        x[i] = (x[i] - known) / a[i * n + i];
    }
    Some(x)
}
