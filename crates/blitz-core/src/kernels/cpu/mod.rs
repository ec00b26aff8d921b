//! The fused operations on backends whose tensors are memory that a CPU reads.

mod elementwise;
#[cfg(feature = "flex")]
mod flex;
mod group;
#[cfg(feature = "ndarray")]
mod ndarray;
mod real;

use std::borrow::Cow;
use std::marker::PhantomData;

use burn::backend::TensorMetadata;
use burn::tensor::{TensorData, bf16, f16};

use self::elementwise::*;
use self::group::{map, map_and_sum, sum, update};
use self::real::{Element, Real};
use super::formula::{AdamStep, NoiseSpan, NormalSum, SMALLEST_VARIANCE, ScaleMixture, Spread};

/// A backend's tensor, in memory.
trait Memory: TensorMetadata {
    /// Its elements in row-major order: where they lie, if they lie in that order.
    fn elements(&self) -> Elements<'_>;

    /// The same to write over, after a copy if somebody else holds them or they lie in another order.
    fn elements_mut(&mut self) -> ElementsMut<'_>;

    fn from_data(data: TensorData) -> Self;
}

/// The elements of a tensor, of whichever type they are.
enum Elements<'a> {
    F32(Cow<'a, [f32]>),
    F64(Cow<'a, [f64]>),
    F16(Cow<'a, [f16]>),
    Bf16(Cow<'a, [bf16]>),
}

/// The elements of a tensor, to write over.
enum ElementsMut<'a> {
    F32(&'a mut [f32]),
    F64(&'a mut [f64]),
    F16(&'a mut [f16]),
    Bf16(&'a mut [bf16]),
}

/// Evaluates an expression with slices of the elements of some tensors, whatever their type, which has to be the same.
macro_rules! with_elements {
    ([$($tensor:ident),*], |$($slice:ident),*| $result:expr) => {
        match [$($tensor.elements()),*] {
            [$(Elements::F32($slice)),*] => $result,
            [$(Elements::F64($slice)),*] => $result,
            [$(Elements::F16($slice)),*] => $result,
            [$(Elements::Bf16($slice)),*] => $result,
            #[allow(unreachable_patterns)] // Of a single tensor.
            _ => panic!(
                "a fused operation needs tensors of one element type, got {:?}",
                [$($tensor.dtype()),*]
            ),
        }
    };
}

/// The same, with the first tensor to write over.
macro_rules! with_elements_mut {
    ($target:ident, [$($tensor:ident),*], |$slice_mut:ident, $($slice:ident),*| $result:expr) => {{
        let dtype = $target.dtype();
        match ($target.elements_mut(), [$($tensor.elements()),*]) {
            (ElementsMut::F32($slice_mut), [$(Elements::F32($slice)),*]) => $result,
            (ElementsMut::F64($slice_mut), [$(Elements::F64($slice)),*]) => $result,
            (ElementsMut::F16($slice_mut), [$(Elements::F16($slice)),*]) => $result,
            (ElementsMut::Bf16($slice_mut), [$(Elements::Bf16($slice)),*]) => $result,
            _ => panic!(
                "a fused operation needs tensors of one element type, got {:?}",
                [dtype, $($tensor.dtype()),*]
            ),
        }
    }};
}

/// A kernel with these fields.
macro_rules! kernel {
    ($name:ident { $($field:ident: $value:expr),* $(,)? }) => {
        $name { $($field: $value,)* real: PhantomData }
    };
}

// Behind the macro, which it uses.
mod lstm;

fn tensor<T: Memory, E: burn::tensor::Element>(values: Vec<E>, like: &T) -> T {
    T::from_data(TensorData::new(values, like.shape()))
}

/// One number as a tensor of shape `[1]`.
fn scalar<T: Memory>(value: f64, like: &T) -> T {
    T::from_data(TensorData::new(vec![value], [1]).convert_dtype(like.dtype()))
}

fn number<T: Memory>(tensor: &T) -> f64 {
    with_elements!([tensor], |values| values[0].load().to_f64())
}

fn standard_normal<T: Memory>(like: T, noise: NoiseSpan) -> T {
    fn normals<E: Element>(like: &[E], noise: NoiseSpan) -> Vec<E> {
        let kernel = kernel!(StandardNormal { key: noise.key });
        let [out] = map(kernel, noise.first_block, [], like.len());
        out
    }
    with_elements!([like], |elements| tensor(normals(&elements, noise), &like))
}

fn draw<T: Memory>(mu: T, rho: T, noise: NoiseSpan) -> T {
    with_elements!([mu, rho], |m, r| {
        let kernel = kernel!(Draw { key: noise.key });
        let [out] = map(kernel, noise.first_block, [&m, &r], m.len());
        tensor(out, &mu)
    })
}

fn draw_backward<T: Memory>(grad: T, rho: T, noise: NoiseSpan) -> T {
    with_elements!([grad, rho], |g, r| {
        let kernel = kernel!(DrawBackward { key: noise.key });
        let [out] = map(kernel, noise.first_block, [&g, &r], r.len());
        tensor(out, &rho)
    })
}

fn normal_sum<T: Memory>(mu: T, rho: T, form: NormalSum) -> T {
    with_elements!([mu, rho], |m, r| {
        let kernel = kernel!(NormalTerms {
            constant: Real::from_f64(form.constant),
            log_std: Real::from_f64(form.log_std),
            second_moment: Real::from_f64(form.second_moment),
        });
        scalar(sum(kernel, 0, [&m, &r], m.len()), &mu)
    })
}

fn normal_sum_backward<T: Memory>(grad: T, mu: T, rho: T, form: NormalSum) -> (T, T) {
    let grad = number(&grad);
    with_elements!([mu, rho], |m, r| {
        let kernel = kernel!(NormalTermsBackward {
            log_std: Real::from_f64(grad * form.log_std),
            twice_second_moment: Real::from_f64(2.0 * grad * form.second_moment),
        });
        let [mu_grad, rho_grad] = map(kernel, 0, [&m, &r], m.len());
        (tensor(mu_grad, &mu), tensor(rho_grad, &rho))
    })
}

fn draw_and_sum<T: Memory>(mu: T, rho: T, noise: NoiseSpan, form: NormalSum) -> (T, T) {
    with_elements!([mu, rho], |m, r| {
        let kernel = kernel!(DrawAndTerms {
            key: noise.key,
            constant: Real::from_f64(form.constant),
            log_std: Real::from_f64(form.log_std),
            second_moment: Real::from_f64(form.second_moment),
        });
        let (out, sum) = map_and_sum(kernel, noise.first_block, [&m, &r], m.len());
        (tensor(out, &mu), scalar(sum, &mu))
    })
}

fn draw_and_sum_backward<T: Memory>(
    grad: T,
    sum_grad: T,
    mu: T,
    rho: T,
    noise: NoiseSpan,
    form: NormalSum,
) -> (T, T) {
    let sum_grad = number(&sum_grad);
    with_elements!([grad, mu, rho], |g, m, r| {
        let kernel = kernel!(DrawAndTermsBackward {
            key: noise.key,
            log_std: Real::from_f64(sum_grad * form.log_std),
            twice_second_moment: Real::from_f64(2.0 * sum_grad * form.second_moment),
        });
        let [mu_grad, rho_grad] = map(kernel, noise.first_block, [&g, &m, &r], m.len());
        (tensor(mu_grad, &mu), tensor(rho_grad, &rho))
    })
}

fn mixture_kl<T: Memory>(mu: T, rho: T, noise: NoiseSpan, prior: ScaleMixture) -> T {
    with_elements!([mu, rho], |m, r| {
        let kernel = kernel!(MixtureTerms {
            key: noise.key,
            prior: Mixture::new(prior),
            half_log_two_pi: Real::from_f64(crate::math::half_log_two_pi()),
        });
        scalar(sum(kernel, noise.first_block, [&m, &r], m.len()), &mu)
    })
}

fn mixture_kl_backward<T: Memory>(
    grad: T,
    mu: T,
    rho: T,
    noise: NoiseSpan,
    prior: ScaleMixture,
) -> (T, T) {
    let grad = number(&grad);
    with_elements!([mu, rho], |m, r| {
        let kernel = kernel!(MixtureTermsBackward {
            key: noise.key,
            prior: Mixture::new(prior),
            grad: Real::from_f64(grad),
        });
        let [mu_grad, rho_grad] = map(kernel, noise.first_block, [&m, &r], m.len());
        (tensor(mu_grad, &mu), tensor(rho_grad, &rho))
    })
}

/// The new weight lies where the gradient lay.
fn adam_step<T: Memory>(
    weight: T,
    mut grad: T,
    mut moment_1: T,
    mut moment_2: T,
    step: AdamStep,
) -> (T, T, T) {
    macro_rules! update {
        ($weight:expr, $grad:expr, $moment_1:expr, $moment_2:expr) => {{
            let kernel = kernel!(Adam {
                beta_1: Real::from_f32(step.beta_1),
                rest_1: Real::from_f32(1.0 - step.beta_1),
                beta_2: Real::from_f32(step.beta_2),
                rest_2: Real::from_f32(1.0 - step.beta_2),
                correction: Real::from_f32(step.combined_correction()),
                epsilon: Real::from_f32(step.epsilon * step.root_correction()),
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

fn spread<T: Memory>(rho: T, spread: Spread) -> T {
    with_elements!([rho], |r| {
        let [out] = match spread {
            Spread::StdDev => map(kernel!(StdDev {}), 0, [&r], r.len()),
            Spread::Variance => map(kernel!(Variance {}), 0, [&r], r.len()),
        };
        tensor(out, &rho)
    })
}

fn spread_backward<T: Memory>(grad: T, rho: T, spread: Spread) -> T {
    with_elements!([grad, rho], |g, r| {
        let [out] = match spread {
            Spread::StdDev => map(kernel!(StdDevBackward {}), 0, [&g, &r], r.len()),
            Spread::Variance => map(kernel!(VarianceBackward {}), 0, [&g, &r], r.len()),
        };
        tensor(out, &rho)
    })
}

fn draw_output<T: Memory>(mean: T, variance: T, noise: NoiseSpan) -> T {
    with_elements!([mean, variance], |m, v| {
        let kernel = kernel!(DrawOutput {
            key: noise.key,
            smallest: Real::from_f64(SMALLEST_VARIANCE),
        });
        let [out] = map(kernel, noise.first_block, [&m, &v], m.len());
        tensor(out, &mean)
    })
}

fn draw_output_backward<T: Memory>(grad: T, variance: T, noise: NoiseSpan) -> T {
    with_elements!([grad, variance], |g, v| {
        let kernel = kernel!(DrawOutputBackward {
            key: noise.key,
            smallest: Real::from_f64(SMALLEST_VARIANCE),
        });
        let [out] = map(kernel, noise.first_block, [&g, &v], v.len());
        tensor(out, &variance)
    })
}

/// Implements the fused operations for a backend whose tensors are [`Memory`].
macro_rules! kernels_in_memory {
    (forward $($name:ident($($tensor:ident),*; $($option:ident: $type:ty),*);)*) => {
        $(
            fn $name($($tensor: FloatTensor<Self>,)* $($option: $type),*) -> FloatTensor<Self> {
                super::$name($($tensor,)* $($option),*)
            }
        )*
    };
    ($backend:ty) => {
        impl crate::kernels::backend::FusedKernels for $backend {
            kernels_in_memory! { forward
                standard_normal(like; noise: NoiseSpan);
                draw(mu, rho; noise: NoiseSpan);
                draw_backward(grad, rho; noise: NoiseSpan);
                normal_sum(mu, rho; form: NormalSum);
                mixture_kl(mu, rho; noise: NoiseSpan, prior: ScaleMixture);
                spread(rho; spread: Spread);
                spread_backward(grad, rho; spread: Spread);
                draw_output(mean, variance; noise: NoiseSpan);
                draw_output_backward(grad, variance; noise: NoiseSpan);
            }

            fn adam_step(
                weight: FloatTensor<Self>,
                grad: FloatTensor<Self>,
                moment_1: FloatTensor<Self>,
                moment_2: FloatTensor<Self>,
                step: AdamStep,
            ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
                super::adam_step(weight, grad, moment_1, moment_2, step)
            }

            fn lstm_cell(
                gates: FloatTensor<Self>,
                cell: FloatTensor<Self>,
            ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
                super::lstm::lstm_cell(gates, cell)
            }

            fn lstm_cell_backward(
                gates: FloatTensor<Self>,
                cells: [FloatTensor<Self>; 2],
                hidden_grad: FloatTensor<Self>,
                cell_grad: FloatTensor<Self>,
            ) -> (FloatTensor<Self>, FloatTensor<Self>) {
                super::lstm::lstm_cell_backward(gates, cells, hidden_grad, cell_grad)
            }

            fn is_known_zero(grad: &FloatTensor<Self>) -> bool {
                super::number(grad) == 0.0
            }

            fn draw_and_sum(
                mu: FloatTensor<Self>,
                rho: FloatTensor<Self>,
                noise: NoiseSpan,
                form: NormalSum,
            ) -> (FloatTensor<Self>, FloatTensor<Self>) {
                super::draw_and_sum(mu, rho, noise, form)
            }

            fn draw_and_sum_backward(
                grad: FloatTensor<Self>,
                sum_grad: FloatTensor<Self>,
                mu: FloatTensor<Self>,
                rho: FloatTensor<Self>,
                noise: NoiseSpan,
                form: NormalSum,
            ) -> (FloatTensor<Self>, FloatTensor<Self>) {
                super::draw_and_sum_backward(grad, sum_grad, mu, rho, noise, form)
            }

            fn normal_sum_backward(
                grad: FloatTensor<Self>,
                mu: FloatTensor<Self>,
                rho: FloatTensor<Self>,
                form: NormalSum,
            ) -> (FloatTensor<Self>, FloatTensor<Self>) {
                super::normal_sum_backward(grad, mu, rho, form)
            }

            fn mixture_kl_backward(
                grad: FloatTensor<Self>,
                mu: FloatTensor<Self>,
                rho: FloatTensor<Self>,
                noise: NoiseSpan,
                prior: ScaleMixture,
            ) -> (FloatTensor<Self>, FloatTensor<Self>) {
                super::mixture_kl_backward(grad, mu, rho, noise, prior)
            }
        }
    };
}

#[cfg(any(feature = "flex", feature = "ndarray"))]
use kernels_in_memory;
