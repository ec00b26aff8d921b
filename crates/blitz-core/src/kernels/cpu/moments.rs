//! The moments of rectified normals and of the larger of two, in one pass over memory.

use blitz_noise::coefficients::horner;
use burn::tensor::{DType, Tensor, TensorData};

use super::group::{self, Kernel, Made};
use super::real::{Real, select};
use super::{Elements, Memory, tensor};
use crate::kernels::formula::{Moment, Rectified};
use crate::kernels::moments::SMALLEST_STD;

/// Mills' ratio `Φ(−a) / φ(a)` over t, as a polynomial of `t = 1 / (1 + a/2)` for `0 ≤ a ≤ 14`, of relative error 6e-8:
/// printed by mills.py. The highest first.
const MILLS: [f32; 10] = [
    -0.065_105_855,
    0.488_262_15,
    -1.493_683,
    2.347_29,
    -1.836_077_9,
    0.432_902_43,
    -0.013_532_724,
    0.394_766_1,
    0.498_441_13,
    0.500_051_8,
];

/// Where φ vanishes in `f32`.
const FARTHEST: f32 = 14.5;

/// What the moments of `z ~ N(α, 1)` against zero are made of, for `a = |α|`.
#[derive(Clone, Copy)]
struct AgainstZero {
    /// `Φ(−a)`.
    tail: f32,
    /// `φ(a) − a Φ(−a)`, the mean of what lies beyond zero.
    beyond: f32,
    /// `φ(a) + a Φ(a)`, the mean of the rest.
    rest: f32,
    /// `φ(a)`.
    density: f32,
}

impl AgainstZero {
    #[inline(always)]
    fn of(alpha: f32) -> Self {
        let a = alpha.abs();
        // A comparison, since `min` would lose a NaN.
        let a = select(a > FARTHEST, FARTHEST, a);
        let density = (0.5 * (a * a)).exp_neg() * 0.398_942_3;
        let t = 1.0 / (1.0 + 0.5 * a);
        let ratio = t * horner(&MILLS, t);
        let beyond = (density * (1.0 - a * ratio)).at_least(0.0);
        Self {
            tail: density * ratio,
            beyond,
            rest: a + beyond,
            density,
        }
    }
}

/// `N(mean, variance)` after a leaky ReLU of this slope.
#[derive(Clone, Copy)]
struct LeakyRelu(f32);

impl Kernel<f32, 2, 2> for LeakyRelu {
    #[inline(always)]
    fn element(self, [mean, variance]: [f32; 2], _made: Made<f32>) -> [f32; 2] {
        let std = variance.sqrt();
        let x = AgainstZero::of(mean / std.at_least(SMALLEST_STD as f32));
        let is_positive = mean > 0.0;
        let positive = select(is_positive, 1.0 - x.tail, x.tail);
        let share = (positive - x.rest * x.beyond).at_least(0.0);
        let rectified = select(is_positive, mean, 0.0) + std * x.beyond;
        let (slope, rest) = (self.0, 1.0 - self.0);
        // slope · x + rest · max(x, 0), and Cov(x, max(x, 0)) = Var x · P(x > 0).
        let kept = slope * slope + 2.0 * slope * rest * positive + rest * rest * share;
        [slope * mean + rest * rectified, variance * kept]
    }
}

/// One of the two moments.
#[derive(Clone, Copy)]
struct Only<const VARIANCE: bool>(LeakyRelu);

impl<const VARIANCE: bool> Kernel<f32, 2, 1> for Only<VARIANCE> {
    #[inline(always)]
    fn element(self, inputs: [f32; 2], made: Made<f32>) -> [f32; 1] {
        let [mean, variance] = self.0.element(inputs, made);
        [if VARIANCE { variance } else { mean }]
    }
}

/// The gradients of a moment in the mean and the variance, times one of the moment. With `R = E max(x, 0)`:
///
/// ```text
/// ∂R/∂m = Φ(α)            ∂R/∂v = φ(α) / 2σ
/// ∂Var max(x, 0)/∂m = 2 R Φ(−α)    ∂Var max(x, 0)/∂v = Φ(α) − R φ(α) / σ
/// ∂Cov(x, max(x, 0))/∂m = σ φ(α)   ∂Cov(x, max(x, 0))/∂v = Φ(α) − α φ(α) / 2
/// ```
#[derive(Clone, Copy)]
struct LeakyReluGradients<const VARIANCE: bool>(f32);

impl<const VARIANCE: bool> Kernel<f32, 3, 2> for LeakyReluGradients<VARIANCE> {
    #[inline(always)]
    fn element(self, [grad, mean, variance]: [f32; 3], _made: Made<f32>) -> [f32; 2] {
        const SMALLEST: f32 = SMALLEST_STD as f32;
        let is_certain = variance < SMALLEST * SMALLEST;
        let std = variance.sqrt();
        let at_least = std.at_least(SMALLEST);
        let x = AgainstZero::of(mean / at_least);
        let is_positive = mean > 0.0;
        let positive = select(is_positive, 1.0 - x.tail, x.tail);
        let negative = select(is_positive, x.tail, 1.0 - x.tail);
        let (slope, rest) = (self.0, 1.0 - self.0);
        let [by_mean, by_variance] = if VARIANCE {
            // R / σ; where it is large φ is zero.
            let mean_of_positive = select(is_positive, x.rest, x.beyond);
            let cov_by_mean = std * x.density;
            let a = x.rest - x.beyond;
            let cov_by_variance = positive - 0.5 * select(is_positive, a, -a) * x.density;
            let share_by_mean = 2.0 * (select(is_positive, mean, 0.0) + std * x.beyond) * negative;
            let share_by_variance = positive - mean_of_positive * x.density;
            [
                2.0 * slope * rest * cov_by_mean + rest * rest * share_by_mean,
                slope * slope
                    + 2.0 * slope * rest * cov_by_variance
                    + rest * rest * share_by_variance,
            ]
        } else {
            let by_variance = rest * (0.5 * x.density / at_least);
            [
                slope + rest * positive,
                select(is_certain, 0.0, by_variance),
            ]
        };
        [grad * by_mean, grad * by_variance]
    }
}

/// The larger one of `N(m₁, v₁)` and `N(m₂, v₂)`.
#[derive(Clone, Copy)]
struct Larger;

impl Kernel<f32, 4, 2> for Larger {
    #[inline(always)]
    fn element(self, [m1, v1, m2, v2]: [f32; 4], _made: Made<f32>) -> [f32; 2] {
        let sum = v1 + v2;
        let std = sum.sqrt();
        let x = AgainstZero::of((m1 - m2) / std.at_least(SMALLEST_STD as f32));
        let first = m1 > m2;
        let mean = select(first, m1, m2) + std * x.beyond;
        let likelier = select(first, v1, v2);
        let other = select(first, v2, v1);
        let variance = likelier * (1.0 - x.tail) + other * x.tail - sum * (x.rest * x.beyond);
        [mean, variance.at_least(0.0)]
    }
}

pub(in crate::kernels) fn leaky_relu<const D: usize>(
    inputs: [Tensor<D>; 2],
    slope: f64,
) -> [Tensor<D>; 2] {
    // Of no rank: compiled with this crate, and its optimisations.
    fn run(inputs: [&[f32]; 2], slope: f32) -> [Vec<f32>; 2] {
        group::map(LeakyRelu(slope), None, inputs, inputs[0].len())
    }
    in_memory(inputs, |inputs| run(inputs, slope as f32))
}

/// A moment of `f32` tensors.
pub(super) fn rectify<T: Memory>(mean: &T, variance: &T, op: Rectified) -> T {
    fn run(op: Rectified, inputs: [&[f32]; 2]) -> [Vec<f32>; 1] {
        let (both, len) = (LeakyRelu(op.slope as f32), inputs[0].len());
        match op.moment {
            Moment::Mean => group::map(Only::<false>(both), None, inputs, len),
            Moment::Variance => group::map(Only::<true>(both), None, inputs, len),
        }
    }
    let elements = [mean, variance].map(Memory::elements);
    let [values] = run(op, elements.each_ref().map(Elements::f32));
    tensor(values, mean)
}

/// The gradients of [`rectify`] in the mean and the variance.
pub(super) fn rectify_backward<T: Memory>(
    grad: &T,
    mean: &T,
    variance: &T,
    op: Rectified,
) -> [T; 2] {
    fn run(op: Rectified, inputs: [&[f32]; 3]) -> [Vec<f32>; 2] {
        let (slope, len) = (op.slope as f32, inputs[0].len());
        match op.moment {
            Moment::Mean => group::map(LeakyReluGradients::<false>(slope), None, inputs, len),
            Moment::Variance => group::map(LeakyReluGradients::<true>(slope), None, inputs, len),
        }
    }
    let elements = [grad, mean, variance].map(Memory::elements);
    let gradients = run(op, elements.each_ref().map(Elements::f32));
    gradients.map(|values| tensor(values, mean))
}

pub(in crate::kernels) fn larger<const D: usize>(inputs: [Tensor<D>; 4]) -> [Tensor<D>; 2] {
    fn run(inputs: [&[f32]; 4]) -> [Vec<f32>; 2] {
        group::map(Larger, None, inputs, inputs[0].len())
    }
    in_memory(inputs, run)
}

/// Of tensors of one shape in `f32` that lie in memory.
fn in_memory<const D: usize, const I: usize, const O: usize>(
    inputs: [Tensor<D>; I],
    run: impl FnOnce([&[f32]; I]) -> [Vec<f32>; O],
) -> [Tensor<D>; O] {
    let (shape, device) = (inputs[0].shape(), inputs[0].device());
    let inputs = inputs.map(Tensor::into_data);
    let slices = inputs.each_ref().map(|data| match data.as_slice::<f32>() {
        Ok(values) => values,
        Err(error) => unreachable!("the type was asked for: {error:?}"),
    });
    let outputs = run(slices);
    // The device's own type may be another.
    outputs.map(|values| {
        let data = TensorData::new(values, shape.clone());
        Tensor::from_data(data, (&device, DType::F32))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::cpu::elementwise::Scale;

    #[test]
    fn mills_ratio_is_as_exact_as_documented() {
        for i in 0..14_000 {
            let a = i as f32 / 1000.0;
            let exact = 0.5 * libm::erfc(f64::from(a) / std::f64::consts::SQRT_2);
            let density = (-0.5 * f64::from(a) * f64::from(a)).exp() / std::f64::consts::TAU.sqrt();
            let t = 1.0 / (1.0 + 0.5 * a);
            let ratio = f64::from(t * horner(&MILLS, t));
            // The polynomial's error, and the rounding of its terms.
            assert!((ratio * density / exact - 1.0).abs() < 6e-7, "{a}");
        }
    }

    #[test]
    fn what_is_not_a_number_stays_so() {
        let made = Made {
            epsilon: 0.0,
            scale: Scale::plain(0.0),
        };
        for (mean, variance) in [(f32::NAN, 1.0), (0.0, f32::NAN)] {
            let [mean, variance] = LeakyRelu(0.0).element([mean, variance], made);
            assert!(mean.is_nan() && variance.is_nan());
        }
        let [mean, variance] = Larger.element([f32::NAN, 1.0, 0.0, 1.0], made);
        assert!(mean.is_nan() && variance.is_nan());
    }
}
