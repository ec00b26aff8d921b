//! Elementwise work in groups of 64, with the widest instruction set, over chunks on every core.

#[cfg(test)]
mod tests;

use std::mem::MaybeUninit;

use super::real::{Element, Real};
use blitz_noise::fill::{CHUNK, GROUP, LANES};
use blitz_noise::simd::{Body, InstructionSet};

/// Groups whose terms are added up in the working precision before they go into an `f64`.
const GROUPS_PER_SUM: usize = 16;

/// What is done to 64 elements at a time, which are those of 16 Philox blocks.
///
/// `run` has to be `#[inline(always)]`, and a loop of that length, for the compiler to make vectors of it.
pub(super) trait GroupKernel<R, const I: usize, const O: usize>: Copy + Send + Sync {
    fn run(self, block: u32, inputs: &[[R; GROUP]; I], outputs: &mut [[R; GROUP]; O]);
}

/// The outputs of `kernel` for all elements of `inputs`, which have `len` each; the first is element 0 of block `first_block`.
pub(super) fn map<E, K, const I: usize, const O: usize>(
    kernel: K,
    first_block: u32,
    inputs: [&[E]; I],
    len: usize,
) -> [Vec<E>; O]
where
    E: Element,
    K: GroupKernel<E::Real, I, O>,
{
    let mut outputs: [Vec<E>; O] = std::array::from_fn(|_| Vec::with_capacity(len));
    let chunk = |start: usize, outputs: [&mut [MaybeUninit<E>]; O]| {
        let len = outputs.first().map_or(0, |output| output.len());
        InstructionSet::widest().run(MapChunk {
            kernel,
            first_block: first_block.wrapping_add((start / 4) as u32),
            inputs: inputs.map(|input| &input[start..start + len]),
            outputs,
        });
    };
    let mut rest = outputs
        .each_mut()
        .map(|output| &mut output.spare_capacity_mut()[..len]);
    if is_worth_sharing(len) {
        #[cfg(not(target_family = "wasm"))]
        {
            use rayon::prelude::*;
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
    K: GroupKernel<E::Real, 4, 3>,
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

/// The first output of `kernel`, and the sum of the second.
pub(super) fn map_and_sum<E, K, const I: usize>(
    kernel: K,
    first_block: u32,
    inputs: [&[E]; I],
    len: usize,
) -> (Vec<E>, f64)
where
    E: Element,
    K: GroupKernel<E::Real, I, 2>,
{
    let mut output = Vec::with_capacity(len);
    let chunk = |start: usize, output: &mut [MaybeUninit<E>]| {
        let end = start + output.len();
        InstructionSet::widest().run(MapAndSumChunk {
            kernel,
            first_block: first_block.wrapping_add((start / 4) as u32),
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

/// The sum of the output of `kernel` over all elements, rounded once.
///
/// Chunks are summed on their own and their sums added in order: the number of threads doesn't matter.
pub(super) fn sum<E, K, const I: usize>(
    kernel: K,
    first_block: u32,
    inputs: [&[E]; I],
    len: usize,
) -> f64
where
    E: Element,
    K: GroupKernel<E::Real, I, 1>,
{
    let chunk = |start: usize| {
        InstructionSet::widest().run(SumChunk {
            kernel,
            first_block: first_block.wrapping_add((start / 4) as u32),
            inputs: inputs.map(|input| &input[start..len.min(start + CHUNK)]),
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

fn is_worth_sharing(len: usize) -> bool {
    cfg!(not(target_family = "wasm")) && len >= 2 * CHUNK
}

struct MapChunk<'a, E, K, const I: usize, const O: usize> {
    kernel: K,
    first_block: u32,
    inputs: [&'a [E]; I],
    outputs: [&'a mut [MaybeUninit<E>]; O],
}

impl<E, K, const I: usize, const O: usize> Body for MapChunk<'_, E, K, I, O>
where
    E: Element,
    K: GroupKernel<E::Real, I, O>,
{
    type Output = ();

    #[inline(always)]
    fn run(mut self) {
        let len = self.outputs.first().map_or(0, |output| output.len());
        let mut block = self.first_block;
        for start in (0..len).step_by(GROUP) {
            let inputs = self.inputs.map(|input| load(&input[start..]));
            let mut values = [[E::Real::ZERO; GROUP]; O];
            self.kernel.run(block, &inputs, &mut values);
            for (output, values) in self.outputs.iter_mut().zip(&values) {
                store(&mut output[start..], values);
            }
            block = block.wrapping_add(LANES as u32);
        }
    }
}

struct SumChunk<'a, E, K, const I: usize> {
    kernel: K,
    first_block: u32,
    inputs: [&'a [E]; I],
    len: usize,
}

impl<E, K, const I: usize> Body for SumChunk<'_, E, K, I>
where
    E: Element,
    K: GroupKernel<E::Real, I, 1>,
{
    type Output = f64;

    #[inline(always)]
    fn run(self) -> f64 {
        let mut total = Total::new();
        let mut block = self.first_block;
        for start in (0..self.len).step_by(GROUP) {
            let inputs = self.inputs.map(|input| load(&input[start..]));
            let mut terms = [[E::Real::ZERO; GROUP]];
            self.kernel.run(block, &inputs, &mut terms);
            let [terms] = terms;
            total.add(terms, self.len - start);
            block = block.wrapping_add(LANES as u32);
        }
        total.finish()
    }
}

struct MapAndSumChunk<'a, E, K, const I: usize> {
    kernel: K,
    first_block: u32,
    inputs: [&'a [E]; I],
    output: &'a mut [MaybeUninit<E>],
}

impl<E, K, const I: usize> Body for MapAndSumChunk<'_, E, K, I>
where
    E: Element,
    K: GroupKernel<E::Real, I, 2>,
{
    type Output = f64;

    #[inline(always)]
    fn run(self) -> f64 {
        let len = self.output.len();
        let mut total = Total::new();
        let mut block = self.first_block;
        for start in (0..len).step_by(GROUP) {
            let inputs = self.inputs.map(|input| load(&input[start..]));
            let mut outputs = [[E::Real::ZERO; GROUP]; 2];
            self.kernel.run(block, &inputs, &mut outputs);
            let [values, terms] = outputs;
            store(&mut self.output[start..], &values);
            total.add(terms, len - start);
            block = block.wrapping_add(LANES as u32);
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
    K: GroupKernel<E::Real, 4, 3>,
{
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let [a, b, c] = self.in_place;
        for start in (0..self.input.len()).step_by(GROUP) {
            let inputs = [
                load(&self.input[start..]),
                load(&a[start..]),
                load(&b[start..]),
                load(&c[start..]),
            ];
            let mut values = [[E::Real::ZERO; GROUP]; 3];
            self.kernel.run(0, &inputs, &mut values);
            overwrite(&mut a[start..], &values[0]);
            overwrite(&mut b[start..], &values[1]);
            overwrite(&mut c[start..], &values[2]);
        }
    }
}

/// A sum of groups, lane by lane: for a few groups in the working precision, then in `f64`.
struct Total<R> {
    lanes: [R; GROUP],
    groups: usize,
    sum: f64,
}

impl<R: Real> Total<R> {
    #[inline(always)]
    fn new() -> Self {
        Self {
            lanes: [R::ZERO; GROUP],
            groups: 0,
            sum: 0.0,
        }
    }

    /// Adds the first `len` terms, or all of them.
    #[inline(always)]
    fn add(&mut self, mut terms: [R; GROUP], len: usize) {
        if len < GROUP {
            terms[len..].fill(R::ZERO);
        }
        for (lane, term) in self.lanes.iter_mut().zip(terms) {
            *lane = *lane + term;
        }
        self.groups += 1;
        if self.groups == GROUPS_PER_SUM {
            self.flush();
        }
    }

    #[inline(always)]
    fn flush(&mut self) {
        for lane in &mut self.lanes {
            self.sum += lane.to_f64();
            *lane = R::ZERO;
        }
        self.groups = 0;
    }

    #[inline(always)]
    fn finish(mut self) -> f64 {
        self.flush();
        self.sum
    }
}

/// The first 64 elements, with zeros behind the last.
#[inline(always)]
pub(super) fn load<E: Element>(input: &[E]) -> [E::Real; GROUP] {
    let mut group = [E::Real::ZERO; GROUP];
    match input.first_chunk::<GROUP>() {
        Some(full) => {
            for (real, element) in group.iter_mut().zip(full) {
                *real = element.load();
            }
        }
        None => {
            for (real, element) in group.iter_mut().zip(input) {
                *real = element.load();
            }
        }
    }
    group
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
fn store<E: Element>(output: &mut [MaybeUninit<E>], group: &[E::Real; GROUP]) {
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
