//! Whether moments count the features of a row as independent, or keep their covariances.

use std::fmt::Debug;

use blitz_core::{ColumnMoments, at_least_f32};
use burn::tensor::Tensor;

use super::covariance;
use super::hermite::{self, TERMS};
use super::value::{Moments, std_of};
use crate::rows::linear;

pub use rules::Rules;

/// How the features of one row belong together: [`Independent`] or [`Correlated`].
///
/// A network that is to have both kinds of [`Moments`] says its layers once, for any of them:
///
/// ```
/// use blitz_layers::moments::{Correlations, ForwardMoments, Moments};
/// use blitz_layers::prelude::*;
/// use burn::tensor::{Device, Tensor};
///
/// struct Net {
///     hidden: BayesianLinear,
///     output: BayesianLinear,
/// }
///
/// impl<C: Correlations> ForwardMoments<Moments<2, C>> for Net {
///     type Output = Moments<2, C>;
///
///     fn forward_moments(&self, x: Moments<2, C>) -> Moments<2, C> {
///         self.output.forward_moments(self.hidden.forward_moments(x).relu())
///     }
/// }
///
/// let device = Device::flex();
/// let layer = |inputs, outputs| BayesianLinearConfig::new(inputs, outputs).init(&device);
/// let net = Net { hidden: layer(3, 50), output: layer(50, 2) };
/// let x = Moments::certain(Tensor::<2>::ones([4, 3], &device));
/// let output = net.forward_moments(x.clone().with_covariances());
/// assert_eq!(output.covariance().unwrap().dims(), [4, 2, 2]);
/// // The variances of one hidden layer are those of independent units, which its units are.
/// let alone = net.forward_moments(x).variance();
/// output.variance().into_data().assert_approx_eq::<f32>(&alone.into_data(), Default::default());
/// ```
pub trait Correlations: Rules {}

/// Each feature counts as independent of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Independent;

/// The features of a row have all their covariances; rows are apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Correlated;

impl Correlations for Independent {}
impl Correlations for Correlated {}

/// The variances of features, and what is between those of one row.
#[derive(Debug, Clone)]
pub struct Covariances<const D: usize> {
    pub(super) variance: Tensor<D>,
    /// `[rows, features, features]`, of which the diagonal has no meaning; `None` of features that are independent.
    pub(super) between: Option<Tensor<3>>,
}

mod rules {
    use super::*;

    /// What each kind does with what is between the features of a row.
    pub trait Rules: Debug + Clone + Copy + Send + Sync + 'static {
        /// What [`Moments`] hold beside the mean.
        type Spread<const D: usize>: Debug + Clone + Send;
        /// What it is without the variances; by default that of features that are independent.
        type Between: Debug + Clone + Default + Send;

        /// Whether there is anything between them.
        const KEEPS_COVARIANCES: bool;

        /// The variances, and the rest.
        fn split<const D: usize>(spread: Self::Spread<D>) -> (Tensor<D>, Self::Between);

        /// The reverse.
        fn join<const D: usize>(variance: Tensor<D>, between: Self::Between) -> Self::Spread<D>;

        /// The variances alone.
        fn variance<const D: usize>(spread: &Self::Spread<D>) -> Tensor<D>;

        /// The covariances, if there are any.
        fn covariance<const D: usize>(spread: &Self::Spread<D>) -> Option<Tensor<3>>;

        /// Of `f(x)`, by the Hermite coefficients of f for each feature.
        fn of_function<const D: usize>(
            between: Self::Between,
            moments: [&Tensor<D>; 2],
            coefficients: impl FnOnce([Tensor<D>; 2]) -> [Tensor<D>; TERMS],
        ) -> Self::Between;

        /// Of features times factors, which broadcast.
        fn scaled<const D: usize>(between: Self::Between, factors: &Tensor<D>) -> Self::Between;

        /// Panics unless these are the rows and features.
        fn check<const D: usize>(between: &Self::Between, dims: [usize; D]);

        /// The mean variance of features less their mean, `[.., 1]`.
        fn centered<const D: usize>(variance: &Tensor<D>, between: &Self::Between) -> Tensor<D>;

        /// Of features less their mean and less what of them is along `u`: `P Σ P` for `P = I − (1 1ᵀ + u uᵀ)/n`, of a
        /// `u` whose sum is zero.
        fn projected<const D: usize>(
            variance: Tensor<D>,
            between: Self::Between,
            u: &Tensor<D>,
        ) -> (Tensor<D>, Self::Between);

        /// Of `x W`, without the weights' variance where x is certain.
        fn linear<const D: usize>(
            variance: Tensor<D>,
            between: Self::Between,
            weight: &ColumnMoments,
        ) -> (Tensor<D>, Self::Between);
    }
}

impl Rules for Independent {
    type Spread<const D: usize> = Tensor<D>;
    type Between = ();

    const KEEPS_COVARIANCES: bool = false;

    fn split<const D: usize>(spread: Tensor<D>) -> (Tensor<D>, ()) {
        (spread, ())
    }

    fn join<const D: usize>(variance: Tensor<D>, (): ()) -> Tensor<D> {
        variance
    }

    fn variance<const D: usize>(spread: &Tensor<D>) -> Tensor<D> {
        spread.clone()
    }

    fn covariance<const D: usize>(_: &Tensor<D>) -> Option<Tensor<3>> {
        None
    }

    fn of_function<const D: usize>(
        (): (),
        _: [&Tensor<D>; 2],
        _: impl FnOnce([Tensor<D>; 2]) -> [Tensor<D>; TERMS],
    ) {
    }

    fn scaled<const D: usize>((): (), _: &Tensor<D>) {}

    fn check<const D: usize>((): &(), _: [usize; D]) {}

    fn centered<const D: usize>(variance: &Tensor<D>, (): &()) -> Tensor<D> {
        let n = variance.dims()[D - 1] as f64;
        variance.clone().mean_dim(D - 1).mul_scalar(1.0 - n.recip())
    }

    fn projected<const D: usize>(variance: Tensor<D>, (): (), u: &Tensor<D>) -> (Tensor<D>, ()) {
        (projected(variance, u), ())
    }

    fn linear<const D: usize>(
        variance: Tensor<D>,
        (): (),
        weight: &ColumnMoments,
    ) -> (Tensor<D>, ()) {
        let second_moment = weight.weights.second_moment();
        (linear(variance, second_moment, None), ())
    }
}

/// The variances of independent features less their mean and what of them is along `u`: of the i-th it is
/// `Σⱼ (δᵢⱼ − (1 + uᵢ uⱼ)/n)² vⱼ`.
fn projected<const D: usize>(variance: Tensor<D>, u: &Tensor<D>) -> Tensor<D> {
    let n = variance.dims()[D - 1] as f64;
    let mean = |values: Tensor<D>| values.mean_dim(D - 1).mul_scalar(n.recip());
    let square = u.clone().square();
    let own = (square.clone() + 1.0).mul_scalar(2.0 / n).neg() + 1.0;
    let others = mean(variance.clone())
        + u.clone() * mean(variance.clone() * u.clone()).mul_scalar(2.0)
        + square.clone() * mean(variance.clone() * square);
    // The square may round below zero where the projection leaves nothing.
    (variance * own + others).clamp_min(0.0)
}

impl Rules for Correlated {
    type Spread<const D: usize> = Covariances<D>;
    type Between = Option<Tensor<3>>;

    const KEEPS_COVARIANCES: bool = true;

    fn split<const D: usize>(spread: Covariances<D>) -> (Tensor<D>, Option<Tensor<3>>) {
        (spread.variance, spread.between)
    }

    fn join<const D: usize>(variance: Tensor<D>, between: Option<Tensor<3>>) -> Covariances<D> {
        Covariances { variance, between }
    }

    fn variance<const D: usize>(spread: &Covariances<D>) -> Tensor<D> {
        spread.variance.clone()
    }

    fn covariance<const D: usize>(spread: &Covariances<D>) -> Option<Tensor<3>> {
        let between = spread.between.clone()?;
        Some(covariance::matrices(spread.variance.clone(), between))
    }

    fn of_function<const D: usize>(
        between: Option<Tensor<3>>,
        [mean, variance]: [&Tensor<D>; 2],
        coefficients: impl FnOnce([Tensor<D>; 2]) -> [Tensor<D>; TERMS],
    ) -> Option<Tensor<3>> {
        let between = between?;
        let std = std_of(variance.clone());
        let coefficients = coefficients([mean.clone(), std.clone()]);
        Some(hermite::covariance(between, std, coefficients))
    }

    fn scaled<const D: usize>(
        between: Option<Tensor<3>>,
        factors: &Tensor<D>,
    ) -> Option<Tensor<3>> {
        Some(covariance::scaled(between?, factors.clone()))
    }

    fn check<const D: usize>(between: &Option<Tensor<3>>, dims: [usize; D]) {
        if let Some(between) = between {
            let features = dims[D - 1];
            let shape = [dims[..D - 1].iter().product(), features, features];
            assert!(
                between.dims() == shape,
                "features with covariances {:?} don't broadcast to {dims:?}",
                between.dims()
            );
        }
    }

    fn centered<const D: usize>(variance: &Tensor<D>, between: &Option<Tensor<3>>) -> Tensor<D> {
        let Some(between) = between else {
            return Independent::centered(variance, &());
        };
        let matrices = covariance::matrices(variance.clone(), between.clone());
        let of_mean = covariance::of_mean(matrices, variance.dims());
        (variance.clone().mean_dim(D - 1) - of_mean).clamp_min(0.0)
    }

    fn projected<const D: usize>(
        variance: Tensor<D>,
        between: Option<Tensor<3>>,
        u: &Tensor<D>,
    ) -> (Tensor<D>, Option<Tensor<3>>) {
        covariance::projected(variance, between, u)
    }

    fn linear<const D: usize>(
        variance: Tensor<D>,
        between: Option<Tensor<3>>,
        weight: &ColumnMoments,
    ) -> (Tensor<D>, Option<Tensor<3>>) {
        covariance::linear(variance, between, weight)
    }
}

impl Moments<2> {
    /// The same features with their covariances, of which there are none yet: what a network is given whose units share
    /// the uncertainty of those before.
    ///
    /// There are so many numbers as features² for each row, from the first layer on whose input is uncertain: at most
    /// 8192 features, and few rows at a time.
    #[must_use]
    pub fn with_covariances(self) -> Moments<2, Correlated> {
        let spread = |variance| Covariances {
            variance,
            between: None,
        };
        Moments {
            mean: self.mean,
            variance: self.variance.map(spread),
        }
    }
}

impl Moments<2, Correlated> {
    /// Of means `[rows, features]` and covariances `[rows, features, features]`, such as those of an uncertain input.
    ///
    /// # Panics
    ///
    /// Panics unless the shapes belong together.
    pub fn joint(mean: Tensor<2>, covariance: Tensor<3>) -> Self {
        let [rows, features] = mean.dims();
        assert!(
            covariance.dims() == [rows, features, features],
            "{rows} rows of {features} means need covariances of shape {:?}, got {:?}",
            [rows, features, features],
            covariance.dims()
        );
        let covariance = at_least_f32(covariance);
        let spread = Covariances {
            variance: covariance::diagonals(&covariance),
            between: Some(covariance),
        };
        Self {
            mean,
            variance: Some(spread),
        }
    }

    /// The rows of all parts, one after the other.
    ///
    /// # Panics
    ///
    /// Panics without parts, or if their shapes don't fit.
    pub fn of_rows(parts: Vec<Self>) -> Self {
        let is_uncertain = parts.iter().any(|part| part.variance.is_some());
        let covariances: Vec<_> = parts.iter().map(|part| part.covariance()).collect();
        let between = covariances.iter().any(Option::is_some).then(|| {
            let pairs = parts.iter().zip(covariances);
            let all = pairs.map(|(part, covariance)| {
                covariance.unwrap_or_else(|| covariance::diagonal(part.variance()))
            });
            Tensor::cat(all.collect(), 0)
        });
        let variances = parts.iter().map(Self::variance).collect();
        let means = parts.into_iter().map(|part| part.mean).collect();
        Self {
            mean: Tensor::cat(means, 0),
            variance: is_uncertain.then(|| Covariances {
                variance: Tensor::cat(variances, 0),
                between,
            }),
        }
    }

    /// Each feature alone, such as for an expected loss of theirs.
    #[must_use]
    pub fn marginals(self) -> Moments<2> {
        Moments {
            mean: self.mean,
            variance: self.variance.map(|spread| spread.variance),
        }
    }
}
