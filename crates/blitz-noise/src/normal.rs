//! Two random words to two standard normals: the transform of Box and Muller (*A note on the generation of
//! random normal deviates*, 1958) with logarithm, sine and cosine of our own.
//!
//! A library's `ln` differs from platform to platform; these are additions, multiplications and one square
//! root, each of which IEEE 754 defines to the last bit. None is fused (`mul_add`), since a fused multiply-add
//! rounds differently and not every CPU has one. There is no branch, so that the compiler can make vectors of
//! it. The errors of the polynomials were found by trying every possible word.

use std::f32::consts::PI;

use crate::coefficients::{COS, LN, LN_2_HIGH, LN_2_LOW, SIN, horner};

/// `(r cos θ, r sin θ)` with `r = √(−2 ln u)`, `u = (radius + ½)·2⁻³²`, `θ = 2π(angle + ½)·2⁻³²`.
#[inline(always)]
pub fn normal_pair(radius: u32, angle: u32) -> (f32, f32) {
    let r = (-2.0 * ln(unit(radius))).sqrt();
    let (cos, sin) = cos_sin_turn(angle);
    (r * cos, r * sin)
}

/// `(word + ½)·2⁻³²`, rounded once to `f32`; in `[2⁻³³, 1]`.
///
/// Two halves of 16 bits, since both are exact and their sum rounds once: `word as f32 + 0.5` would round
/// twice, and CPUs convert signed integers faster than unsigned ones.
#[inline(always)]
pub(crate) fn unit(word: u32) -> f32 {
    let high = (word >> 16) as i32 as f32;
    let low = (word & 0xFFFF) as i32 as f32;
    (high * 65536.0 + (low + 0.5)) * (1.0 / 4_294_967_296.0)
}

/// `ln u` for a normal, positive `u`.
///
/// `u = 2ᵉ·m` with `m` in `[√½, √2)`, so that `e = 0` around 1 and nothing cancels there; then
/// `ln u = e ln 2 + f − f²/2 + f³·P(f)` with `f = m − 1`.
#[inline(always)]
pub fn ln(u: f32) -> f32 {
    const SQRT_HALF: i32 = 0x3F35_04F3;

    let bits = u.to_bits() as i32;
    let exponent = bits.wrapping_sub(SQRT_HALF) >> 23;
    let mantissa = f32::from_bits(bits.wrapping_sub(exponent << 23) as u32);
    let e = exponent as f32;
    let f = mantissa - 1.0;

    let f2 = f * f;
    // Smallest terms first.
    let tail = f * f2 * horner(&LN, f) + e * LN_2_LOW - 0.5 * f2;
    (f + tail) + e * LN_2_HIGH
}

/// `(cos θ, sin θ)` for `θ = 2π(word + ½)·2⁻³²`.
///
/// The reduction is in integers and exact: `θ = q·π/2 + t` with `q` the nearest quarter turn, `t` in
/// `(−π/4, π/4)` and never 0. The ½ makes the angles symmetric about every axis, so no sign is favoured.
#[inline(always)]
pub(crate) fn cos_sin_turn(word: u32) -> (f32, f32) {
    const SIGN: u32 = 0x8000_0000;
    const QUARTER: u32 = 0x4000_0000;
    const EIGHTH: u32 = 0x2000_0000;

    // The two top bits are q.
    let turned = word.wrapping_add(EIGHTH);
    // What the quarter turns leave, plus ½, in units of 2⁻³³ turns. Dropping the two top bits of the word
    // and taking what is left as a signed number subtracts the *nearest* quarter.
    let odd = ((word << 2) as i32 >> 1) | 1;
    let t = odd as f32 * (PI / 4_294_967_296.0);

    let z = t * t;
    let sin = t * z * horner(&SIN, z) + t;
    let cos = z * z * horner(&COS, z) - 0.5 * z + 1.0;

    // An odd quarter swaps the two; the signs go by quadrant: cosine + − − +, sine + + − −.
    let odd_quarter = turned & QUARTER != 0;
    let (x, y) = if odd_quarter { (sin, cos) } else { (cos, sin) };
    let x_sign = turned.wrapping_add(QUARTER) & SIGN;
    let y_sign = turned & SIGN;
    (
        f32::from_bits(x.to_bits() ^ x_sign),
        f32::from_bits(y.to_bits() ^ y_sign),
    )
}
