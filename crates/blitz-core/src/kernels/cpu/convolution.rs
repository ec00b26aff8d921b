//! A convolution and its gradients, image after image on every core.
//!
//! Nothing is rearranged but one padded image at a time, which stays in the cache. Sums over the images of a batch are
//! those of chunks, added up in order: the number of threads doesn't matter.

mod geometry;
mod rows;
mod taps;
#[cfg(test)]
mod tests;

use burn::tensor::{Shape, TensorData};
use rayon::prelude::*;

use self::geometry::Geometry;
use self::rows::MOST_CHANNELS;
use self::taps::{Taps, lanes};
use super::lanes::{Float, Registers};
use super::{Elements, Memory};
use crate::kernels::convolution::Window;

/// The parts of a batch whose gradients of the weight are summed on their own, at most.
const MOST_CHUNKS: usize = 16;

/// The sums of all parts, at most, unless the weight alone has more.
const MOST_PARTIAL_SUMS: usize = 1 << 20;

/// Images and channels that are computed apart, at least, if there are as many: for a few images to keep the cores
/// busy.
const TASKS: usize = 16;

/// Evaluates an expression with the elements of tensors of one type.
macro_rules! with_floats {
    ([$($tensor:ident),*], $result:expr) => {
        match ($($tensor.elements()),*) {
            ($(Elements::F32($tensor)),*) => $result,
            ($(Elements::F64($tensor)),*) => $result,
            _ => panic!("a convolution needs tensors of one type, `f32` or `f64`"),
        }
    };
}

pub(super) fn convolve<T: Memory>(input: T, weight: T, bias: T, window: Window) -> T {
    let geometry = Geometry::of(input.shape().dims(), weight.shape().dims(), window);
    let [height, width] = geometry.output();
    let shape = [geometry.images, geometry.channels_out, height, width];
    with_floats!(
        [input, weight, bias],
        of_values(
            outputs(Registers::widest(), &geometry, &input, &weight, &bias),
            shape
        )
    )
}

/// The gradients of the input, the weight and the bias, where they are wanted.
pub(super) fn convolve_backward<T: Memory>(
    input: T,
    weight: T,
    grad: T,
    window: Window,
    [of_input, of_weight, of_bias]: [bool; 3],
) -> [Option<T>; 3] {
    let (input_shape, weight_shape) = (input.shape(), weight.shape());
    let geometry = Geometry::of(input_shape.dims(), weight_shape.dims(), window);
    with_floats!([input, weight, grad], {
        let input_grad = of_input.then(|| {
            of_values(
                input_grad(Registers::widest(), &geometry, &weight, &grad),
                input_shape,
            )
        });
        let (weight_grad, bias_grad) = if of_weight || of_bias {
            let (weight_grad, bias_grad) =
                weight_grad(Registers::widest(), &geometry, &input, &grad);
            let bias_shape = [geometry.channels_out];
            (
                of_weight.then(|| of_values(weight_grad, weight_shape)),
                of_bias.then(|| of_values(bias_grad, bias_shape)),
            )
        } else {
            (None, None)
        };
        [input_grad, weight_grad, bias_grad]
    })
}

fn of_values<T: Memory, E: Float>(values: Vec<E>, shape: impl Into<Shape>) -> T {
    T::from_data(TensorData::new(values, shape))
}

fn outputs<E: Float>(
    registers: Registers,
    geometry: &Geometry,
    input: &[E],
    weight: &[E],
    bias: &[E],
) -> Vec<E> {
    let area = geometry.output_area();
    let channels = geometry.channels_out;
    let (offsets, positions) = (geometry.offsets(), geometry.positions());
    let groups = TASKS.div_ceil(geometry.images).min(channels);
    let of_group = channels.div_ceil(groups);

    let len = geometry.images * channels * area;
    let mut output = Vec::with_capacity(len);
    let images = input.par_chunks_exact(geometry.channels_in * geometry.input_area());
    output.spare_capacity_mut()[..len]
        .par_chunks_exact_mut(channels * area)
        .zip(images)
        .for_each_init(
            || geometry.padded(),
            |padded, (output, image)| {
                geometry.pad(image, padded);
                let groups = output.par_chunks_mut(of_group * area).enumerate();
                groups.for_each(|(group, output)| {
                    let mut sums = vec![E::ZERO; MOST_CHANNELS * rows::width(positions)];
                    let mut first = group * of_group;
                    for output in blocks(output, area) {
                        let block = first..first + output.len() / area;
                        first = block.end;
                        let weight = &weight[block.start * offsets.len()..];
                        let bias = &bias[block];
                        rows::sums(
                            registers, padded, &offsets, weight, bias, &mut sums, positions,
                        );
                        let sums = sums.chunks_exact(rows::width(positions));
                        for (output, sums) in output.chunks_exact_mut(area).zip(sums) {
                            geometry.unpad(sums, output);
                        }
                    }
                });
            },
        );
    // SAFETY: the chunks cover `len` elements, and `unpad` writes every output of a channel.
    unsafe { output.set_len(len) };
    output
}

/// The channels in blocks of at most [`MOST_CHANNELS`], as even as can be.
fn blocks<T>(mut channels: &mut [T], area: usize) -> impl Iterator<Item = &mut [T]> {
    std::iter::from_fn(move || {
        let count = channels.len() / area;
        let block = count.div_ceil(count.div_ceil(MOST_CHANNELS).max(1));
        let (first, rest) = std::mem::take(&mut channels).split_at_mut(block * area);
        channels = rest;
        (block > 0).then_some(first)
    })
}

fn input_grad<E: Float>(
    registers: Registers,
    geometry: &Geometry,
    weight: &[E],
    grad: &[E],
) -> Vec<E> {
    let kernel = geometry.kernel[0] * geometry.kernel[1];
    let mut turned = Vec::with_capacity(weight.len());
    for channel in 0..geometry.channels_in {
        for of_output in weight.chunks_exact(geometry.weights()) {
            let weights = &of_output[channel * kernel..(channel + 1) * kernel];
            turned.extend(weights.iter().rev());
        }
    }
    let bias = vec![E::ZERO; geometry.channels_in];
    outputs(registers, &geometry.backward(), grad, &turned, &bias)
}

/// Those of the weight and of the bias.
fn weight_grad<E: Float>(
    registers: Registers,
    geometry: &Geometry,
    input: &[E],
    grad: &[E],
) -> (Vec<E>, Vec<E>) {
    let (weights, channels) = (geometry.weights(), geometry.channels_out);
    let lanes = lanes::<E>();
    let blocks = channels.div_ceil(lanes);
    let area = geometry.output_area();
    let offsets = geometry.offsets();
    let chunks = (MOST_PARTIAL_SUMS / (weights * channels)).clamp(1, MOST_CHUNKS);
    let of_chunk = geometry.images.div_ceil(chunks);
    let image_len = geometry.channels_in * geometry.input_area();

    // `[weights and 1 for the bias, lanes]`, for each chunk of images and block of channels.
    let sums_of = |chunk: usize, block: usize| {
        let mut sums = vec![E::ZERO; (weights + 1) * lanes];
        let (sums_of_weights, bias_sums) = sums.split_at_mut(weights * lanes);
        let mut padded = geometry.padded();
        let mut turned = vec![E::ZERO; area * lanes];
        let images = chunk * of_chunk..geometry.images.min((chunk + 1) * of_chunk);
        for image in images {
            geometry.pad(&input[image * image_len..][..image_len], &mut padded);
            let first = block * lanes;
            let count = lanes.min(channels - first);
            let grads = &grad[(image * channels + first) * area..][..count * area];
            for (lane, grads) in grads.chunks_exact(area).enumerate() {
                for (turned, grad) in turned.chunks_exact_mut(lanes).zip(grads) {
                    turned[lane] = *grad;
                }
            }
            registers.run(Taps {
                padded: &padded,
                offsets: &offsets,
                row: geometry.row(),
                columns: geometry.output()[1],
                grad: &turned,
                sums: sums_of_weights,
                bias_sums,
            });
        }
        sums
    };
    let tasks = geometry.images.div_ceil(of_chunk) * blocks;
    let sums: Vec<Vec<E>> = (0..tasks)
        .into_par_iter()
        .map(|task| sums_of(task / blocks, task % blocks))
        .collect();
    let mut chunks = sums.into_iter();
    let mut totals: Vec<Vec<E>> = chunks.by_ref().take(blocks).collect();
    for (task, sums) in chunks.enumerate() {
        for (total, sum) in totals[task % blocks].iter_mut().zip(sums) {
            *total = *total + sum;
        }
    }
    let of_channel = |channel: usize| {
        let totals = totals[channel / lanes].iter();
        totals.skip(channel % lanes).step_by(lanes).copied()
    };
    let weight_grad = (0..channels).flat_map(|channel| of_channel(channel).take(weights));
    let bias_grad = (0..channels).flat_map(|channel| of_channel(channel).skip(weights));
    (weight_grad.collect(), bias_grad.collect())
}
