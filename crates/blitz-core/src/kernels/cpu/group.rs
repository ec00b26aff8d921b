//! Elementwise work in groups of 64, with the widest instruction set, over chunks on every core.

#[cfg(test)]
mod tests;

use std::mem::MaybeUninit;

use super::elementwise::Scale;
use super::real::{Element, Real};
use crate::kernels::formula::NoiseSpan;
use blitz_noise::fill::{CHUNK, GROUP, normal_group};
use blitz_noise::simd::{Body, InstructionSet};

/// Groups whose terms are added up in the working precision before they go into an `f64`.
const GROUPS_PER_SUM: usize = 16;

/// What is done to one element, of inputs and of what is made for it.
///
/// `element` has to be `#[inline(always)]`, for the compiler to make vectors of a loop over it.
pub(in crate::kernels) trait Kernel<R: Real, const I: usize, const O: usize>:
    Copy + Send + Sync
{
    /// Which input is a ρ, to make a scale of.
    const RHO: Option<usize> = None;

    fn element(self, inputs: [R; I], made: Made<R>) -> [R; O];
}

/// What is made for an element: ε, and the scale of its ρ. Zeros where there is no noise or no ρ.
#[derive(Clone, Copy)]
pub(in crate::kernels) struct Made<R: Real> {
    pub epsilon: R,
    pub scale: Scale<R>,
}

/// The outputs of `kernel` for all elements of `inputs`, which have `len` each, or none where one is not read. ε is
/// zero without noise.
pub(in crate::kernels) fn map<E, K, const I: usize, const O: usize>(
    kernel: K,
    noise: Option<NoiseSpan>,
    inputs: [&[E]; I],
    len: usize,
) -> [Vec<E>; O]
where
    E: Element,
    K: Kernel<E::Real, I, O>,
{
    let mut outputs: [Vec<E>; O] = std::array::from_fn(|_| Vec::with_capacity(len));
    let chunk = |start: usize, outputs: [&mut [MaybeUninit<E>]; O]| {
        let len = outputs.first().map_or(0, |output| output.len());
        InstructionSet::widest().run(MapChunk {
            kernel,
            noise: after(noise, start),
            inputs: inputs.map(|input| part(input, start, start + len)),
            outputs,
        });
    };
    let rest = outputs
        .each_mut()
        .map(|output| &mut output.spare_capacity_mut()[..len]);
    if is_worth_sharing(len) {
        #[cfg(not(target_family = "wasm"))]
        {
            use rayon::prelude::*;
            let mut rest = rest;
            let chunks: Vec<_> = (0..len.div_ceil(CHUNK))
                .map(|_| {
                    rest.each_mut().map(|rest| {
                        let len = CHUNK.min(rest.len());
                        let (first, others) = std::mem::take(rest).split_at_mut(len);
                        *rest = others;
                        first
                    })
                })
                .collect();
            // What the safety of `set_len` below rests on.
            assert!(rest.iter().all(|rest| rest.is_empty()));
            let chunks = chunks.into_par_iter().enumerate();
            chunks.for_each(|(i, outputs)| chunk(i * CHUNK, outputs));
        }
    } else {
        chunk(0, rest);
    }
    for output in &mut outputs {
        // SAFETY: `MapChunk` writes every element of its outputs, and the chunks cover `len` elements of each.
        unsafe { output.set_len(len) };
    }
    outputs
}

/// Writes the outputs of `kernel` over its last three inputs.
pub(super) fn update<E, K>(kernel: K, input: &[E], in_place: [&mut [E]; 3])
where
    E: Element,
    K: Kernel<E::Real, 4, 3>,
{
    let len = input.len();
    let [a, b, c] = in_place;
    assert!(a.len() == len && b.len() == len && c.len() == len);
    let chunk = |input: &[E], in_place: [&mut [E]; 3]| {
        InstructionSet::widest().run(UpdateChunk {
            kernel,
            input,
            in_place,
        });
    };
    #[cfg(not(target_family = "wasm"))]
    if is_worth_sharing(len) {
        use rayon::prelude::*;
        return input
            .par_chunks(CHUNK)
            .zip(a.par_chunks_mut(CHUNK))
            .zip(b.par_chunks_mut(CHUNK))
            .zip(c.par_chunks_mut(CHUNK))
            .for_each(|(((input, a), b), c)| chunk(input, [a, b, c]));
    }
    chunk(input, [a, b, c]);
}

/// The sum of the output of `kernel` over all elements, rounded once.
///
/// Chunks are summed on their own and their sums added in order: the number of threads doesn't matter.
pub(super) fn sum<E, K, const I: usize>(
    kernel: K,
    noise: Option<NoiseSpan>,
    inputs: [&[E]; I],
    len: usize,
) -> f64
where
    E: Element,
    K: Kernel<E::Real, I, 1>,
{
    let chunk = |start: usize| {
        InstructionSet::widest().run(SumChunk {
            kernel,
            noise: after(noise, start),
            inputs: inputs.map(|input| part(input, start, len.min(start + CHUNK))),
            len: CHUNK.min(len - start),
        })
    };
    #[cfg(not(target_family = "wasm"))]
    if is_worth_sharing(len) {
        use rayon::prelude::*;
        let chunks = (0..len.div_ceil(CHUNK)).into_par_iter();
        let sums: Vec<f64> = chunks.map(|i| chunk(i * CHUNK)).collect();
        return sums.into_iter().sum();
    }
    (0..len).step_by(CHUNK).map(chunk).sum()
}

pub(in crate::kernels) fn is_worth_sharing(len: usize) -> bool {
    cfg!(not(target_family = "wasm")) && len >= 2 * CHUNK
}

/// The noise from element `start` on, which begins a block.
pub(in crate::kernels) fn after(noise: Option<NoiseSpan>, start: usize) -> Option<NoiseSpan> {
    noise.map(|NoiseSpan { key, first_block }| NoiseSpan {
        key,
        first_block: first_block.wrapping_add((start / 4) as u32),
    })
}

/// Writes the outputs of `kernel` for 64 elements, which are those of 16 Philox blocks. The noise begins with them.
#[inline(always)]
pub(in crate::kernels) fn run_group<R, K, const I: usize, const O: usize>(
    kernel: K,
    noise: Option<NoiseSpan>,
    inputs: &[[R; GROUP]; I],
    outputs: &mut [[R; GROUP]; O],
) where
    R: Real,
    K: Kernel<R, I, O>,
{
    let mut normals = [0.0; GROUP];
    if let Some(NoiseSpan { key, first_block }) = noise {
        normal_group(key, first_block, &mut normals);
    }
    // Each function of all 64 before the next. One expression of an element is a chain in which every operation waits
    // for the one before, too long for a processor to begin the next elements meanwhile.
    let mut tails = [R::ZERO; GROUP];
    let mut logs = [R::ZERO; GROUP];
    if let Some(rho) = K::RHO {
        tails = R::exp_neg_group(&inputs[rho].map(R::abs));
        logs = R::log1p_unit_group(&tails);
    }
    // A loop of known length over one expression, for the compiler to make vectors of it.
    for i in 0..GROUP {
        let inputs: [R; I] = std::array::from_fn(|input| inputs[input][i]);
        let made = Made {
            epsilon: R::new(normals[i]),
            scale: match K::RHO {
                Some(rho) => Scale::of_parts(inputs[rho], tails[i], logs[i]),
                None => Scale::plain(R::ZERO),
            },
        };
        let values = kernel.element(inputs, made);
        for (output, value) in outputs.iter_mut().zip(values) {
            output[i] = value;
        }
    }
}

struct MapChunk<'a, E, K, const I: usize, const O: usize> {
    kernel: K,
    noise: Option<NoiseSpan>,
    inputs: [&'a [E]; I],
    outputs: [&'a mut [MaybeUninit<E>]; O],
}

impl<E, K, const I: usize, const O: usize> Body for MapChunk<'_, E, K, I, O>
where
    E: Element,
    K: Kernel<E::Real, I, O>,
{
    type Output = ();

    #[inline(always)]
    fn run(mut self) {
        let len = self.outputs.first().map_or(0, |output| output.len());
        let mut inputs = [[E::Real::ZERO; GROUP]; I];
        let mut values = [[E::Real::ZERO; GROUP]; O];
        for start in (0..len).step_by(GROUP) {
            load_groups(&mut inputs, &self.inputs, start);
            run_group(self.kernel, after(self.noise, start), &inputs, &mut values);
            for (output, values) in self.outputs.iter_mut().zip(&values) {
                store(&mut output[start..], values);
            }
        }
    }
}

struct SumChunk<'a, E, K, const I: usize> {
    kernel: K,
    noise: Option<NoiseSpan>,
    inputs: [&'a [E]; I],
    len: usize,
}

impl<E, K, const I: usize> Body for SumChunk<'_, E, K, I>
where
    E: Element,
    K: Kernel<E::Real, I, 1>,
{
    type Output = f64;

    #[inline(always)]
    fn run(self) -> f64 {
        let mut total = Total::new();
        let mut inputs = [[E::Real::ZERO; GROUP]; I];
        let mut terms = [[E::Real::ZERO; GROUP]];
        for start in (0..self.len).step_by(GROUP) {
            load_groups(&mut inputs, &self.inputs, start);
            run_group(self.kernel, after(self.noise, start), &inputs, &mut terms);
            total.add(&mut terms[0], self.len - start);
        }
        total.finish()
    }
}

struct UpdateChunk<'a, E, K> {
    kernel: K,
    input: &'a [E],
    in_place: [&'a mut [E]; 3],
}

impl<E, K> Body for UpdateChunk<'_, E, K>
where
    E: Element,
    K: Kernel<E::Real, 4, 3>,
{
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let [a, b, c] = self.in_place;
        let mut values = [[E::Real::ZERO; GROUP]; 3];
        for start in (0..self.input.len()).step_by(GROUP) {
            let inputs = [
                load(&self.input[start..]),
                load(&a[start..]),
                load(&b[start..]),
                load(&c[start..]),
            ];
            run_group(self.kernel, None, &inputs, &mut values);
            overwrite(&mut a[start..], &values[0]);
            overwrite(&mut b[start..], &values[1]);
            overwrite(&mut c[start..], &values[2]);
        }
    }
}

/// A sum of groups, lane by lane: for a few groups in the working precision, then in `f64`.
pub(in crate::kernels) struct Total<R> {
    lanes: [R; GROUP],
    groups: usize,
    sum: f64,
}

impl<R: Real> Total<R> {
    #[inline(always)]
    pub fn new() -> Self {
        Self {
            lanes: [R::ZERO; GROUP],
            groups: 0,
            sum: 0.0,
        }
    }

    /// Adds the first `len` terms, or all of them. The others are zero then.
    #[inline(always)]
    pub fn add(&mut self, terms: &mut [R; GROUP], len: usize) {
        if len < GROUP {
            terms[len..].fill(R::ZERO);
        }
        for (lane, term) in self.lanes.iter_mut().zip(terms) {
            *lane = *lane + *term;
        }
        self.groups += 1;
        if self.groups == GROUPS_PER_SUM {
            self.flush();
        }
    }

    #[inline(always)]
    fn flush(&mut self) {
        // A sum of its own stays in a register.
        let mut sum = self.sum;
        for lane in &mut self.lanes {
            sum += lane.to_f64();
            *lane = R::ZERO;
        }
        self.sum = sum;
        self.groups = 0;
    }

    #[inline(always)]
    pub fn finish(mut self) -> f64 {
        self.flush();
        self.sum
    }
}

/// The first 64 elements, with zeros after the last.
#[inline(always)]
pub(in crate::kernels) fn load<E: Element>(input: &[E]) -> [E::Real; GROUP] {
    let mut group = [E::Real::ZERO; GROUP];
    load_into(&mut group, input);
    group
}

/// The same, where the group lies.
#[inline(always)]
fn load_into<E: Element>(group: &mut [E::Real; GROUP], input: &[E]) {
    match input.first_chunk::<GROUP>() {
        Some(full) => {
            for (real, element) in group.iter_mut().zip(full) {
                *real = element.load();
            }
        }
        None => {
            let (first, rest) = group.split_at_mut(input.len());
            for (real, element) in first.iter_mut().zip(input) {
                *real = element.load();
            }
            rest.fill(E::Real::ZERO);
        }
    }
}

/// A group of each input, from `start` on. One that is empty is not read.
#[inline(always)]
pub(in crate::kernels) fn load_groups<E: Element, const I: usize>(
    groups: &mut [[E::Real; GROUP]; I],
    inputs: &[&[E]; I],
    start: usize,
) {
    for (group, input) in groups.iter_mut().zip(inputs) {
        if !input.is_empty() {
            load_into(group, &input[start..]);
        }
    }
}

/// The elements `start..end` of an input that is not empty.
pub(in crate::kernels) fn part<E>(input: &[E], start: usize, end: usize) -> &[E] {
    if input.is_empty() {
        input
    } else {
        &input[start..end]
    }
}

/// Writes over the first 64 elements, or all there are.
#[inline(always)]
pub(super) fn overwrite<E: Element>(output: &mut [E], group: &[E::Real; GROUP]) {
    match output.first_chunk_mut::<GROUP>() {
        Some(full) => {
            for (element, real) in full.iter_mut().zip(group) {
                *element = E::store(*real);
            }
        }
        None => {
            for (element, real) in output.iter_mut().zip(group) {
                *element = E::store(*real);
            }
        }
    }
}

/// Writes the first 64 elements, or all there are.
#[inline(always)]
pub(in crate::kernels) fn store<E: Element>(
    output: &mut [MaybeUninit<E>],
    group: &[E::Real; GROUP],
) {
    match output.first_chunk_mut::<GROUP>() {
        Some(full) => {
            for (element, real) in full.iter_mut().zip(group) {
                element.write(E::store(*real));
            }
        }
        None => {
            for (element, real) in output.iter_mut().zip(group) {
                element.write(E::store(*real));
            }
        }
    }
}
