//! The largest of windows of 2×2, and where they lie.
//!
//! A row's windows are computed some at a time, the last of them once more where the row has no multiple of that: a
//! copy of what is left would cost more.

use std::mem::MaybeUninit;

use blitz_noise::simd::{Body, InstructionSet};
use burn::tensor::TensorData;
use rayon::prelude::*;

use super::lanes::Float;
use super::real::select;
use super::{Elements, Memory};

/// What a window's elements are to it, in the order of memory: the largest is the first of several, and the last NaN.
struct Window<E> {
    largest: E,
    /// Whether the second, third and fourth is larger than all before it, or a NaN.
    rises: [bool; 3],
}

impl<E: Float> Window<E> {
    /// That of `i` in two rows of elements.
    #[inline(always)]
    fn of(top: &[E], bottom: &[E], i: usize) -> Self {
        let rises = |largest: E, next: E| (next > largest) | next.is_nan();
        let mut largest = top[2 * i];
        let others = [top[2 * i + 1], bottom[2 * i], bottom[2 * i + 1]];
        let rises = others.map(|next| {
            let rises = rises(largest, next);
            largest = select(rises, next, largest);
            rises
        });
        Self { largest, rises }
    }

    /// A gradient where the largest lies, and zero elsewhere.
    #[inline(always)]
    fn scatter(self, grad: E) -> [E; 4] {
        let [second, third, fourth] = self.rises;
        [
            select(second | third | fourth, E::ZERO, grad),
            select(second & !third & !fourth, grad, E::ZERO),
            select(third & !fourth, grad, E::ZERO),
            select(fourth, grad, E::ZERO),
        ]
    }
}

/// Calls `$run` with the number of windows, and of their columns, that suit a row of so many.
macro_rules! with_windows {
    ($windows:expr, $self:ident.$run:ident()) => {
        match $windows {
            8.. => $self.$run::<8, 16>(),
            4.. => $self.$run::<4, 8>(),
            _ => $self.$run::<1, 2>(),
        }
    };
}

/// Where `W` windows of a row of `windows` begin, the last ones at its end.
#[inline(always)]
fn starts<const W: usize>(windows: usize) -> impl Iterator<Item = usize> {
    (0..windows)
        .step_by(W)
        .map(move |start| start.min(windows - W))
}

/// So many elements from `start` on.
#[inline(always)]
fn at<T, const N: usize>(values: &[T], start: usize) -> &[T; N] {
    match values[start..].first_chunk() {
        Some(values) => values,
        None => unreachable!("a row has {N} elements from {start} on"),
    }
}

/// Writes so many elements from `start` on.
#[inline(always)]
fn put<E: Float, const N: usize>(values: [E; N], output: &mut [MaybeUninit<E>], start: usize) {
    for (output, value) in output[start..start + N].iter_mut().zip(values) {
        output.write(value);
    }
}

/// The largest elements of planes that lie one after the other.
struct Largest<'a, E> {
    size: [usize; 2],
    input: &'a [E],
    output: &'a mut [MaybeUninit<E>],
}

impl<E: Float> Largest<'_, E> {
    #[inline(always)]
    fn rows<const W: usize, const COLUMNS: usize>(self) {
        let [height, width] = self.size;
        let planes = self.input.chunks_exact(height * width);
        let pairs = planes.flat_map(|plane| plane.chunks_exact(2 * width));
        for (pair, output) in pairs.zip(self.output.chunks_exact_mut(width / 2)) {
            let (top, bottom) = pair.split_at(width);
            for start in starts::<W>(width / 2) {
                let top: &[E; COLUMNS] = at(top, 2 * start);
                let bottom: &[E; COLUMNS] = at(bottom, 2 * start);
                let mut largest = [E::ZERO; W];
                for (i, largest) in largest.iter_mut().enumerate() {
                    *largest = Window::of(top, bottom, i).largest;
                }
                put(largest, output, start);
            }
        }
    }
}

impl<E: Float> Body for Largest<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        with_windows!(self.size[1] / 2, self.rows())
    }
}

/// The gradients of such planes: each window's where its largest element lies, and zero elsewhere.
struct Scattered<'a, E> {
    size: [usize; 2],
    input: &'a [E],
    grad: &'a [E],
    output: &'a mut [MaybeUninit<E>],
}

impl<E: Float> Scattered<'_, E> {
    #[inline(always)]
    fn rows<const W: usize, const COLUMNS: usize>(self) {
        let [height, width] = self.size;
        let mut grads = self.grad.chunks_exact(width / 2);
        let planes = self.input.chunks_exact(height * width);
        for (plane, output) in planes.zip(self.output.chunks_exact_mut(height * width)) {
            let mut outputs = output.chunks_exact_mut(2 * width);
            let pairs = plane.chunks_exact(2 * width);
            for ((pair, grad), output) in pairs.zip(&mut grads).zip(&mut outputs) {
                let (top, bottom) = pair.split_at(width);
                let (output_top, output_bottom) = output.split_at_mut(width);
                for start in starts::<W>(width / 2) {
                    let top: &[E; COLUMNS] = at(top, 2 * start);
                    let bottom: &[E; COLUMNS] = at(bottom, 2 * start);
                    let grad: &[E; W] = at(grad, start);
                    let mut of_top = [E::ZERO; COLUMNS];
                    let mut of_bottom = [E::ZERO; COLUMNS];
                    for (i, grad) in grad.iter().enumerate() {
                        [
                            of_top[2 * i],
                            of_top[2 * i + 1],
                            of_bottom[2 * i],
                            of_bottom[2 * i + 1],
                        ] = Window::of(top, bottom, i).scatter(*grad);
                    }
                    put(of_top, output_top, 2 * start);
                    put(of_bottom, output_bottom, 2 * start);
                }
                if width % 2 == 1 {
                    put([E::ZERO], output_top, width - 1);
                    put([E::ZERO], output_bottom, width - 1);
                }
            }
            for output in outputs.into_remainder() {
                output.write(E::ZERO);
            }
        }
    }
}

impl<E: Float> Body for Scattered<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        with_windows!(self.size[1] / 2, self.rows())
    }
}

/// Planes that a thread computes in one go have as many elements, or there is only one.
const ELEMENTS: usize = 1 << 15;

fn pooled<E: Float>(input: &[E], size: [usize; 2]) -> Vec<E> {
    let [height, width] = size;
    let (area, pooled_area) = (height * width, (height / 2) * (width / 2));
    let together = (ELEMENTS / area).max(1);
    let len = input.len() / area * pooled_area;
    let mut output = Vec::with_capacity(len);
    output.spare_capacity_mut()[..len]
        .par_chunks_mut(together * pooled_area)
        .zip(input.par_chunks(together * area))
        .for_each(|(output, input)| {
            InstructionSet::widest().run(Largest {
                size,
                input,
                output,
            });
        });
    // SAFETY: the chunks are all planes, and `Largest` writes every window of its own.
    unsafe { output.set_len(len) };
    output
}

fn scattered<E: Float>(input: &[E], grad: &[E], size: [usize; 2]) -> Vec<E> {
    let [height, width] = size;
    let (area, pooled_area) = (height * width, (height / 2) * (width / 2));
    let together = (ELEMENTS / area).max(1);
    let mut output = Vec::with_capacity(input.len());
    output.spare_capacity_mut()[..input.len()]
        .par_chunks_mut(together * area)
        .zip(input.par_chunks(together * area))
        .zip(grad.par_chunks(together * pooled_area))
        .for_each(|((output, input), grad)| {
            InstructionSet::widest().run(Scattered {
                size,
                input,
                grad,
                output,
            });
        });
    // SAFETY: the chunks are all planes, and `Scattered` writes every element of its own.
    unsafe { output.set_len(input.len()) };
    output
}

pub(super) fn pool<T: Memory>(input: T) -> T {
    let [images, channels, height, width] = input.shape().dims();
    let (size, shape) = ([height, width], [images, channels, height / 2, width / 2]);
    match input.elements() {
        Elements::F32(input) => T::from_data(TensorData::new(pooled(&input, size), shape)),
        Elements::F64(input) => T::from_data(TensorData::new(pooled(&input, size), shape)),
        _ => panic!("a pooling needs `f32` or `f64`, got {:?}", input.dtype()),
    }
}

pub(super) fn pool_backward<T: Memory>(input: T, grad: T) -> T {
    let shape = input.shape();
    let [_, _, height, width] = shape.dims();
    let size = [height, width];
    match (input.elements(), grad.elements()) {
        (Elements::F32(input), Elements::F32(grad)) => {
            T::from_data(TensorData::new(scattered(&input, &grad, size), shape))
        }
        (Elements::F64(input), Elements::F64(grad)) => {
            T::from_data(TensorData::new(scattered(&input, &grad, size), shape))
        }
        _ => panic!(
            "a pooling needs `f32` or `f64`, got {:?} and {:?}",
            input.dtype(),
            grad.dtype()
        ),
    }
}
