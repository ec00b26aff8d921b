//! A step of Adam, in one pass over weight, gradient and moments.

use super::group::{Kernel, Made, update};
use super::real::Real;
use super::update::{AdamNumbers, adam};
use super::{Elements, ElementsMut, Memory};
use crate::kernels::formula::AdamStep;

#[derive(Clone, Copy)]
struct Adam<R: Real>(AdamNumbers<R>);

impl<R: Real> Kernel<R, 4, 3> for Adam<R> {
    #[inline(always)]
    fn element(self, [weight, grad, moment_1, moment_2]: [R; 4], _made: Made<R>) -> [R; 3] {
        adam(weight, grad, moment_1, moment_2, &self.0).into()
    }
}

/// The new weight lies where the gradient lay.
pub(super) fn adam_step<T: Memory>(
    weight: T,
    mut grad: T,
    mut moment_1: T,
    mut moment_2: T,
    step: AdamStep,
) -> (T, T, T) {
    macro_rules! update {
        ($weight:expr, $grad:expr, $moment_1:expr, $moment_2:expr) => {{
            let kernel = Adam(AdamNumbers {
                beta_1: Real::new(step.beta_1),
                rest_1: Real::new(1.0 - step.beta_1),
                beta_2: Real::new(step.beta_2),
                rest_2: Real::new(1.0 - step.beta_2),
                correction: Real::new(step.combined_correction()),
                epsilon: Real::new(step.epsilon * step.root_correction()),
                learning_rate: Real::from_f64(step.learning_rate),
            });
            update(kernel, &$weight, [$grad, $moment_1, $moment_2])
        }};
    }
    let (old, moments) = (
        weight.elements(),
        (moment_1.elements_mut(), moment_2.elements_mut()),
    );
    match (old, grad.elements_mut(), moments) {
        (Elements::F32(w), ElementsMut::F32(g), (ElementsMut::F32(m), ElementsMut::F32(v))) => {
            update!(w, g, m, v)
        }
        (Elements::F64(w), ElementsMut::F64(g), (ElementsMut::F64(m), ElementsMut::F64(v))) => {
            update!(w, g, m, v)
        }
        (Elements::F16(w), ElementsMut::F16(g), (ElementsMut::F16(m), ElementsMut::F16(v))) => {
            update!(w, g, m, v)
        }
        (Elements::Bf16(w), ElementsMut::Bf16(g), (ElementsMut::Bf16(m), ElementsMut::Bf16(v))) => {
            update!(w, g, m, v)
        }
        _ => panic!(
            "a step of Adam needs a weight, a gradient and moments of one element type, got a weight of {:?}",
            weight.dtype()
        ),
    }
    (grad, moment_1, moment_2)
}
