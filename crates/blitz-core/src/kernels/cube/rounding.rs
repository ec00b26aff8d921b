//! Arithmetic in `f32` that gives a CPU's bits on every device.
//!
//! All devices round one addition, subtraction or multiplication alike. They part where a compiler makes one operation
//! of two, reorders them, or takes a square root by an approximation.

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;

/// The number as it was rounded: no compiler can compute what it came from together with what it goes into.
///
/// Its bits pass through an operation on integers with [`unknown_zero`].
#[cube]
pub(super) fn rounded(x: f32) -> f32 {
    f32::reinterpret(u32::reinterpret(x) ^ unknown_zero())
}

/// Zero, which no compiler knows: a cube's position is below their count, which is below 2³¹.
#[cube]
fn unknown_zero() -> u32 {
    (CUBE_COUNT_X - CUBE_POS_X) >> 31u32
}

/// The polynomial at x, as `blitz_noise::coefficients::horner` computes it.
#[allow(clippy::needless_range_loop)] // An unrolled loop counts.
#[cube]
pub(super) fn horner(x: f32, #[comptime] polynomial: &'static [f32]) -> f32 {
    let mut sum = f32::new(comptime!(polynomial[0]));
    #[unroll]
    for i in 1..comptime!(polynomial.len()) {
        sum = rounded(sum * x) + f32::new(comptime!(polynomial[i]));
    }
    sum
}

/// √x of zero or a normal number below 2⁶², the nearest number to it.
#[cube]
pub(super) fn square_root(x: f32) -> f32 {
    nearest_root(x, x.sqrt())
}

/// The nearest number to √x, of a guess that is at most 32 ulp off.
///
/// With `x = X·4ᵃ` and a whole X from 2⁴⁶ to 2⁴⁸, the root is a whole S of 24 bits times 2ᵃ. The nearest S is that with
/// `−S < X − S² ≤ S`; the difference is so small that 32 bits of either number give it.
#[cube]
pub(super) fn nearest_root(x: f32, guess: f32) -> f32 {
    let bits = u32::reinterpret(x);
    let exponent = (bits >> 23u32) + 127u32;
    let square = ((bits & 0x007F_FFFFu32) | 0x0080_0000u32) << (23u32 + (exponent & 1u32));
    // 2⁻ᵃ.
    let scale = f32::reinterpret((277u32 - (exponent >> 1u32)) << 23u32);

    let root = u32::cast_from(guess * scale);
    let missing = f32::cast_from(i32::reinterpret(square - root * root));
    let steps = (missing / f32::cast_from(root + root) + 0.5f32).floor();
    let root = root + u32::reinterpret(i32::cast_from(steps));
    // The guess of the steps may be off by one where two roots are almost as near.
    let missing = i32::reinterpret(square - root * root);
    let whole = i32::reinterpret(root);
    let up = u32::cast_from(missing > whole);
    let down = u32::cast_from(missing <= -whole);
    let root = root + up - down;

    let unscale = f32::reinterpret(((exponent >> 1u32) - 23u32) << 23u32);
    select(x == 0.0f32, x, f32::cast_from(root) * unscale)
}
