//! The crate's noise on a device: the same integers as on a CPU, and the same transform of them, to the last bit.
//!
//! A shading language has no 64-bit integers, hence `mul_hi`. Beyond the words three things could round otherwise than
//! a CPU, and can't:
//!
//! - CubeCL makes one operation of a product and what is added to it, and so do the compilers of drivers; rounded once,
//!   a hundredth of all normals differed, by up to 3 ulp. [`rounded`] takes every such product out of their sight.
//! - Compilers reorder sums with constants: `x − y + 1` became `(x + 1) − y` on Mesa. These sums are [`rounded`] too.
//! - Vulkan and WebGPU let a square root be a few ulp off; [`square_root`] puts it right.

// A constant keeps the digits that its derivation gave.
#![allow(clippy::excessive_precision)]

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;

use super::rounding::{horner, rounded, square_root};
use crate::kernels::formula::NoiseSpan;
use blitz_noise::coefficients::{COS, LN, LN_2_HIGH, LN_2_LOW, SIN};

/// A [`NoiseSpan`] as a kernel is told it: at run time, since every draw has another.
#[derive(CubeType, CubeLaunch, Clone, Copy)]
pub(super) struct Noise {
    seed_low: u32,
    seed_high: u32,
    pub first_block: u32,
    stream: u32,
    index_low: u32,
    index_high: u32,
}

impl From<NoiseSpan> for NoiseLaunch {
    fn from(NoiseSpan { key, first_block }: NoiseSpan) -> Self {
        Self::new(
            key.seed as u32,
            (key.seed >> 32) as u32,
            first_block,
            key.stream,
            key.index as u32,
            (key.index >> 32) as u32,
        )
    }
}

/// The four normals of block `block` of the span.
#[cube]
pub(super) fn normals(noise: &Noise, block: u32) -> Sequence<f32> {
    let (x0, x1, x2, x3) = philox4x32_10(noise, noise.first_block + block);
    let (n0, n1) = normal_pair(x0, x1);
    let (n2, n3) = normal_pair(x2, x3);
    let mut normals = Sequence::new();
    normals.push(n0);
    normals.push(n1);
    normals.push(n2);
    normals.push(n3);
    normals
}

/// `noise::philox4x32_10`.
#[cube]
pub(super) fn philox4x32_10(noise: &Noise, block: u32) -> (u32, u32, u32, u32) {
    let mut k0 = noise.seed_low;
    let mut k1 = noise.seed_high;
    let mut c0 = block;
    let mut c1 = noise.stream;
    let mut c2 = noise.index_low;
    let mut c3 = noise.index_high;

    #[unroll]
    for _ in 0..10 {
        let high_0 = c0.mul_hi(0xD251_1F53u32);
        let low_0 = c0 * 0xD251_1F53u32;
        let high_1 = c2.mul_hi(0xCD9E_8D57u32);
        let low_1 = c2 * 0xCD9E_8D57u32;
        c0 = high_1 ^ c1 ^ k0;
        c1 = low_1;
        c2 = high_0 ^ c3 ^ k1;
        c3 = low_0;
        k0 += 0x9E37_79B9u32;
        k1 += 0xBB67_AE85u32;
    }
    (c0, c1, c2, c3)
}

/// `noise::normal::normal_pair`.
#[cube]
fn normal_pair(radius: u32, angle: u32) -> (f32, f32) {
    let r = square_root(-2.0f32 * ln(unit(radius)));
    let (cos, sin) = cos_sin_turn(angle);
    (r * cos, r * sin)
}

/// `(word + ½)·2⁻³²`, rounded once.
#[cube]
fn unit(word: u32) -> f32 {
    let high = f32::cast_from(word >> 16u32);
    let low = f32::cast_from(word & 0xFFFFu32);
    // Both products are exact.
    (high * 65536.0f32 + rounded(low + 0.5f32)) * 2.328_306_436_538_696_3e-10f32
}

/// `noise::normal::ln`, of a positive, normal number.
#[cube]
pub(super) fn ln(u: f32) -> f32 {
    let bits = i32::reinterpret(u);
    let exponent = (bits - 0x3F35_04F3i32) >> 23i32;
    let mantissa = f32::reinterpret(bits - (exponent << 23i32));
    let e = f32::cast_from(exponent);
    let f = rounded(mantissa - 1.0f32);

    let f2 = f * f;
    let cubic = rounded(f * f2 * horner(f, comptime!(&LN as &'static [f32])));
    let tail = cubic + rounded(e * LN_2_LOW) - rounded(0.5f32 * f2);
    // The last product is exact.
    (f + tail) + e * LN_2_HIGH
}

/// `noise::normal::cos_sin_turn`.
#[cube]
fn cos_sin_turn(word: u32) -> (f32, f32) {
    let turned = word + 0x2000_0000u32;
    let odd = (i32::reinterpret(word << 2u32) >> 1i32) | 1i32;
    let t = rounded(f32::cast_from(odd) * 7.314_590_396_335_79e-10f32);

    let z = rounded(t * t);
    let sin = rounded(t * z * horner(z, comptime!(&SIN as &'static [f32]))) + t;
    let quartic = rounded(z * z * horner(z, comptime!(&COS as &'static [f32])));
    // Half of z is exact.
    let cos = rounded(quartic - 0.5f32 * z) + 1.0f32;

    let odd_quarter = (turned & 0x4000_0000u32) != 0u32;
    let x = select(odd_quarter, sin, cos);
    let y = select(odd_quarter, cos, sin);
    let x_sign = (turned + 0x4000_0000u32) & 0x8000_0000u32;
    let y_sign = turned & 0x8000_0000u32;
    (
        f32::reinterpret(u32::reinterpret(x) ^ x_sign),
        f32::reinterpret(u32::reinterpret(y) ^ y_sign),
    )
}
