//! A step of IVON, in one pass over mean, gradients, Hessian and momentum.

use super::group::{self, Kernel, Made};
use super::real::Real;
use super::update::{IvonNumbers, ivon};
use super::{Elements, Memory, number, tensor, with_elements};
use crate::kernels::formula::IvonStep;

#[derive(Clone, Copy)]
struct Ivon<R: Real> {
    numbers: IvonNumbers<R>,
    momentum_weight: R,
}

impl<R: Real> Ivon<R> {
    fn new(step: IvonStep, momentum_weight: f64) -> Self {
        let [
            beta_1,
            rest_1,
            rate,
            half_rate,
            curvature,
            decay,
            clip_radius,
            learning_rate,
        ] = step.numbers().map(R::from_f64);
        Self {
            numbers: IvonNumbers {
                beta_1,
                rest_1,
                rate,
                half_rate,
                curvature,
                decay,
                clip_radius,
                learning_rate,
            },
            momentum_weight: R::from_f64(momentum_weight),
        }
    }
}

impl<R: Real> Kernel<R, 5, 3> for Ivon<R> {
    #[inline(always)]
    fn element(self, [mean, grad, grad_hess, hess, momentum]: [R; 5], _made: Made<R>) -> [R; 3] {
        let weight = self.momentum_weight;
        ivon(mean, grad, grad_hess, hess, momentum, weight, &self.numbers).into()
    }
}

/// Of mean, gradient, the gradient in h, h and momentum: the new mean, h and momentum.
pub(super) fn ivon_step<T: Memory>(inputs: [T; 5], momentum_weight: &T, step: IvonStep) -> [T; 3] {
    let weight = number(momentum_weight);
    let [mean, grad, grad_hess, hess, momentum] = &inputs;
    with_elements!(
        [mean, grad, grad_hess, hess, momentum],
        |m, g, gh, h, gm| {
            let outputs = group::map(
                Ivon::new(step, weight),
                None,
                [&m[..], &g[..], &gh[..], &h[..], &gm[..]],
                m.len(),
            );
            outputs.map(|values| tensor(values, mean))
        }
    )
}
