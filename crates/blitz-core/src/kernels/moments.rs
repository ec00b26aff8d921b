//! The moments of rectified normals, and of the larger of two: by kernels in a CPU's memory (those of the larger off
//! the autodiff graph alone), and by Burn's tensor operations elsewhere.

#[cfg(any(feature = "flex", feature = "ndarray"))]
use burn::backend::Dispatch;
use burn::tensor::{Bool, DType, Tensor};

#[cfg(any(feature = "flex", feature = "ndarray"))]
use super::backend::FusedOps;
#[cfg(any(feature = "flex", feature = "ndarray"))]
use super::formula::{Moment, Rectified};
#[cfg(any(feature = "flex", feature = "ndarray"))]
use super::{cpu, fuses, is_in_memory, kind};

/// A deviation below which a normal counts as its mean.
pub(super) const SMALLEST_STD: f64 = 1e-15;

/// The largest ratio of a mean to its deviation that is looked at: the density is 0 there, and Φ 0 or 1.
const FARTHEST: f64 = 40.0;

/// Mean and variance of `max(x, 0) + slope · min(x, 0)` of normals `x ~ N(mean, variance)`, exactly. With a slope of 0,
/// for `α = mean / √variance`:
///
/// ```text
/// E   = m Φ(α) + √v φ(α)
/// Var = v (Φ(α) − (φ(α) + α Φ(α)) (φ(α) − α Φ(−α)))
/// ```
///
/// By that form nothing large cancels in the variance. Differentiable, where a variance is zero too: its own gradient
/// is zero there. Computed in `f32` at least; in `f32` on a CPU in one pass over memory, or, with a gradient, in one
/// for each moment and one for its gradients.
///
/// ```
/// use blitz_core::kernels::leaky_relu_moments;
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let [mean, variance] = leaky_relu_moments(Tensor::<1>::zeros([1], &device), Tensor::ones([1], &device), 0.0);
/// // 1/√(2π), and ½ − 1/(2π)
/// assert!((mean.into_scalar::<f32>() - 0.398_942_3).abs() < 1e-6);
/// assert!((variance.into_scalar::<f32>() - 0.340_845).abs() < 1e-6);
/// ```
///
/// # Panics
///
/// Panics unless both have one shape.
pub fn leaky_relu_moments<const D: usize>(
    mean: Tensor<D>,
    variance: Tensor<D>,
    slope: f64,
) -> [Tensor<D>; 2] {
    assert!(
        mean.dims() == variance.dims(),
        "the moments of rectified normals need means and variances of one shape, got {:?} and {:?}",
        mean.dims(),
        variance.dims()
    );
    #[cfg(any(feature = "flex", feature = "ndarray"))]
    if is_in_memory_in_f32([&mean, &variance]) {
        return match [&mean, &variance].map(|tensor| tensor.is_autodiff()) {
            [false, false] => cpu::moments::leaky_relu([mean, variance], slope),
            _ => [Moment::Mean, Moment::Variance].map(|moment| {
                let [mean, variance] = [&mean, &variance].map(|t| t.clone().into_dispatch());
                let op = Rectified { slope, moment };
                Tensor::from_dispatch(Dispatch::rectify(mean, variance, op))
            }),
        };
    }
    if is_half(mean.dtype()) {
        let dtype = mean.dtype();
        let [mean, variance] = [mean, variance].map(|tensor| tensor.cast(DType::F32));
        return leaky_relu_moments(mean, variance, slope).map(|moment| moment.cast(dtype));
    }
    let x = AgainstZero::of(mean.clone(), variance.clone());
    let positive = x.first_of(x.tail.clone().neg().add_scalar(1.0), x.tail.clone());
    let share = (positive.clone() - x.rest * x.beyond.clone()).clamp_min(0.0);
    let rectified = mean.clone().clamp_min(0.0) + x.std * x.beyond;
    let rest = 1.0 - slope;
    // slope · x + rest · max(x, 0), and Cov(x, max(x, 0)) = Var x · P(x > 0).
    let kept = share.mul_scalar(rest * rest)
        + positive
            .mul_scalar(2.0 * slope * rest)
            .add_scalar(slope * slope);
    [
        mean.mul_scalar(slope) + rectified.mul_scalar(rest),
        variance * kept,
    ]
}

/// Mean and variance of the larger one of independent normals `N(m₁, v₁)` and `N(m₂, v₂)`, exactly (Clark, *The
/// greatest of a finite set of random variables*, 1961). With `θ² = v₁ + v₂` and `α = (m₁ − m₂) / θ`:
///
/// ```text
/// E   = m₁ Φ(α) + m₂ Φ(−α) + θ φ(α)
/// Var = v₁ Φ(α) + v₂ Φ(−α) − θ² (φ(α) + α Φ(α)) (φ(α) − α Φ(−α))
/// ```
///
/// In one pass over memory in `f32` on a CPU, off the autodiff graph.
///
/// ```
/// use blitz_core::kernels::larger_moments;
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let standard = || [Tensor::<1>::zeros([1], &device), Tensor::ones([1], &device)];
/// let [mean, variance] = larger_moments(standard(), standard());
/// // 1/√π, and 1 − 1/π
/// assert!((mean.into_scalar::<f32>() - 0.564_189_6).abs() < 1e-6);
/// assert!((variance.into_scalar::<f32>() - 0.681_690_1).abs() < 1e-6);
/// ```
///
/// # Panics
///
/// Panics unless all have one shape.
pub fn larger_moments<const D: usize>(
    [m1, v1]: [Tensor<D>; 2],
    [m2, v2]: [Tensor<D>; 2],
) -> [Tensor<D>; 2] {
    let shapes = [&v1, &m2, &v2].map(|tensor| tensor.dims());
    assert!(
        shapes.iter().all(|shape| *shape == m1.dims()),
        "the larger of two normals needs means and variances of one shape, got {:?} and {shapes:?}",
        m1.dims()
    );
    #[cfg(any(feature = "flex", feature = "ndarray"))]
    if is_in_memory_in_f32([&m1, &v1, &m2, &v2])
        && [&m1, &v1, &m2, &v2].iter().all(|t| !t.is_autodiff())
    {
        return cpu::moments::larger([m1, v1, m2, v2]);
    }
    if is_half(m1.dtype()) {
        let dtype = m1.dtype();
        let [m1, v1, m2, v2] = [m1, v1, m2, v2].map(|tensor| tensor.cast(DType::F32));
        return larger_moments([m1, v1], [m2, v2]).map(|moment| moment.cast(dtype));
    }
    let sum = v1.clone() + v2.clone();
    let x = AgainstZero::of(m1.clone() - m2.clone(), sum.clone());
    let likelier = x.first_of(v1.clone(), v2.clone());
    let other = x.first_of(v2, v1);
    let mean = m1.max_pair(m2) + x.std * x.beyond.clone();
    let variance = likelier * x.tail.clone().neg().add_scalar(1.0) + other * x.tail
        - sum * (x.rest * x.beyond);
    [mean, variance.clamp_min(0.0)]
}

/// Whether the tensors lie in a CPU's memory, in `f32`.
#[cfg(any(feature = "flex", feature = "ndarray"))]
fn is_in_memory_in_f32<const D: usize, const N: usize>(tensors: [&Tensor<D>; N]) -> bool {
    let mut all = tensors.iter();
    all.all(|tensor| tensor.dtype() == DType::F32 && is_in_memory(&tensor.device()))
        && fuses(tensors.map(kind))
}

/// Whether the square of the smallest deviation is zero, or the sums are too coarse.
fn is_half(dtype: DType) -> bool {
    matches!(dtype, DType::F16 | DType::BF16)
}

/// `N(mean, variance)` against zero, by `a = |mean| / std`.
struct AgainstZero<const D: usize> {
    is_negative: Tensor<D, Bool>,
    /// Zero where it is below the smallest.
    std: Tensor<D>,
    /// `Φ(−a)`.
    tail: Tensor<D>,
    /// `φ(a) − a Φ(−a)`: in deviations, the mean of what lies beyond zero.
    beyond: Tensor<D>,
    /// `φ(a) + a Φ(a)`: that of the rest.
    rest: Tensor<D>,
}

impl<const D: usize> AgainstZero<D> {
    fn of(mean: Tensor<D>, variance: Tensor<D>) -> Self {
        // Filled before the root and the quotient: the gradients of √0 and of what overflows are infinite, and zero
        // times infinity is no number. A NaN is in neither mask, and stays.
        let smallest = SMALLEST_STD * SMALLEST_STD;
        let is_certain = variance.clone().lower_elem(smallest);
        let std = variance.mask_fill(is_certain.clone(), smallest).sqrt();
        // Not `abs`, whose gradient at 0 is 0: the moments are smooth there, and have the gradient from above.
        let is_negative = mean.clone().lower_elem(0.0);
        let distance = mean.clone().mask_where(is_negative.clone(), mean.neg());
        let farthest = std.clone().mul_scalar(FARTHEST);
        let is_far = distance.clone().greater(farthest.clone());
        let a = distance.mask_where(is_far, farthest) / std.clone();
        let std = std.mask_fill(is_certain, 0.0);
        let erf = a.clone().mul_scalar(std::f64::consts::FRAC_1_SQRT_2).erf();
        let tail = erf.neg().add_scalar(1.0).mul_scalar(0.5);
        let density = a.clone().square().mul_scalar(-0.5).exp();
        let density = density.mul_scalar(std::f64::consts::TAU.sqrt().recip());
        let beyond = (density - a.clone() * tail.clone()).clamp_min(0.0);
        Self {
            is_negative,
            std,
            tail,
            rest: a + beyond.clone(),
            beyond,
        }
    }

    /// The other tensor where the normal's mean is below zero, and the first elsewhere.
    fn first_of(&self, first: Tensor<D>, other: Tensor<D>) -> Tensor<D> {
        first.mask_where(self.is_negative.clone(), other)
    }
}
