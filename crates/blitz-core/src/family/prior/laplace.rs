//! The Laplace prior, with a fixed scale or a learned one.

use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use core::f64::consts::LN_2;

use super::{Prior, assert_scale, check_scale, learned_log};
use crate::family::{
    ConstantError, Constants, MarginalFamily, Marginals, at_least_f32, in_type_of,
};

/// Configuration of a [`LaplacePrior`].
///
/// | field | default | meaning | range |
/// |---|---|---|---|
/// | `scale` | 1 | the prior's scale b; its deviation is b √2 | [1e-15, 1e15] |
#[derive(Config, Debug, PartialEq)]
pub struct LaplacePriorConfig {
    /// The scale of the prior.
    #[config(default = 1.0)]
    pub scale: f64,
}

impl LaplacePriorConfig {
    /// The prior.
    ///
    /// # Panics
    ///
    /// Panics if `scale` is not a number from 1e-15 to 1e15.
    pub fn init(&self) -> LaplacePrior {
        assert_scale("scale", self.scale);
        LaplacePrior { scale: self.scale }
    }
}

/// `p(w) = Π exp(−|w_i| / b) / 2b`.
///
/// Its mode at zero is sharp and its tails are heavier than a normal's: small weights shrink, large ones less than
/// under a normal prior of the same deviation. The KL from a posterior with normal or Laplace marginals has a closed
/// form.
///
/// ```
/// use blitz_core::{LaplacePriorConfig, Prior};
/// use burn::tensor::{Device, Tensor};
///
/// let prior = LaplacePriorConfig::new().with_scale(0.5).init();
/// let weight = Tensor::<1>::from_floats([0.0, -2.0], &Device::flex());
/// assert_eq!(prior.log_density(weight).into_scalar::<f32>(), -4.0);
/// ```
#[derive(Module, Debug)]
pub struct LaplacePrior {
    /// The scale b.
    pub scale: f64,
}

impl Prior for LaplacePrior {
    fn log_density<const D: usize>(&self, weight: Tensor<D>) -> Tensor<1> {
        let n = weight.shape().num_elements() as f64;
        let log_normalizer = self.scale.ln() + LN_2;
        at_least_f32(weight)
            .abs()
            .sum()
            .mul_scalar(-self.scale.recip())
            .sub_scalar(n * log_normalizer)
    }

    fn expected_log_density<const D: usize>(&self, q: &Marginals<D>) -> Option<Tensor<D>> {
        let log_normalizer = self.scale.ln() + LN_2;
        Some(expected_abs(q)? * -self.scale.recip() - log_normalizer)
    }

    fn constants(&self) -> Option<Constants> {
        Some(Constants::new("Laplace", [self.scale]))
    }

    fn set_constants(&mut self, values: &[f64]) -> Result<(), ConstantError> {
        check_scale("scale of a prior", values[0])?;
        self.scale = values[0];
        Ok(())
    }
}

/// Configuration of a [`LearnedLaplacePrior`].
///
/// | field | default | meaning | range |
/// |---|---|---|---|
/// | `initial_scale` | 1 | the scale b that training starts from | [1e-15, 1e15] |
#[derive(Config, Debug, PartialEq)]
pub struct LearnedLaplacePriorConfig {
    /// The scale that training starts from.
    #[config(default = 1.0)]
    pub initial_scale: f64,
}

impl LearnedLaplacePriorConfig {
    /// The prior, on `device`.
    ///
    /// # Panics
    ///
    /// Panics if `initial_scale` is not a number from 1e-15 to 1e15.
    pub fn init(&self, device: &Device) -> LearnedLaplacePrior {
        assert_scale("scale", self.initial_scale);
        LearnedLaplacePrior {
            log_scale: learned_log(self.initial_scale, device),
        }
    }
}

/// The [`LaplacePrior`] with one scale b for the whole weight tensor, learned with the posterior.
///
/// As with the [`LearnedNormalPrior`](crate::LearnedNormalPrior), minimizing the KL over b is empirical Bayes; its
/// optimum is `b = mean E|w_i|`.
#[derive(Module, Debug)]
pub struct LearnedLaplacePrior {
    /// ln b, of `f32` at least.
    pub log_scale: Param<Tensor<1>>,
}

impl LearnedLaplacePrior {
    fn log_scale<const D: usize, const R: usize>(&self, like: &Tensor<R>) -> Tensor<D> {
        in_type_of(self.log_scale.val(), like).reshape([1; D])
    }
}

impl Prior for LearnedLaplacePrior {
    fn log_density<const D: usize>(&self, weight: Tensor<D>) -> Tensor<1> {
        let n = weight.shape().num_elements() as f64;
        let weight = at_least_f32(weight);
        let log_scale: Tensor<1> = self.log_scale(&weight);
        let of_weights = weight.abs().sum() * log_scale.clone().neg().exp();
        (of_weights + (log_scale + LN_2) * n).neg()
    }

    fn expected_log_density<const D: usize>(&self, q: &Marginals<D>) -> Option<Tensor<D>> {
        let log_scale = self.log_scale(&q.mean);
        let rate = log_scale.clone().neg().exp();
        Some(expected_abs(q)?.neg() * rate - log_scale - LN_2)
    }

    fn constants(&self) -> Option<Constants> {
        Some(Constants::new("LearnedLaplace", []))
    }
}

/// `E|w|` of each weight, if its family is known.
///
/// Both formulas have a quotient of mean and scale that overflows, forward or backward, where the scale underflows. It
/// enters detached and bounded: what multiplies it is arranged so that the derivative through it vanishes, and beyond
/// the bound its function is constant in floating point.
pub(crate) fn expected_abs<const D: usize>(q: &Marginals<D>) -> Option<Tensor<D>> {
    const SMALLEST: f64 = 1e-30;
    let mean = q.mean.clone();
    match q.family {
        MarginalFamily::Normal => {
            // The folded normal's mean, σ √(2/π) exp(−z²/2) + μ erf(z/√2) with z = μ/σ: its derivative in z alone is
            // zero.
            let std = q.std.clone();
            let z = (mean.clone().detach() / std.clone().detach().clamp_min(SMALLEST))
                .clamp(-14.0, 14.0);
            let at_zero = (z.clone().square() * -0.5).exp() * core::f64::consts::FRAC_2_PI.sqrt();
            let sign = (z * core::f64::consts::FRAC_1_SQRT_2).erf();
            Some(std * at_zero + mean * sign)
        }
        MarginalFamily::Laplace => {
            // |μ| + c e^−r with r = |μ|/c, written as |μ| (1 − g) + c g (1 + r) for g = e^−r: these factors are the
            // derivatives in |μ| and in c.
            let scale = q.std.clone() * core::f64::consts::FRAC_1_SQRT_2;
            let abs = mean.abs();
            let ratio = (abs.clone().detach() / scale.clone().detach().clamp_min(SMALLEST))
                .clamp_max(100.0);
            let tail = ratio.clone().neg().exp();
            let of_mean = tail.clone().neg() + 1.0;
            let of_scale = tail * (ratio + 1.0);
            Some(abs * of_mean + scale * of_scale)
        }
        MarginalFamily::Other => None,
    }
}
