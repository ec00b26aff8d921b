//! The horseshoe prior of Carvalho, Polson & Scott (2010), with its pole at zero rounded off.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::Tensor;

use super::{Prior, assert_scale, check_scale};
use crate::family::{ConstantError, Constants, at_least_f32};
use crate::math::log_erfc;

/// The smallest `smoothing`: its square is still far from the end of `f32`'s range.
const MIN_SMOOTHING: f64 = 1e-6;

/// Configuration of a [`HorseshoePrior`].
///
/// | field | default | meaning | range |
/// |---|---|---|---|
/// | `scale` | 1 | the global scale τ | [1e-15, 1e15] |
/// | `smoothing` | 1e-3 | δ: weights below about δτ count as zero | [1e-6, 1] |
#[derive(Config, Debug, PartialEq)]
pub struct HorseshoePriorConfig {
    /// The global scale.
    #[config(default = 1.0)]
    pub scale: f64,
    /// Below which share of the scale a weight counts as zero.
    #[config(default = 1e-3)]
    pub smoothing: f64,
}

impl HorseshoePriorConfig {
    /// The prior.
    ///
    /// # Panics
    ///
    /// Panics if `scale` is not a number from 1e-15 to 1e15, or `smoothing` lies outside of [1e-6, 1].
    pub fn init(&self) -> HorseshoePrior {
        assert_scale("scale", self.scale);
        assert!(
            (MIN_SMOOTHING..=1.0).contains(&self.smoothing),
            "a horseshoe's smoothing must lie in [{MIN_SMOOTHING}, 1], got {}",
            self.smoothing
        );
        HorseshoePrior {
            scale: self.scale,
            smoothing: self.smoothing,
        }
    }
}

/// `w_i ~ N(0, λ_i² τ²)` with local scales `p(λ_i) ∝ exp(−δ² / 2λ_i²) / (1 + λ_i²)`: half-Cauchy, but kept away from
/// zero.
///
/// The local scales can be integrated out. With `E₁(u) = ∫_u^∞ e^−t / t dt`,
///
/// ```text
/// p(w) = e^u E₁(u) / Z,   u = (w² / τ² + δ²) / 2,   Z = τ √(2π³) e^(δ²/2) erfc(δ / √2)
/// ```
///
/// so that nothing beside the weights needs a posterior, where Louizos, Ullrich & Welling (2017) and Ghosh, Yao &
/// Doshi-Velez (2018) approximate one for each λ. Most of the mass is near zero, the tails fall as slowly as a
/// Cauchy's: small weights are pulled to zero, large ones left alone.
///
/// At δ = 0 this is the horseshoe itself, whose log-density rises to infinity at zero as `ln ln 1/|w|`. That does no
/// harm to the KL, but its derivative, about `−2 / (w E₁)`, has no variance under a posterior that covers zero: single
/// draws would throw the optimizer out of its path. δ bounds it by about `1 / (2δτ ln 1/δ)`.
///
/// Any weight has a finite density, also w = 0. There is no closed form for its KL. The exponential integral in it is
/// computed to the digits of `f32`: of `f64` weights too the density has a relative error of 2e-8, and its gradient one
/// of 2e-6 about |w| = τ √2 and of 1e-7 elsewhere.
///
/// Carvalho, Polson & Scott, *The horseshoe estimator for sparse signals* (2010).
///
/// ```
/// use blitz_core::{Prior, PriorConfig};
/// use burn::tensor::{Device, Tensor};
///
/// let log_density = |prior: PriorConfig, w: f32| {
///     let device = Device::flex();
///     prior.init(&device).log_density(Tensor::<1>::full([1], w, &device)).into_scalar::<f32>()
/// };
/// let horseshoe = || PriorConfig::horseshoe(1.0);
/// // A peak at zero that a normal prior does not have, and a far weight that costs little.
/// assert!(log_density(horseshoe(), 0.0) > log_density(PriorConfig::normal(1.0), 0.0) + 1.0);
/// assert!(log_density(horseshoe(), 50.0) > -10.0);
/// ```
#[derive(Module, Debug)]
pub struct HorseshoePrior {
    /// The global scale τ.
    pub scale: f64,
    /// δ, below which share of the scale a weight counts as zero.
    pub smoothing: f64,
}

impl Prior for HorseshoePrior {
    fn log_density<const D: usize>(&self, weight: Tensor<D>) -> Tensor<1> {
        let n = weight.shape().num_elements() as f64;
        let least = 0.5 * self.smoothing.powi(2);
        let log_normalizer = self.scale.ln()
            + 0.5 * (2.0 * core::f64::consts::PI.powi(3)).ln()
            + least
            + log_erfc(self.smoothing * core::f64::consts::FRAC_1_SQRT_2);
        let u = at_least_f32(weight)
            .mul_scalar(core::f64::consts::FRAC_1_SQRT_2 / self.scale)
            .square()
            .add_scalar(least);
        log_scaled_e1(u).sum().sub_scalar(n * log_normalizer)
    }

    fn constants(&self) -> Option<Constants> {
        Some(Constants::new("Horseshoe", [self.scale, self.smoothing]))
    }

    fn set_constants(&mut self, values: &[f64]) -> Result<(), ConstantError> {
        let (scale, smoothing) = (values[0], values[1]);
        check_scale("scale of a prior", scale)?;
        let in_range = (MIN_SMOOTHING..=1.0).contains(&smoothing);
        ConstantError::unless(
            in_range,
            "smoothing of a horseshoe",
            smoothing,
            "in [1e-6, 1]",
        )?;
        (self.scale, self.smoothing) = (scale, smoothing);
        Ok(())
    }
}

/// `ln(e^u E₁(u))` for u > 0, elementwise, with a relative error of E₁ of 2e-8 beside the rounding, and of the
/// derivative of 2e-6 just above 1, 1e-7 elsewhere.
///
/// `horseshoe_fit.py` made the coefficients.
fn log_scaled_e1<const D: usize>(u: Tensor<D>) -> Tensor<D> {
    /// `E₁(u) + ln u` for u up to 1.
    const A: [f64; 7] = [
        -0.5772156471779751,
        0.9999992688901773,
        -0.24999206097595014,
        0.055518097655353336,
        -0.010325474162341598,
        0.0015455648556788278,
        -0.00014581535203718734,
    ];
    /// `u e^u E₁(u) = P(1/u) / Q(1/u)` from 1 on.
    const P: [f64; 5] = [
        1.0,
        8.615780385853071,
        18.26516708303188,
        8.807382011210242,
        0.2764173082500434,
    ];
    const Q: [f64; 5] = [
        1.0,
        9.615774323561116,
        25.881532428598113,
        21.436647866217307,
        4.051305041998502,
    ];
    let is_large = u.clone().greater_elem(1.0);
    let small = u.clone().clamp_max(1.0);
    let of_small = (polynomial(&A, &small) - small.clone().log()).log() + small;
    let large = u.clamp_min(1.0);
    let inverse = large.clone().recip();
    let of_large = (polynomial(&P, &inverse) / polynomial(&Q, &inverse)).log() - large.log();
    of_small.mask_where(is_large, of_large)
}

/// `Σ c_k x^k`.
fn polynomial<const D: usize>(coefficients: &[f64], x: &Tensor<D>) -> Tensor<D> {
    let (last, rest) = coefficients
        .split_last()
        .expect("a polynomial has coefficients");
    let (next, rest) = rest.split_last().expect("a polynomial has a degree");
    let start = x.clone() * *last + *next;
    rest.iter()
        .rev()
        .fold(start, |sum, coefficient| sum * x.clone() + *coefficient)
}
