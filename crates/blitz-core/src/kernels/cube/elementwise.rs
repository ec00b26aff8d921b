//! What each fused operation does to one element: `cpu/elementwise.rs` for a device.

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;

use super::real::{Deviation, Real};
use crate::kernels::formula::{NormalSum, SMALLEST_VARIANCE, ScaleMixture};

/// Whether an operation has noise: one that has none is not to wait for it to be made.
pub(super) trait Noisy {
    const NOISY: bool;
}

macro_rules! noisy {
    ($($name:ident: $noisy:literal),* $(,)?) => {
        $(impl Noisy for $name { const NOISY: bool = $noisy; })*
    };
}

noisy! {
    Draw: true,
    DrawBackward: true,
    StdDev: false,
    StdDevBackward: false,
    Variance: false,
    VarianceBackward: false,
    DrawOutput: true,
    DrawOutputBackward: true,
    NormalTerms: false,
    MixtureTerms: true,
}

/// One output of two inputs and ε.
#[cube]
pub(super) trait Map: Noisy + Send + Sync + 'static {
    fn value<R: Real>(left: R, right: R, epsilon: R) -> R;
}

/// Of μ and ρ.
pub(super) struct Draw;

#[cube]
impl Map for Draw {
    fn value<R: Real>(mu: R, rho: R, epsilon: R) -> R {
        mu + Deviation::<R>::of(rho).sigma * epsilon
    }
}

/// Of the gradient and ρ.
pub(super) struct DrawBackward;

#[cube]
impl Map for DrawBackward {
    fn value<R: Real>(grad: R, rho: R, epsilon: R) -> R {
        grad * epsilon * Deviation::<R>::of(rho).slope()
    }
}

/// Of ρ, twice.
pub(super) struct StdDev;

#[cube]
impl Map for StdDev {
    fn value<R: Real>(rho: R, _again: R, _epsilon: R) -> R {
        Deviation::<R>::of(rho).sigma
    }
}

/// Of the gradient and ρ.
pub(super) struct StdDevBackward;

#[cube]
impl Map for StdDevBackward {
    fn value<R: Real>(grad: R, rho: R, _epsilon: R) -> R {
        grad * Deviation::<R>::of(rho).slope()
    }
}

/// Of ρ, twice.
pub(super) struct Variance;

#[cube]
impl Map for Variance {
    fn value<R: Real>(rho: R, _again: R, _epsilon: R) -> R {
        let sigma = Deviation::<R>::of(rho).sigma;
        sigma * sigma
    }
}

/// Of the gradient and ρ.
pub(super) struct VarianceBackward;

#[cube]
impl Map for VarianceBackward {
    fn value<R: Real>(grad: R, rho: R, _epsilon: R) -> R {
        let deviation = Deviation::<R>::of(rho);
        let half = deviation.sigma * deviation.slope() * grad;
        half + half
    }
}

/// Of the mean and the variance.
pub(super) struct DrawOutput;

#[cube]
impl Map for DrawOutput {
    fn value<R: Real>(mean: R, variance: R, epsilon: R) -> R {
        let smallest = R::new(comptime!(SMALLEST_VARIANCE as f32));
        // A comparison, since `max` would lose a NaN.
        let variance = select(variance < smallest, smallest, variance);
        mean + variance.sqrt() * epsilon
    }
}

/// Of the gradient and the variance.
pub(super) struct DrawOutputBackward;

#[cube]
impl Map for DrawOutputBackward {
    fn value<R: Real>(grad: R, variance: R, epsilon: R) -> R {
        let smallest = R::new(comptime!(SMALLEST_VARIANCE as f32));
        let std = select(variance < smallest, smallest, variance).sqrt();
        let slope = grad * epsilon / (std + std);
        select(variance < smallest, R::new(0.0f32), slope)
    }
}

/// A term of a sum over the weights, of μ, ρ and ε.
#[cube]
pub(super) trait Terms: Noisy + Send + Sync + 'static {
    fn term<R: Real>(mu: R, rho: R, epsilon: R, coefficients: &Coefficients) -> R;

    /// Its derivatives in μ and ρ, times the gradient of the sum.
    fn gradients<R: Real>(
        mu: R,
        rho: R,
        epsilon: R,
        grad: R,
        coefficients: &Coefficients,
    ) -> (R, R);
}

/// The numbers of a [`NormalSum`] or of a [`ScaleMixture`], at run time: a prior may be trained or tried out.
#[derive(CubeType, CubeLaunch)]
pub(super) struct Coefficients {
    /// c of both.
    constant: InputScalar,
    /// a; `1 / 2σ₁²`.
    first: InputScalar,
    /// b; d.
    second: InputScalar,
    /// None; e.
    third: InputScalar,
}

impl Coefficients {
    pub fn of_normals(form: NormalSum, real: cubecl::ir::ElemType) -> CoefficientsLaunch {
        let number = |value: f64| InputScalar::new(value, real);
        CoefficientsLaunch::new(
            number(form.constant),
            number(form.log_std),
            number(form.second_moment),
            number(0.0),
        )
    }

    pub fn of_mixture(prior: ScaleMixture, real: cubecl::ir::ElemType) -> CoefficientsLaunch {
        let number = |value: f64| InputScalar::new(value, real);
        CoefficientsLaunch::new(
            // −½ ln 2π of ln q comes off here.
            number(prior.log_wide + crate::math::half_log_two_pi()),
            number(0.5 * prior.wide_precision),
            number(prior.log_ratio),
            number(prior.curvature),
        )
    }
}

/// `c + a ln σ + b (μ² + σ²)`.
pub(super) struct NormalTerms;

#[cube]
impl Terms for NormalTerms {
    fn term<R: Real>(mu: R, rho: R, _epsilon: R, coefficients: &Coefficients) -> R {
        let deviation = Deviation::<R>::of(rho);
        let sigma = deviation.sigma;
        coefficients.constant.get::<R>()
            + coefficients.first.get::<R>() * deviation.log_sigma()
            + coefficients.second.get::<R>() * (mu * mu + sigma * sigma)
    }

    fn gradients<R: Real>(
        mu: R,
        rho: R,
        _epsilon: R,
        grad: R,
        coefficients: &Coefficients,
    ) -> (R, R) {
        let deviation = Deviation::<R>::of(rho);
        let log_std = grad * coefficients.first.get::<R>();
        let half = grad * coefficients.second.get::<R>();
        let twice_second_moment = half + half;
        (
            twice_second_moment * mu,
            log_std * deviation.log_slope()
                + twice_second_moment * (deviation.sigma * deviation.slope()),
        )
    }
}

/// `ln q(w) − ln p(w)` for a scale mixture p; the gradient is along `w = μ + σ ε` with ε fixed, where `ln q(w)` varies with σ alone.
pub(super) struct MixtureTerms;

#[cube]
impl Terms for MixtureTerms {
    fn term<R: Real>(mu: R, rho: R, epsilon: R, coefficients: &Coefficients) -> R {
        let deviation = Deviation::<R>::of(rho);
        let w = mu + deviation.sigma * epsilon;
        let square = w * w;
        let exponent = coefficients.second.get::<R>() + coefficients.third.get::<R>() * square;
        let narrow_over_wide = Deviation::<R>::of(exponent).sigma;
        let log_q = -deviation.log_sigma() - R::new(0.5f32) * (epsilon * epsilon);
        let log_p = (coefficients.constant.get::<R>() - coefficients.first.get::<R>() * square)
            + narrow_over_wide;
        log_q - log_p
    }

    fn gradients<R: Real>(
        mu: R,
        rho: R,
        epsilon: R,
        grad: R,
        coefficients: &Coefficients,
    ) -> (R, R) {
        let deviation = Deviation::<R>::of(rho);
        let w = mu + deviation.sigma * epsilon;
        let curvature = coefficients.third.get::<R>();
        let share =
            Deviation::<R>::of(coefficients.second.get::<R>() + curvature * (w * w)).slope();
        let score = (w + w) * (curvature * share - coefficients.first.get::<R>());
        let mu_grad = -(grad * score);
        (
            mu_grad,
            mu_grad * (epsilon * deviation.slope()) - grad * deviation.log_slope(),
        )
    }
}
