//! The numbers of the fused operations: `cpu/real.rs` for a device, in `f32` and `f64` with polynomials, since a
//! device's own functions differ from one to the next, or lack.
//!
//! In `f32` they have the bits of the CPU's down to the smallest normal numbers, below which a device may flush to
//! zero.

// A constant keeps the digits that its derivation gave; rounding them is the compiler's job.
#![allow(clippy::excessive_precision)]

use std::f32::consts::LOG2_E;

// CubeCL's macros and `elementwise.rs` take both from here.
pub(super) use burn_cubecl::cubecl;
pub(super) use burn_cubecl::cubecl::prelude::*;

use super::noise;
use super::rounding::{horner, rounded};
use crate::kernels::formula::SMALLEST_VARIANCE;
use crate::math::{LOG_LINEAR_BELOW, LOG_LINEAR_BELOW_F64};
use blitz_noise::coefficients::{EXP, LN_2_HIGH, LN_2_LOW, LOG1P, TANH};

/// What `elementwise.rs` is written in: here, CubeCL's Rust. `#[cube]` stands in the code itself, since what it makes
/// has to see the names of the code around it.
macro_rules! arithmetic {
    ($(#[$meta:meta])* $vis:vis struct $($rest:tt)*) => {
        $(#[$meta])*
        #[derive(CubeType, Clone, Copy)]
        $vis struct $($rest)*
    };
    ($($item:tt)*) => { $($item)* };
}
pub(super) use arithmetic;

/// The smallest variance of a layer's output that has a gradient.
#[cube]
pub(super) fn smallest_variance<R: Real>() -> R {
    R::new(comptime!(SMALLEST_VARIANCE as f32))
}

/// The numbers of a [`Map`](crate::kernels::formula::Map) or a [`Sum`](crate::kernels::formula::Sum), in the precision
/// that a kernel computes in.
#[derive(CubeType, Clone, Copy)]
pub(in crate::kernels) struct Coefficients<R: Real> {
    pub a: R,
    pub b: R,
    pub c: R,
    pub d: R,
    pub e: R,
}

/// A number that the kernels compute with.
#[cube]
pub(in crate::kernels) trait Real: Float {
    /// `e^−x` for `x ≥ 0`.
    fn exp_neg(x: Self) -> Self;

    /// `ln(1 + x)` for `0 ≤ x ≤ 1`.
    fn log1p_unit(x: Self) -> Self;

    /// `ln x` of a positive, normal number.
    fn log(x: Self) -> Self;

    /// The hyperbolic tangent.
    fn hyperbolic_tan(x: Self) -> Self;

    /// Whether `ln softplus(ρ)` is ρ to the last digit.
    fn log_is_linear(rho: Self) -> bool;

    /// The larger of `x` and `bound`; a NaN if `x` is one.
    fn at_least(x: Self, bound: Self) -> Self;

    /// The number as it was rounded, where a compiler would otherwise compute it together with what it goes into. An
    /// `f64` is left to the compiler.
    fn rounded(x: Self) -> Self;
}

#[cube]
impl Real for f32 {
    fn exp_neg(x: f32) -> f32 {
        let x = select(x > 104.0f32 && is_number(x), 104.0f32, x);
        let shifted = rounded(rounded(x * LOG2_E) + ROUND);
        let n = shifted - ROUND;
        // The first product is exact.
        let r = (n * LN_2_HIGH - x) + rounded(n * LN_2_LOW);

        let square = rounded(r * r * horner(r, comptime!(&EXP as &'static [f32])));
        let e = rounded(square + r) + 1.0f32;

        // 2^−n in two steps, since it may be subnormal. The integer of a NaN may be any.
        let n = i32::reinterpret(shifted) - i32::new(comptime!(ROUND.to_bits() as i64));
        let half = n >> 1i32;
        e * power_of_two(-half) * power_of_two(half - n)
    }

    fn log1p_unit(x: f32) -> f32 {
        rounded(x * x * horner(x, comptime!(&LOG1P as &'static [f32]))) + x
    }

    fn log(x: f32) -> f32 {
        noise::ln(x)
    }

    fn hyperbolic_tan(x: f32) -> f32 {
        let size = x.abs();
        let e = f32::exp_neg(size + size);
        let far = (1.0f32 - e) / (1.0f32 + e);
        let z = x * x;
        let near = x * z * horner(z, comptime!(&TANH as &'static [f32])) + x;
        select(size < 0.625f32, near, select(x < 0.0f32, -far, far))
    }

    fn log_is_linear(rho: f32) -> bool {
        rho < f32::new(comptime!(LOG_LINEAR_BELOW as f32))
    }

    fn at_least(x: f32, bound: f32) -> f32 {
        select(x < bound && is_number(x), bound, x)
    }

    fn rounded(x: f32) -> f32 {
        rounded(x)
    }
}

/// 1.5·2²³: adding it rounds to an integer, whose value is then in the low bits.
const ROUND: f32 = 12_582_912.0;

/// Arithmetic alone: Vulkan has no exponential and no logarithm of an `f64`.
#[cube]
impl Real for f64 {
    fn exp_neg(x: f64) -> f64 {
        // e^−700 is still a normal number.
        let x = select(x > 700.0f64 && is_number(f32::cast_from(x)), 700.0f64, x);
        let n = (f32::cast_from(x) * LOG2_E + 0.5f32).floor();
        let steps = f64::cast_from(n);
        let r =
            (steps * 0.693_147_180_369_123_816_49f64 - x) + steps * 1.908_214_929_270_587_7e-10f64;

        // The Taylor series: r¹⁵/15! is below 2^−60.
        let mut e = 1.0f64;
        #[unroll]
        for i in 0..14 {
            e = e * (r / f64::new(comptime!((14 - i) as f32))) + 1.0f64;
        }

        // 2^−n as (2^−⌊n/16⌋)¹⁶ · 2^−(n mod 16).
        let n = i32::cast_from(n);
        let power = f64::cast_from(power_of_two(-(n >> 4i32)));
        let power = power * power;
        let power = power * power;
        let power = power * power;
        let power = power * power;
        e * power * f64::cast_from(power_of_two(-(n & 15i32)))
    }

    /// `2 artanh(x / (2 + x))`, as a series.
    fn log1p_unit(x: f64) -> f64 {
        let s = x / (2.0f64 + x);
        let square = s * s;
        // Up to s³⁷/37, which is below 2^−63 of the first term.
        let mut series = 0.0f64;
        #[unroll]
        for i in 0..19 {
            series = series * square + 2.0f64 / f64::new(comptime!((37 - 2 * i) as f32));
        }
        s * series
    }

    /// That of `f32`, put right: `ln x = l + ln(x e^−l)`.
    fn log(x: f64) -> f64 {
        let l = f64::cast_from(noise::ln(f32::cast_from(x)));
        let e = f64::exp_neg(l.abs());
        let ratio = select(l > 0.0f64, x * e, x / e);
        let d = ratio - 1.0f64;
        l + d * (1.0f64 - d * (0.5f64 - d * 0.333_333_333_333_333_3f64))
    }

    /// Near zero, where `1 − e^−2|x|` loses digits, the continued fraction `x / (1 + x²/(3 + x²/(5 + …)))`.
    fn hyperbolic_tan(x: f64) -> f64 {
        let size = x.abs();
        let e = f64::exp_neg(size + size);
        let far = (1.0f64 - e) / (1.0f64 + e);
        let z = x * x;
        let mut divisor = 21.0f64;
        #[unroll]
        for i in 0..10 {
            divisor = f64::new(comptime!((19 - 2 * i) as f32)) + z / divisor;
        }
        select(size < 0.625f64, x / divisor, select(x < 0.0f64, -far, far))
    }

    fn log_is_linear(rho: f64) -> bool {
        rho < f64::new(comptime!(LOG_LINEAR_BELOW_F64 as f32))
    }

    fn at_least(x: f64, bound: f64) -> f64 {
        select(x < bound && is_number(f32::cast_from(x)), bound, x)
    }

    fn rounded(x: f64) -> f64 {
        x
    }
}

/// Whether it is no NaN. By its bits: a driver may take it that there are none, and make a comparison of floats and
/// what depends on it a `min` or a `max`, which loses one.
#[cube]
fn is_number(x: f32) -> bool {
    (u32::reinterpret(x) & 0x7FFF_FFFFu32) <= 0x7F80_0000u32
}

/// `2^n` for `−126 ≤ n ≤ 127`.
#[cube]
fn power_of_two(n: i32) -> f32 {
    f32::reinterpret((n + 127i32) << 23i32)
}
