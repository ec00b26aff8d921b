//! The moments of a batch of activations.

use std::ops::Add;

use blitz_core::{at_least_f32, in_type_of, type_of_numbers};
use burn::tensor::Tensor;

use super::correlations::{Correlations, Independent};
use super::hermite::TERMS;
use crate::rows::expanded;

/// Mean and variance of each activation of a batch, as normals; of shape `[batch, ...]`.
///
/// They count as [`Independent`]; or those of a row have their covariances, as [`Correlated`](super::Correlated) ones,
/// from [`with_covariances`](Self::with_covariances) on.
///
/// ```
/// use blitz_layers::moments::Moments;
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let x = Moments::new(Tensor::<1>::from_floats([0.0, 3.0], &device), Tensor::from_floats([1.0, 0.01], &device));
/// let y = x.relu();
/// let mean: Vec<f32> = y.mean.to_data().to_vec().unwrap();
/// // 1/√(2π), and what lies 30 deviations above zero as it is.
/// assert!((mean[0] - 0.398_942).abs() < 1e-6 && mean[1] == 3.0);
/// ```
#[derive(Debug, Clone)]
pub struct Moments<const D: usize, C: Correlations = Independent> {
    /// The means.
    pub mean: Tensor<D>,
    /// The variances, in `f32` at least, or all [`Covariances`](super::Covariances); `None` where nothing is uncertain.
    pub variance: Option<C::Spread<D>>,
}

impl<const D: usize> Moments<D> {
    /// Of a mean and a variance.
    ///
    /// # Panics
    ///
    /// Panics unless both have the same shape.
    pub fn new(mean: Tensor<D>, variance: Tensor<D>) -> Self {
        assert!(
            mean.dims() == variance.dims(),
            "a mean and its variance need the same shape, got {:?} and {:?}",
            mean.dims(),
            variance.dims()
        );
        let variance = Some(at_least_f32(variance));
        Self { mean, variance }
    }

    /// Of values that are known, such as a network's input.
    pub fn certain(values: Tensor<D>) -> Self {
        Self {
            mean: values,
            variance: None,
        }
    }

    /// The same numbers in another arrangement: what only moves, copies or drops elements, such as `|t| t.swap_dims(1,
    /// 2)`.
    ///
    /// Never a function of their values: it would be applied to mean and variance alike.
    pub fn arranged<const E: usize>(self, arrange: impl Fn(Tensor<D>) -> Tensor<E>) -> Moments<E> {
        Moments {
            mean: arrange(self.mean),
            variance: self.variance.map(arrange),
        }
    }

    /// As [`Tensor::flatten`].
    pub fn flatten<const E: usize>(self, start: usize, end: usize) -> Moments<E> {
        self.arranged(|tensor| tensor.flatten(start, end))
    }

    /// As [`Tensor::reshape`].
    pub fn reshape<const E: usize>(self, shape: [usize; E]) -> Moments<E> {
        self.arranged(|tensor| tensor.reshape(shape))
    }

    /// As [`Tensor::cat`].
    ///
    /// # Panics
    ///
    /// Panics without parts, or if their shapes don't fit.
    pub fn cat(parts: Vec<Self>, axis: usize) -> Self {
        let certain = parts.iter().all(|part| part.variance.is_none());
        let variances = parts.iter().map(Self::variance).collect();
        let means = parts.into_iter().map(|part| part.mean).collect();
        Self {
            mean: Tensor::cat(means, axis),
            variance: (!certain).then(|| Tensor::cat(variances, axis)),
        }
    }

    /// The product of two that are independent: `E = m₁ m₂`, `Var = v₁ v₂ + v₁ m₂² + m₁² v₂`. Of gates and what they
    /// gate.
    #[must_use]
    pub fn product(self, other: Self) -> Self {
        self.times_independent(other)
    }
}

impl<const D: usize, C: Correlations> Moments<D, C> {
    /// The shape.
    pub fn dims(&self) -> [usize; D] {
        self.mean.dims()
    }

    /// The variances, zeros where nothing is uncertain; in `f32` at least.
    pub fn variance(&self) -> Tensor<D> {
        match &self.variance {
            Some(spread) => C::variance(spread),
            None => at_least_f32(self.mean.zeros_like()),
        }
    }

    /// The deviations. Where one is zero it passes no gradient on.
    pub fn std_dev(&self) -> Tensor<D> {
        std_of(self.variance())
    }

    /// The covariances of the features of each row, `[rows, features, features]`, in `f32` at least; `None` of features
    /// that count as independent.
    pub fn covariance(&self) -> Option<Tensor<3>> {
        C::covariance(self.variance.as_ref()?)
    }

    /// The same means and covariances, of other variances.
    pub(crate) fn with_variance(self, change: impl FnOnce(Tensor<D>) -> Tensor<D>) -> Self {
        let (variance, between) = match self.variance {
            Some(spread) => C::split(spread),
            None => (at_least_f32(self.mean.zeros_like()), Default::default()),
        };
        Self {
            mean: self.mean,
            variance: Some(C::join(change(variance), between)),
        }
    }

    /// Times factors that are independent of the features and of each other.
    pub(crate) fn times_independent(self, factors: Moments<D>) -> Self {
        let square = |mean: &Tensor<D>| at_least_f32(mean.clone()).square();
        let (of_self, between) = self.variance.map_or_else(Default::default, |spread| {
            let (variance, between) = C::split(spread);
            (Some(variance), C::scaled(between, &factors.mean))
        });
        let variance = match (of_self, factors.variance) {
            (None, None) => None,
            (Some(variance), None) => Some(variance * square(&factors.mean)),
            (None, Some(variance)) => Some(variance * square(&self.mean)),
            (Some(a), Some(b)) => {
                Some(a.clone() * (b.clone() + square(&factors.mean)) + b * square(&self.mean))
            }
        };
        let mean = self.mean * factors.mean;
        Self::with_between(mean, variance, between)
    }

    /// The sum with what is independent of the features and of each other.
    pub(crate) fn plus_independent(self, other: Moments<D>) -> Self {
        let (of_self, between) = self.variance.map_or_else(Default::default, |spread| {
            let (variance, between) = C::split(spread);
            (Some(variance), between)
        });
        let variance = match (of_self, other.variance) {
            (Some(a), Some(b)) => Some(a + b),
            (one, None) => one,
            (None, other) => other,
        };
        let mean = self.mean + other.mean;
        // Of parts that broadcast, one alone may be uncertain.
        let variance = variance.map(|variance| expanded(variance, mean.dims()));
        Self::with_between(mean, variance, between)
    }

    /// # Panics
    ///
    /// Panics if the covariances are of other features.
    fn with_between(mean: Tensor<D>, variance: Option<Tensor<D>>, between: C::Between) -> Self {
        C::check(&between, mean.dims());
        Self {
            mean,
            variance: variance.map(|variance| C::join(variance, between)),
        }
    }

    /// A function of values: `certain` of those that are known, and else `uncertain` of mean and variance in `f32` at
    /// least, and its Hermite `coefficients` of mean and deviation.
    pub(super) fn of_values(
        self,
        certain: impl FnOnce(Tensor<D>) -> Tensor<D>,
        uncertain: impl FnOnce(Tensor<D>, Tensor<D>) -> [Tensor<D>; 2],
        coefficients: impl FnOnce([Tensor<D>; 2]) -> [Tensor<D>; TERMS],
    ) -> Self {
        let Some(spread) = self.variance else {
            return Self {
                mean: certain(self.mean),
                variance: None,
            };
        };
        let dtype = type_of_numbers(&self.mean);
        let (variance, between) = C::split(spread);
        let mean = in_type_of(self.mean, &variance);
        let between = C::of_function(between, [&mean, &variance], coefficients);
        // Nobody else holds mean and variance from here on: a kernel would have to copy them.
        let [mean, variance] = uncertain(mean, variance);
        Self {
            mean: mean.cast(dtype),
            variance: Some(C::join(variance, between)),
        }
    }
}

impl<const D: usize> From<Tensor<D>> for Moments<D> {
    fn from(values: Tensor<D>) -> Self {
        Self::certain(values)
    }
}

/// The sum of two that are independent, as in a residual block. What the two parts share is lost.
impl<const D: usize> Add for Moments<D> {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        self.plus_independent(other)
    }
}

/// A shift by what is known.
impl<const D: usize, C: Correlations> Add<Tensor<D>> for Moments<D, C> {
    type Output = Self;

    fn add(self, shift: Tensor<D>) -> Self {
        self.plus_independent(Moments::certain(shift))
    }
}

/// The roots of variances; zero, without a gradient, where one is next to nothing: that of a root is infinite at zero.
pub(super) fn std_of<const D: usize>(variance: Tensor<D>) -> Tensor<D> {
    const NOTHING: f64 = 1e-30;
    let is_certain = variance.clone().lower_elem(NOTHING);
    let std = variance.mask_fill(is_certain.clone(), NOTHING).sqrt();
    std.mask_fill(is_certain, 0.0)
}
