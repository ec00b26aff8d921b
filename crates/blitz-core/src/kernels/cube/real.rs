//! The arithmetic of the fused operations: `cpu/real.rs` for a device, in `f32` and `f64` with polynomials, since a device's own
//! functions differ from one to the next, or lack.

// A constant keeps the digits that its derivation gave; rounding them is the compiler's job.
#![allow(clippy::excessive_precision)]

use std::f32::consts::LOG2_E;

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;

use super::noise;
use crate::math::LOG_LINEAR_BELOW;

/// A number that the kernels compute with.
#[cube]
pub(super) trait Real: Float {
    /// `e^−x` for `x ≥ 0`.
    fn exp_neg(x: Self) -> Self;

    /// `ln(1 + x)` for `0 ≤ x ≤ 1`.
    fn log1p_unit(x: Self) -> Self;

    /// `ln x` of a positive, normal number.
    fn log(x: Self) -> Self;
}

#[cube]
impl Real for f32 {
    fn exp_neg(x: f32) -> f32 {
        // A comparison, since `min` would lose a NaN.
        let x = select(x > 104.0f32, 104.0f32, x);
        // The CPU rounds by adding 1.5·2²³, which a compiler with fast mathematics would undo.
        let n = (x * LOG2_E + 0.5f32).floor();
        let r = (n * 0.693_359_375f32 - x) + n * -2.121_944_400_546_905_8e-4f32;

        let p = r * 0.001_381_446_525_987_397_2f32 + 0.008_368_780_260_270_691f32;
        let p = p * r + 0.041_668_394_219_320_189f32;
        let p = p * r + 0.166_665_201_097_335_61f32;
        let p = p * r + 0.499_999_934_126_792_04f32;
        // Not `r * r * p + r + 1`, where a compiler might add the 1 first.
        let e = r * (r * p + 1.0f32) + 1.0f32;

        // 2^−n in two steps, since it may be subnormal. The integer of a NaN may be any.
        let n = i32::cast_from(n);
        let half = n >> 1i32;
        e * power_of_two(-half) * power_of_two(half - n)
    }

    fn log1p_unit(x: f32) -> f32 {
        let p = x * -0.003_256_418_455_769_473_8f32 + 0.020_034_697_019_967_426f32;
        let p = p * x - 0.057_578_982_591_212_159f32;
        let p = p * x + 0.106_988_571_458_873_54f32;
        let p = p * x - 0.153_844_053_958_303_64f32;
        let p = p * x + 0.197_126_745_573_560_22f32;
        let p = p * x - 0.249_635_311_056_773_7f32;
        let p = p * x + 0.333_311_537_941_367_54f32;
        let p = p * x - 0.499_999_605_372_037_97f32;
        x * x * p + x
    }

    fn log(x: f32) -> f32 {
        noise::ln(x)
    }
}

/// Arithmetic alone: Vulkan has no exponential and no logarithm of an `f64`.
#[cube]
impl Real for f64 {
    fn exp_neg(x: f64) -> f64 {
        // e^−700 is still a normal number.
        let x = select(x > 700.0f64, 700.0f64, x);
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
}

/// `2^n` for `−126 ≤ n ≤ 127`.
#[cube]
fn power_of_two(n: i32) -> f32 {
    f32::reinterpret((n + 127i32) << 23i32)
}

/// σ = softplus(ρ), and what its derivatives need.
#[derive(CubeType, Clone, Copy)]
pub(super) struct Deviation<R: Real> {
    rho: R,
    /// `e^−|ρ|`.
    tail: R,
    /// σ.
    pub sigma: R,
}

#[cube]
impl<R: Real> Deviation<R> {
    pub fn of(rho: R) -> Deviation<R> {
        let zero = R::new(0.0f32);
        let tail = R::exp_neg(rho.abs());
        let linear = select(rho > zero, rho, zero);
        Deviation::<R> {
            rho,
            tail,
            sigma: linear + R::log1p_unit(tail),
        }
    }

    /// `dσ/dρ`, the logistic function of ρ.
    pub fn slope(&self) -> R {
        let one = R::new(1.0f32);
        select(self.rho > R::new(0.0f32), one, self.tail) / (one + self.tail)
    }

    /// `ln σ`.
    pub fn log_sigma(&self) -> R {
        let linear = self.rho < R::new(comptime!(LOG_LINEAR_BELOW as f32));
        // Of 1 where the result is not used: `log` wants a normal number.
        let log = R::log(select(linear, R::new(1.0f32), self.sigma));
        select(linear, self.rho, log)
    }

    /// `d ln σ / dρ`.
    pub fn log_slope(&self) -> R {
        let linear = self.rho < R::new(comptime!(LOG_LINEAR_BELOW as f32));
        let one = R::new(1.0f32);
        let slope = self.slope() / select(linear, one, self.sigma);
        select(linear, one, slope)
    }
}
