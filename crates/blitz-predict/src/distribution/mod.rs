//! The distributions that a predictive mixture is made of: one for each draw, example and target.

mod bernoulli;
mod laplace;
mod negative_binomial;
mod normal;
mod poisson;
pub(crate) mod search;
#[doc(hidden)]
pub mod softmax;
mod special;
mod student_t;

pub use bernoulli::Bernoulli;
pub use laplace::Laplace;
pub use negative_binomial::NegativeBinomial;
pub use normal::Normal;
pub use poisson::Poisson;
pub use student_t::StudentT;

use std::fmt::Debug;

use blitz_noise::PhiloxRng;
use rand_core::Rng;

/// Where a distribution has its probability.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Support {
    /// On the real numbers, with a density.
    Continuous,
    /// On the integers, with a probability for each.
    Discrete,
    /// On the real numbers with a density, and at single points, its [`masses`](Distribution::masses), with a
    /// probability.
    Mixed,
}

/// A distribution of one real or integer number, of which a [`Mixture`](super::Mixture) takes one for each draw.
///
/// ```
/// use blitz_predict::blitz_noise::PhiloxRng;
/// use blitz_predict::distribution::{Distribution, Support};
/// use blitz_predict::Mixture;
///
/// /// Waiting times of mean `1 / rate`.
/// #[derive(Debug, Clone, PartialEq)]
/// struct Exponential {
///     rate: f64,
/// }
///
/// impl Distribution for Exponential {
///     const SUPPORT: Support = Support::Continuous;
///
///     fn is_valid(&self) -> bool {
///         self.rate > 0.0 && self.rate.is_finite()
///     }
///     fn ln_pdf(&self, y: f64) -> f64 {
///         if y < 0.0 { f64::NEG_INFINITY } else { self.rate.ln() - self.rate * y }
///     }
///     fn cdf(&self, y: f64) -> f64 {
///         -(-self.rate * y.max(0.0)).exp_m1()
///     }
///     fn survival(&self, y: f64) -> f64 {
///         (-self.rate * y.max(0.0)).exp()
///     }
///     fn mean(&self) -> f64 {
///         self.rate.recip()
///     }
///     fn variance(&self) -> f64 {
///         self.rate.powi(-2)
///     }
///     fn sample(&self, rng: &mut PhiloxRng) -> f64 {
///         let exponential: f64 = rand_distr::Distribution::sample(&rand_distr::Exp1, rng);
///         exponential / self.rate
///     }
/// }
///
/// let draws = [1.0, 4.0].map(|rate| vec![Exponential { rate }]);
/// let y = Mixture::from_draws(draws, 1);
/// assert_eq!(y.mean(), [0.625]);
/// // No shorter interval holds 90 % than the one that begins at zero, where both densities are highest.
/// let shortest = y.highest_density_interval(0.9)[0];
/// assert!(shortest.lower < 1e-9 && (y.cdf(&[shortest.upper])[0] - 0.9).abs() < 1e-9);
/// ```
/// Of a distribution with a point mass a quantile is the mass itself wherever the distribution function jumps there,
/// and so is the end of an interval. Amounts that are often exactly zero, as of a Tobit model:
///
/// ```
/// use blitz_predict::blitz_noise::PhiloxRng;
/// use blitz_predict::distribution::{Distribution, Normal, Support};
/// use blitz_predict::Mixture;
///
/// /// `max(0, N(mean, std²))`.
/// #[derive(Debug, Clone, PartialEq)]
/// struct Tobit(Normal);
///
/// impl Distribution for Tobit {
///     const SUPPORT: Support = Support::Mixed;
///
///     fn masses(&self) -> Vec<f64> {
///         vec![0.0]
///     }
///     fn is_valid(&self) -> bool {
///         self.0.is_valid()
///     }
///     fn ln_pdf(&self, y: f64) -> f64 {
///         if y < 0.0 {
///             f64::NEG_INFINITY
///         } else if y == 0.0 {
///             self.0.cdf(0.0).ln() // a probability
///         } else {
///             self.0.ln_pdf(y)
///         }
///     }
///     fn cdf(&self, y: f64) -> f64 {
///         if y < 0.0 { 0.0 } else { self.0.cdf(y) }
///     }
///     fn mean(&self) -> f64 {
///         let Normal { mean, std } = self.0;
///         mean * (1.0 - self.0.cdf(0.0)) + std * std * self.0.ln_pdf(0.0).exp()
///     }
///     fn variance(&self) -> f64 {
///         let Normal { mean, std } = self.0;
///         let square = (mean * mean + std * std) * (1.0 - self.0.cdf(0.0)) + mean * std * std * self.0.ln_pdf(0.0).exp();
///         square - self.mean().powi(2)
///     }
///     fn sample(&self, rng: &mut PhiloxRng) -> f64 {
///         self.0.sample(rng).max(0.0)
///     }
/// }
///
/// let draws = [-0.5, 0.1].map(|mean| vec![Tobit(Normal { mean, std: 1.0 })]);
/// let y = Mixture::from_draws(draws, 1);
/// assert_eq!(y.interval(0.9)[0].lower, 0.0);
/// assert_eq!(y.quantile(0.5), [0.0]);
/// assert!(y.quantile(0.7)[0] > 0.0);
/// ```
pub trait Distribution: Debug + Clone {
    /// Whether values are real or whole numbers, or both.
    const SUPPORT: Support;

    /// The points that have a probability of their own; none unless the support is [mixed](Support::Mixed). Have the
    /// same ones in all draws: a mixture adds
    /// [`ln_pdf`](Self::ln_pdf) over draws, and at a point that is a mass of some only, it would add a probability to a density.
    fn masses(&self) -> Vec<f64> {
        Vec::new()
    }

    /// Whether the parameters are finite and in their range. An invalid component is refused by name when a mixture is
    /// made.
    fn is_valid(&self) -> bool;

    /// The logarithm of the density, or of the probability of a discrete `y` or a mass; −∞ outside of the support, and
    /// NaN of a NaN.
    fn ln_pdf(&self, y: f64) -> f64;

    /// `P(Y ≤ y)`; NaN of a NaN.
    fn cdf(&self, y: f64) -> f64;

    /// `P(Y > y)`; NaN of a NaN. The default is what is left of [`cdf`](Self::cdf), which has few digits where little
    /// is left; a form that has them all gives quantiles near 1 theirs.
    fn survival(&self, y: f64) -> f64 {
        1.0 - self.cdf(y)
    }

    /// `E[Y]`; NaN where there is none.
    fn mean(&self) -> f64;

    /// `Var[Y]`; infinite or NaN where there is none.
    fn variance(&self) -> f64;

    /// `√Var[Y]`. The default is the root of the variance; one whose square may be beyond the numbers, or below them,
    /// is better given.
    fn std_dev(&self) -> f64 {
        self.variance().sqrt()
    }

    /// A value of the distribution.
    fn sample(&self, rng: &mut PhiloxRng) -> f64;

    /// The smallest value whose [`cdf`](Self::cdf) is at least `p`, for p in [0, 1].
    ///
    /// By a search if it is not given.
    fn quantile(&self, p: f64) -> f64 {
        searched_quantile(self, p)
    }
}

/// Uniform over [0, 1), in steps of 2⁻⁵³.
pub(crate) fn uniform(rng: &mut PhiloxRng) -> f64 {
    (rng.next_u64() >> 11) as f64 / 2f64.powi(53)
}

/// The quantile of a distribution over all counts.
///
/// A search ends where the distribution function is 0 or 1 but for rounding, which is inside the support: its ends are
/// said.
fn quantile_of_counts<D: Distribution>(distribution: &D, p: f64) -> f64 {
    let mean = distribution.mean();
    if p <= 0.0 && mean >= 0.0 {
        return 0.0;
    }
    match p >= 1.0 && mean > 0.0 {
        true => f64::INFINITY,
        false => searched_quantile(distribution, p),
    }
}

/// The quantile by a search from the mean in steps of the deviation.
fn searched_quantile<D: Distribution>(distribution: &D, p: f64) -> f64 {
    let (mean, std) = (distribution.mean(), distribution.std_dev());
    let start = if mean.is_finite() { mean } else { 0.0 };
    let step = if std.is_finite() && std > 0.0 {
        std
    } else {
        1.0
    };
    let masses = distribution.masses();
    let places = search::Places {
        support: D::SUPPORT,
        masses: &masses,
        ln_pdf: Some(&|y| distribution.ln_pdf(y)),
    };
    let (climb, p) = climb(
        D::SUPPORT,
        p.max(0.0),
        |y| distribution.cdf(y),
        |y| distribution.survival(y),
    );
    search::unbounded(climb, p, start, step, places)
}

/// What rises up to the `p`-quantile, and the height at which it is there: the distribution function, or above the
/// median the probability beyond with its sign turned, which keeps its digits near 1.
///
/// Of counts it is the distribution function always: a quantile of what it says of a count is that count.
pub(crate) fn climb(
    support: Support,
    p: f64,
    cdf: impl Fn(f64) -> f64,
    survival: impl Fn(f64) -> f64,
) -> (impl Fn(f64) -> f64, f64) {
    let beyond = p > 0.5 && p < 1.0 && support != Support::Discrete;
    let climb = move |y| if beyond { -survival(y) } else { cdf(y) };
    (climb, if beyond { p - 1.0 } else { p })
}

/// A distribution that stays of its kind in other units.
pub trait Rescale: Distribution {
    /// The distribution of `y · scale + location`, for a positive scale.
    #[must_use]
    fn rescale(&self, location: f64, scale: f64) -> Self;
}

/// The logarithm of the probability of what a discrete distribution does not have: none, or a NaN of a NaN.
fn off_support(y: f64) -> f64 {
    if y.is_nan() { y } else { f64::NEG_INFINITY }
}

/// Whether `y` is a whole number from 0 up.
fn is_count(y: f64) -> bool {
    y >= 0.0 && y.is_finite() && y.fract() == 0.0
}
