//! A step of IVON, in one pass over mean, gradients, Hessian and momentum.

use super::group::{self, Kernel};
use super::real::{Real, select};
use super::{Elements, Memory, tensor, with_elements};
use crate::kernels::formula::{IvonStep, Precision};

/// The step's numbers.
#[derive(Clone, Copy)]
struct Ivon<R> {
    beta_1: R,
    /// 1 − β₁.
    rest_1: R,
    /// 1 − β₂, and half of it.
    rate: R,
    half_rate: R,
    momentum_weight: R,
    /// −2 λ.
    curvature: R,
    /// δ.
    decay: R,
    clip_radius: R,
    learning_rate: R,
}

impl<R: Real> Ivon<R> {
    fn new(step: IvonStep) -> Self {
        let Precision { scale, shift } = step.precision;
        let rate = 1.0 - step.beta_2;
        Self {
            beta_1: R::from_f64(step.beta_1),
            rest_1: R::from_f64(1.0 - step.beta_1),
            rate: R::from_f64(rate),
            half_rate: R::from_f64(0.5 * rate),
            momentum_weight: R::from_f64(step.momentum_weight),
            curvature: R::from_f64(-2.0 * scale),
            decay: R::from_f64(shift),
            clip_radius: R::from_f64(step.clip_radius.unwrap_or(f64::INFINITY)),
            learning_rate: R::from_f64(step.learning_rate),
        }
    }
}

/// In the order in which the tensor operations compute, so as to get their bits.
impl<R: Real> Kernel<R, 5, 3> for Ivon<R> {
    #[inline(always)]
    fn element(self, [mean, grad, grad_hess, hess, momentum]: [R; 5], _epsilon: R) -> [R; 3] {
        let regularized = hess + self.decay;
        let estimate = grad_hess * (regularized * regularized) * self.curvature;
        let change = estimate - hess;
        let correction = change / regularized * self.half_rate + R::new(1.0);
        let hess = hess + change * self.rate * correction;

        let momentum = momentum * self.beta_1 + grad * self.rest_1;
        let gradient = momentum / self.momentum_weight + mean * self.decay;
        let direction = gradient / (hess + self.decay);
        // Comparisons, which leave a NaN.
        let radius = self.clip_radius;
        let direction = select(direction > radius, radius, direction);
        let direction = select(direction < -radius, -radius, direction);
        [mean - direction * self.learning_rate, hess, momentum]
    }
}

/// Of mean, gradient, the gradient in h, h and momentum: the new mean, h and momentum.
pub(in crate::kernels) fn ivon_step<T: Memory>(inputs: [T; 5], step: IvonStep) -> [T; 3] {
    let [mean, grad, grad_hess, hess, momentum] = &inputs;
    with_elements!(
        [mean, grad, grad_hess, hess, momentum],
        |m, g, gh, h, gm| {
            let outputs = group::map(
                Ivon::new(step),
                None,
                [&m[..], &g[..], &gh[..], &h[..], &gm[..]],
                m.len(),
            );
            outputs.map(|values| tensor(values, mean))
        }
    )
}
