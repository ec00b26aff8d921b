//! The numbers of the fused operations, in `f32` with functions that the compiler can make vectors of, and in `f64`
//! with those of the standard library; and the tensor elements that are computed in each.

use std::ops::{Add, Div, Mul, Neg, Sub};

use burn::tensor::{bf16, f16};

use crate::kernels::formula::SMALLEST_VARIANCE;
use crate::math::{LOG_LINEAR_BELOW, LOG_LINEAR_BELOW_F64};
use blitz_noise::coefficients::{EXP, LN_2_HIGH, LN_2_LOW, LOG1P, TANH, horner};
use blitz_noise::fill::GROUP;
use blitz_noise::normal;

/// What `elementwise.rs` is written in: here, Rust as it stands.
macro_rules! arithmetic {
    ($(#[$meta:meta])* $vis:vis struct $($rest:tt)*) => {
        $(#[$meta])*
        #[derive(Clone, Copy)]
        $vis struct $($rest)*
    };
    (#[cube] $($item:tt)*) => { $($item)* };
}
pub(super) use arithmetic;

/// One of two values, both of which are computed.
#[inline(always)]
pub(crate) fn select<R>(condition: bool, then: R, otherwise: R) -> R {
    if condition { then } else { otherwise }
}

/// The smallest variance of a layer's output that has a gradient.
#[inline(always)]
pub(super) fn smallest_variance<R: Real>() -> R {
    R::from_f64(SMALLEST_VARIANCE)
}

/// The numbers of a [`Map`](crate::kernels::formula::Map) or a [`Sum`](crate::kernels::formula::Sum).
#[derive(Clone, Copy)]
pub(crate) struct Coefficients<R> {
    pub a: R,
    pub b: R,
    pub c: R,
    pub d: R,
    pub e: R,
}

impl<R: Real> Coefficients<R> {
    pub fn new(coefficients: [f64; 5]) -> Self {
        let [a, b, c, d, e] = coefficients.map(R::from_f64);
        Self { a, b, c, d, e }
    }
}

/// A number that the fused operations compute with.
pub(crate) trait Real:
    Copy
    + Send
    + Sync
    + PartialOrd
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + 'static
{
    const ZERO: Self;

    fn new(value: f32) -> Self;
    fn from_f64(value: f64) -> Self;
    fn to_f64(self) -> f64;
    fn sqrt(self) -> Self;
    fn abs(self) -> Self;

    /// `e^−x` for `x ≥ 0`.
    fn exp_neg(self) -> Self;

    /// `ln(1 + x)` for `0 ≤ x ≤ 1`, with a small relative error down to the smallest x.
    fn log1p_unit(self) -> Self;

    /// `ln x` of a positive, normal number.
    fn log(self) -> Self;

    /// The hyperbolic tangent.
    fn hyperbolic_tan(self) -> Self;

    /// Whether `ln softplus(ρ)` is ρ to the last digit.
    fn log_is_linear(rho: Self) -> bool;

    /// [`exp_neg`](Self::exp_neg) of a group.
    #[inline(always)]
    fn exp_neg_group(group: &[Self; GROUP]) -> [Self; GROUP] {
        group.map(Self::exp_neg)
    }

    /// [`log1p_unit`](Self::log1p_unit) of a group.
    #[inline(always)]
    fn log1p_unit_group(group: &[Self; GROUP]) -> [Self; GROUP] {
        group.map(Self::log1p_unit)
    }

    /// The larger of the number and `bound`; a NaN if the number is one, which `max` would lose.
    #[inline(always)]
    fn at_least(self, bound: Self) -> Self {
        select(self < bound, bound, self)
    }

    /// The number as it was rounded: Rust never computes two operations as one.
    #[inline(always)]
    fn rounded(self) -> Self {
        self
    }
}

impl Real for f32 {
    const ZERO: Self = 0.0;

    #[inline(always)]
    fn new(value: f32) -> Self {
        value
    }

    #[inline(always)]
    fn from_f64(value: f64) -> Self {
        value as f32
    }

    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        f32::sqrt(self)
    }

    #[inline(always)]
    fn abs(self) -> Self {
        f32::abs(self)
    }

    /// Within 1 ulp of the exact value, and within one subnormal step below the normal numbers.
    #[inline(always)]
    fn exp_neg(self) -> Self {
        let [shifted, r] = reduced(self);
        exponential(shifted, r, horner(&EXP, r))
    }

    #[inline(always)]
    fn exp_neg_group(group: &[Self; GROUP]) -> [Self; GROUP] {
        let (mut shifted, mut r) = ([0.0; GROUP], [0.0; GROUP]);
        for i in 0..GROUP {
            [shifted[i], r[i]] = reduced(group[i]);
        }
        let mut values = horner_of_group(&EXP, &r);
        for i in 0..GROUP {
            values[i] = exponential(shifted[i], r[i], values[i]);
        }
        values
    }

    /// Within 1.7 ulp of the exact value.
    #[inline(always)]
    fn log1p_unit(self) -> Self {
        self * self * horner(&LOG1P, self) + self
    }

    #[inline(always)]
    fn log1p_unit_group(group: &[Self; GROUP]) -> [Self; GROUP] {
        let mut values = horner_of_group(&LOG1P, group);
        for (value, x) in values.iter_mut().zip(group) {
            *value = x * x * *value + x;
        }
        values
    }

    #[inline(always)]
    fn log(self) -> Self {
        normal::ln(self)
    }

    /// Within 2 ulp of the exact value.
    #[inline(always)]
    fn hyperbolic_tan(self) -> Self {
        // (1 − e^−2|x|) / (1 + e^−2|x|), which loses digits near zero; there x + x³ p(x²).
        let x = self.abs();
        let e = (x + x).exp_neg();
        let far = (1.0 - e) / (1.0 + e);
        let z = self * self;
        let near = self * z * horner(&TANH, z) + self;
        let far = if self < 0.0 { -far } else { far };
        if x < 0.625 { near } else { far }
    }

    #[inline(always)]
    fn log_is_linear(rho: Self) -> bool {
        rho < LOG_LINEAR_BELOW as f32
    }
}

/// [`horner`] of a group, a power of all its elements before the next.
#[inline(always)]
fn horner_of_group<const N: usize>(polynomial: &[f32; N], group: &[f32; GROUP]) -> [f32; GROUP] {
    let mut sums = [polynomial[0]; GROUP];
    for coefficient in &polynomial[1..] {
        for (sum, x) in sums.iter_mut().zip(group) {
            *sum = *sum * x + coefficient;
        }
    }
    sums
}

/// Adding and subtracting 1.5·2²³ rounds to an integer, whose value is then in the low bits.
const ROUND: f32 = 12_582_912.0;

/// `e^−x = 2^−n e^r` for `x ≥ 0` with n the nearest integer to `x / ln 2`, so that `|r| ≤ ln 2 / 2`: n as `n + ROUND`,
/// and r.
#[inline(always)]
fn reduced(x: f32) -> [f32; 2] {
    // e^−104 rounds to 0. A comparison, since `min` would lose a NaN.
    let x = if x > 104.0 { 104.0 } else { x };
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    [shifted, (n * LN_2_HIGH - x) + n * LN_2_LOW]
}

/// `2^−n e^r` of `n + ROUND`, of r, and of the polynomial [`EXP`] at r.
#[inline(always)]
fn exponential(shifted: f32, r: f32, polynomial: f32) -> f32 {
    let e = r * r * polynomial + r + 1.0;
    // 2^−n in two steps, since it may be subnormal.
    let n = (shifted.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32);
    let half = n >> 1;
    e * power_of_two(half.wrapping_neg()) * power_of_two(half.wrapping_sub(n))
}

/// `2^n` for `−126 ≤ n ≤ 127`.
#[inline(always)]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) as u32) << 23)
}

impl Real for f64 {
    const ZERO: Self = 0.0;

    #[inline(always)]
    fn new(value: f32) -> Self {
        f64::from(value)
    }

    #[inline(always)]
    fn from_f64(value: f64) -> Self {
        value
    }

    #[inline(always)]
    fn to_f64(self) -> f64 {
        self
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        f64::sqrt(self)
    }

    #[inline(always)]
    fn abs(self) -> Self {
        f64::abs(self)
    }

    #[inline(always)]
    fn exp_neg(self) -> Self {
        (-self).exp()
    }

    #[inline(always)]
    fn log1p_unit(self) -> Self {
        self.ln_1p()
    }

    #[inline(always)]
    fn log(self) -> Self {
        f64::ln(self)
    }

    #[inline(always)]
    fn hyperbolic_tan(self) -> Self {
        f64::tanh(self)
    }

    #[inline(always)]
    fn log_is_linear(rho: Self) -> bool {
        rho < LOG_LINEAR_BELOW_F64
    }
}

/// The element of a tensor, and what it is computed in.
pub(crate) trait Element: burn::tensor::Element {
    type Real: Real;

    fn load(self) -> Self::Real;
    fn store(value: Self::Real) -> Self;
}

macro_rules! element {
    ($element:ty, $real:ty, $load:expr, $store:expr) => {
        impl Element for $element {
            type Real = $real;

            #[inline(always)]
            fn load(self) -> $real {
                $load(self)
            }

            #[inline(always)]
            fn store(value: $real) -> Self {
                $store(value)
            }
        }
    };
}

element!(f32, f32, |x| x, |x| x);
element!(f64, f64, |x| x, |x| x);
element!(f16, f32, f16::to_f32, f16::from_f32);
element!(bf16, f32, bf16::to_f32, bf16::from_f32);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::cpu::elementwise::Scale;

    /// The distance of a value from the exact one, in units of the last place of `f32` there.
    fn ulps(got: f32, exact: f64) -> f64 {
        let exponent = exact.abs().log2().floor().max(-126.0);
        (f64::from(got) - exact).abs() / (exponent - 23.0).exp2()
    }

    /// The largest error over the numbers from `low` to `high`, every 1009th of them.
    fn largest_error(
        (low, high): (f32, f32),
        of: impl Fn(f32) -> f32,
        exact: impl Fn(f64) -> f64,
    ) -> f64 {
        let bits = (low.to_bits()..=high.to_bits()).step_by(1009);
        bits.map(f32::from_bits)
            .map(|x| ulps(of(x), exact(f64::from(x))))
            .fold(0.0, f64::max)
    }

    #[test]
    fn the_exponential_and_the_logarithm_are_as_exact_as_documented() {
        let exp = largest_error((1e-30, 104.0), f32::exp_neg, |x| (-x).exp());
        assert!(exp < 1.0, "{exp}");
        let log = largest_error((1e-38, 1.0), f32::log1p_unit, f64::ln_1p);
        assert!(log < 1.7, "{log}");
        let tanh = largest_error((1e-30, 40.0), f32::hyperbolic_tan, f64::tanh);
        assert!(tanh < 2.0, "{tanh}");
        assert_eq!(Real::hyperbolic_tan(-0.7f32), -Real::hyperbolic_tan(0.7f32));
        assert_eq!(
            (
                Real::hyperbolic_tan(0f32),
                Real::hyperbolic_tan(f32::INFINITY)
            ),
            (0.0, 1.0)
        );
        assert!(Real::hyperbolic_tan(f32::NAN).is_nan());
        assert_eq!((0f32.exp_neg(), 0f32.log1p_unit()), (1.0, 0.0));
        assert_eq!(f32::INFINITY.exp_neg(), 0.0);
        assert!(f32::NAN.exp_neg().is_nan());
    }

    #[test]
    fn the_logarithm_of_a_small_deviation_has_the_digits_of_f64() {
        for rho in [-100.0f64, -40.0, -36.9, -30.0, -20.0, -15.1, -14.9] {
            let (softplus, scale) = (rho.exp().ln_1p(), Scale::of(rho));
            let off = scale.log_sigma() - softplus.ln();
            assert!(off.abs() < 4.0 * f64::EPSILON * rho.abs(), "{rho}: {off}");
            let slope = rho.exp() / (1.0 + rho.exp()) / softplus;
            let off = scale.log_slope() - slope;
            assert!(off.abs() < 4.0 * f64::EPSILON, "{rho}: {off}");
        }
    }

    #[test]
    fn a_group_has_the_bits_of_its_elements() {
        let edges = [
            0.0,
            f32::MIN_POSITIVE / 3.0,
            103.9,
            104.0,
            1e9,
            f32::INFINITY,
            f32::NAN,
        ];
        let group: [f32; GROUP] = std::array::from_fn(|i| {
            let number = (i as f32 / 7.0).exp2() / 8.0;
            edges.get(i).copied().unwrap_or(number)
        });
        let tails = f32::exp_neg_group(&group);
        assert_eq!(
            tails.map(f32::to_bits),
            group.map(|x| x.exp_neg().to_bits())
        );
        assert_eq!(
            f32::log1p_unit_group(&tails).map(f32::to_bits),
            tails.map(|x| x.log1p_unit().to_bits())
        );
    }

    #[test]
    fn a_deviation_and_its_derivatives_are_exact_to_a_few_ulp() {
        let softplus = |x: f64| x.max(0.0) + (-x.abs()).exp().ln_1p();
        let logistic = |x: f64| 1.0 / (1.0 + (-x).exp());
        for sign in [1.0f32, -1.0] {
            let largest = |of: fn(Scale<f32>) -> f32, exact: &dyn Fn(f64) -> f64| {
                largest_error(
                    (1e-10, 80.0),
                    |x| of(Scale::of(sign * x)),
                    |x| exact(f64::from(sign) * x),
                )
            };
            let sigma = largest(|d| d.sigma, &softplus);
            assert!(sigma < 2.5, "{sigma}");
            let slope = largest(|d| d.slope(), &logistic);
            assert!(slope < 3.0, "{slope}");
            let log_slope = largest(|d| d.log_slope(), &|x| logistic(x) / softplus(x));
            // Where ρ < −15 it counts as 1, to 2e-7.
            assert!(log_slope < 5.0, "{log_slope}");
        }
        // ln σ crosses zero, so its error is an absolute one there; and it counts as ρ below −15, to 2e-7.
        for i in 0..400_000 {
            let rho = i as f32 / 2000.0 - 100.0;
            let exact = softplus(f64::from(rho)).ln();
            let error = (f64::from(Scale::of(rho).log_sigma()) - exact).abs();
            assert!(error < 4e-7 * exact.abs().max(1.0), "{rho}: {error}");
        }
    }
}
