//! The polynomials of the crate's logarithm, exponential, sine, cosine and hyperbolic tangent, once for CPUs and
//! devices.
//!
//! All are minimax (Remez), rounded to `f32`, and in the order of Horner's rule: the highest power first.

// A constant keeps the digits that its derivation gave; rounding them to `f32` is the compiler's job.
#![allow(clippy::excessive_precision)]

/// The high part of ln 2, short enough that a small integer times it is exact.
pub const LN_2_HIGH: f32 = 0.693_359_375;

/// What [`LN_2_HIGH`] leaves.
pub const LN_2_LOW: f32 = -2.121_944_400_546_905_8e-4;

/// `ln(1 + f) = f − f²/2 + f³ P(f)` from √½ to √2. Its relative error is 2^-27.3.
pub const LN: [f32; 8] = [
    -0.076_345_029_201_6,
    0.127_615_773_485,
    -0.131_601_804_621,
    0.142_017_579_979,
    -0.166_233_575_354,
    0.200_012_268_731,
    -0.250_008_210_285,
    0.333_333_317_078,
];

/// `sin t = t + t³ P(t²)` up to π/4. Its relative error is 2^-28.0.
pub const SIN: [f32; 3] = [
    -0.000_195_152_831_225,
    0.008_332_160_761_28,
    -0.166_666_546_095,
];

/// `cos t = 1 − t²/2 + t⁴ P(t²)` up to π/4. Its relative error is 2^-33.0.
pub const COS: [f32; 3] = [
    0.000_024_433_157_023_5,
    -0.001_388_731_625_41,
    0.041_666_645_683,
];

/// `e^r = 1 + r + r² P(r)` up to ln 2 / 2. Its relative error is 2^-28.3.
pub const EXP: [f32; 5] = [
    0.001_381_446_525_987_397_2,
    0.008_368_780_260_270_691,
    0.041_668_394_219_320_189,
    0.166_665_201_097_335_61,
    0.499_999_934_126_792_04,
];

/// `ln(1 + x) = x + x² P(x)` from 0 to 1. Its relative error is 2^-26.7.
pub const LOG1P: [f32; 9] = [
    -0.003_256_418_455_769_473_8,
    0.020_034_697_019_967_426,
    -0.057_578_982_591_212_159,
    0.106_988_571_458_873_54,
    -0.153_844_053_958_303_64,
    0.197_126_745_573_560_22,
    -0.249_635_311_056_773_7,
    0.333_311_537_941_367_54,
    -0.499_999_605_372_037_97,
];

/// `tanh x = x + x³ P(x²)` up to 0.625. Its relative error is 2^-32.5.
pub const TANH: [f32; 6] = [
    0.002_142_962_859_411_768,
    -0.008_177_399_485_026_705,
    0.021_700_703_800_584_926,
    -0.053_946_763_186_702_12,
    0.133_332_060_096_005_57,
    -0.333_333_308_027_734_25,
];

/// The polynomial at x, by Horner's rule.
///
/// Always inlined, to be compiled for the instruction set of its caller.
#[inline(always)]
pub fn horner<const N: usize>(polynomial: &[f32; N], x: f32) -> f32 {
    let mut sum = polynomial[0];
    for coefficient in &polynomial[1..] {
        sum = sum * x + coefficient;
    }
    sum
}
