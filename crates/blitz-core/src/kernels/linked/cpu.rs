//! A draw and its KL, and the gradients of both, in one pass over memory that a CPU reads.
#![allow(deprecated)] // ndarray stays supported here.

use std::mem::MaybeUninit;

use blitz_noise::fill::{CHUNK, GROUP};
use blitz_noise::simd::{Body, InstructionSet};
use burn::backend::tensor::FloatTensor;

use super::LinkedKernels;
use crate::kernels::cpu::elementwise::{
    Draw, Map as _, Normal, Terms as _, draw_and_term_gradients,
};
#[cfg(not(target_family = "wasm"))]
use crate::kernels::cpu::group::is_worth_sharing;
use crate::kernels::cpu::group::{Kernel, Made, Total, after, load_groups, map, run_group, store};
use crate::kernels::cpu::real::{Coefficients, Element, Real};
use crate::kernels::cpu::{Elements, Memory, number, scalar, tensor, with_elements};
use crate::kernels::formula::{NoiseSpan, NormalSum, Sum};

/// Implements the linked kernels for a backend whose tensors are [`Memory`].
macro_rules! in_memory {
    ($backend:ty) => {
        impl LinkedKernels for $backend {
            fn draw_and_sum(
                mu: FloatTensor<Self>,
                rho: FloatTensor<Self>,
                noise: NoiseSpan,
                form: NormalSum,
            ) -> (FloatTensor<Self>, FloatTensor<Self>) {
                draw_and_sum(mu, rho, noise, form)
            }

            fn draw_and_sum_backward(
                grad: FloatTensor<Self>,
                sum_grad: FloatTensor<Self>,
                mu: FloatTensor<Self>,
                rho: FloatTensor<Self>,
                noise: NoiseSpan,
                form: NormalSum,
            ) -> (FloatTensor<Self>, FloatTensor<Self>) {
                draw_and_sum_backward(grad, sum_grad, mu, rho, noise, form)
            }

            fn is_known_zero(grad: &FloatTensor<Self>, _zero: Option<&FloatTensor<Self>>) -> bool {
                number(grad) == 0.0
            }
        }
    };
}

#[cfg(feature = "flex")]
in_memory!(burn::backend::Flex);
#[cfg(feature = "ndarray")]
in_memory!(burn::backend::NdArray);

/// A weight and its term.
#[derive(Clone, Copy)]
struct DrawAndTerm<R>(Coefficients<R>);

impl<R: Real> Kernel<R, 2, 2> for DrawAndTerm<R> {
    const RHO: Option<usize> = Some(1);

    #[inline(always)]
    fn element(self, [mu, _rho]: [R; 2], Made { epsilon, scale }: Made<R>) -> [R; 2] {
        [
            Draw::value(mu, &scale, epsilon, &self.0),
            Normal::term(mu, &scale, epsilon, &self.0),
        ]
    }
}

/// The gradients of both. The coefficients have the gradient of the sum in them.
#[derive(Clone, Copy)]
struct DrawAndTermBackward<R>(Coefficients<R>);

impl<R: Real> Kernel<R, 3, 2> for DrawAndTermBackward<R> {
    const RHO: Option<usize> = Some(2);

    #[inline(always)]
    fn element(self, [grad, mu, _rho]: [R; 3], Made { epsilon, scale }: Made<R>) -> [R; 2] {
        draw_and_term_gradients(grad, mu, &scale, epsilon, &self.0).into()
    }
}

fn draw_and_sum<T: Memory>(mu: T, rho: T, noise: NoiseSpan, form: NormalSum) -> (T, T) {
    let coefficients = Sum::Normal(form).coefficients();
    with_elements!([mu, rho], |m, r| {
        let kernel = DrawAndTerm(Coefficients::new(coefficients));
        let (out, sum) = map_and_sum(kernel, noise, [&m, &r], m.len());
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
    let coefficients = Sum::Normal(form.times(number(&sum_grad))).coefficients();
    with_elements!([grad, mu, rho], |g, m, r| {
        let kernel = DrawAndTermBackward(Coefficients::new(coefficients));
        let [mu_grad, rho_grad] = map(kernel, Some(noise), [&g, &m, &r], m.len());
        (tensor(mu_grad, &mu), tensor(rho_grad, &rho))
    })
}

/// The first output of `kernel`, and the sum of the second.
fn map_and_sum<E, K, const I: usize>(
    kernel: K,
    noise: NoiseSpan,
    inputs: [&[E]; I],
    len: usize,
) -> (Vec<E>, f64)
where
    E: Element,
    K: Kernel<E::Real, I, 2>,
{
    let mut output = Vec::with_capacity(len);
    let chunk = |start: usize, output: &mut [MaybeUninit<E>]| {
        let end = start + output.len();
        InstructionSet::widest().run(MapAndSumChunk {
            kernel,
            noise: after(Some(noise), start),
            inputs: inputs.map(|input| &input[start..end]),
            output,
        })
    };
    let chunks = &mut output.spare_capacity_mut()[..len];
    let sums = |chunks: &mut [MaybeUninit<E>]| -> Vec<f64> {
        #[cfg(not(target_family = "wasm"))]
        if is_worth_sharing(len) {
            use rayon::prelude::*;
            let chunks = chunks.par_chunks_mut(CHUNK).enumerate();
            return chunks.map(|(i, output)| chunk(i * CHUNK, output)).collect();
        }
        let chunks = chunks.chunks_mut(CHUNK).enumerate();
        chunks.map(|(i, output)| chunk(i * CHUNK, output)).collect()
    };
    let sum = sums(chunks).into_iter().sum();
    // SAFETY: `MapAndSumChunk` writes every element of its output, and the chunks are all of it.
    unsafe { output.set_len(len) };
    (output, sum)
}

struct MapAndSumChunk<'a, E, K, const I: usize> {
    kernel: K,
    noise: Option<NoiseSpan>,
    inputs: [&'a [E]; I],
    output: &'a mut [MaybeUninit<E>],
}

impl<E, K, const I: usize> Body for MapAndSumChunk<'_, E, K, I>
where
    E: Element,
    K: Kernel<E::Real, I, 2>,
{
    type Output = f64;

    #[inline(always)]
    fn run(self) -> f64 {
        let len = self.output.len();
        let mut total = Total::new();
        let mut inputs = [[E::Real::ZERO; GROUP]; I];
        let mut outputs = [[E::Real::ZERO; GROUP]; 2];
        for start in (0..len).step_by(GROUP) {
            load_groups(&mut inputs, &self.inputs, start);
            run_group(self.kernel, after(self.noise, start), &inputs, &mut outputs);
            store(&mut self.output[start..], &outputs[0]);
            total.add(&mut outputs[1], len - start);
        }
        total.finish()
    }
}
