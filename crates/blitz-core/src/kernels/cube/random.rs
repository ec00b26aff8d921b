//! Numbers made of a stream's words as they are.

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::ir::ElemType;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::cubecl::std::tensor::layout::linear::LinearViewMut;
use burn_cubecl::tensor::CubeTensor;

use super::kernels::BLOCK;
use super::launch::{Walk, cubes, elem_type, empty_like};
use super::noise::{Noise, philox4x32_10};
use crate::kernels::random::Random;

/// The signs of a block of elements. Eight blocks share a word, and 32 the words of one block of noise.
#[cube]
fn signs(noise: &Noise, block: u32) -> Sequence<f32> {
    let (x0, x1, x2, x3) = philox4x32_10(noise, noise.first_block + (block >> 5u32));
    let which = (block >> 3u32) & 3u32;
    let first = select(which == 0u32, x0, x1);
    let last = select(which == 2u32, x2, x3);
    let bits = select(which < 2u32, first, last) >> (4u32 * (block & 7u32));
    let mut signs = Sequence::new();
    #[unroll]
    for lane in 0..BLOCK {
        let bit = (bits >> comptime!(lane as u32)) & 1u32;
        signs.push(f32::reinterpret(0x3F80_0000u32 | (bit << 31u32)));
    }
    signs
}

/// Ones where a word is below the limit.
#[cube]
fn below(noise: &Noise, block: u32, limit: u32) -> Sequence<f32> {
    let (x0, x1, x2, x3) = philox4x32_10(noise, noise.first_block + block);
    let mut numbers = Sequence::new();
    numbers.push(f32::cast_from(x0 < limit));
    numbers.push(f32::cast_from(x1 < limit));
    numbers.push(f32::cast_from(x2 < limit));
    numbers.push(f32::cast_from(x3 < limit));
    numbers
}

#[cube(launch_unchecked, address_type = "dynamic")]
fn random_kernel<E: Float, N: Size>(
    mut output: LinearViewMut<'_, Vector<E, N>>,
    noise: Noise,
    limit: u32,
    #[comptime] is_signs: bool,
    #[define(E)] _dtype: ElemType,
) {
    let lanes = N::value();
    let per_block = comptime!(BLOCK / lanes);
    let first = ABSOLUTE_POS * per_block;
    if !output.is_in_bounds(first) {
        terminate!();
    }
    let numbers = match comptime!(is_signs) {
        true => signs(&noise, u32::cast_from(ABSOLUTE_POS)),
        false => below(&noise, u32::cast_from(ABSOLUTE_POS), limit),
    };
    #[unroll]
    for i in 0..per_block {
        if output.is_in_bounds(first + i) {
            let mut values = Vector::<E, N>::empty();
            #[unroll]
            for lane in 0..lanes {
                values.insert(lane, E::cast_from(numbers[comptime!(i * lanes + lane)]));
            }
            output.write(first + i, values);
        }
    }
}

pub(super) fn random(memory: CubeTensor, op: Random) -> CubeTensor {
    let output = empty_like(&memory);
    let walk = Walk::over(&[&output]);
    if walk.len == 0 {
        return output;
    }
    let (noise, limit, is_signs) = match op {
        Random::Signs(noise) => (noise, 0, true),
        Random::Below(limit, noise) => (noise, limit, false),
    };
    let client = output.client.clone();
    let (count, dim) = cubes(&client, walk.blocks());
    // SAFETY: A unit stays within the output's bounds.
    unsafe {
        random_kernel::launch_unchecked(
            &client,
            count,
            dim,
            walk.address,
            walk.lanes,
            output.clone().into_linear_view(),
            noise.into(),
            limit,
            is_signs,
            elem_type(&output),
        );
    }
    output
}
