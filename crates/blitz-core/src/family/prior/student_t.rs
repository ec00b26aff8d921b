//! The Student-t prior.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::Tensor;

use super::{Prior, assert_scale, check_scale};
use crate::family::{ConstantError, Constants, at_least_f32};
use crate::math::{HALF_LOG_TWO_PI, log_gamma};

/// Configuration of a [`StudentTPrior`].
///
/// | field | default | meaning | range |
/// |---|---|---|---|
/// | `df` | 3 | degrees of freedom ν; 1 is a Cauchy prior | ≥ 1e-3 |
/// | `scale` | 1 | the prior's scale s; its deviation is s √(ν / (ν − 2)) for ν > 2, infinite below | [1e-15, 1e15] |
#[derive(Config, Debug, PartialEq)]
pub struct StudentTPriorConfig {
    /// The degrees of freedom.
    #[config(default = 3.0)]
    pub df: f64,
    /// The scale of the prior.
    #[config(default = 1.0)]
    pub scale: f64,
}

impl StudentTPriorConfig {
    /// The prior.
    ///
    /// # Panics
    ///
    /// Panics unless `df` is a finite number of at least 1e-3 and `scale` one from 1e-15 to 1e15.
    pub fn init(&self) -> StudentTPrior {
        assert!(
            is_df(self.df),
            "a prior's degrees of freedom must be {DF_RANGE}, got {:?}",
            self.df
        );
        assert_scale("scale", self.scale);
        StudentTPrior {
            df: self.df,
            scale: self.scale,
        }
    }
}

/// `p(w) = Π Γ((ν+1)/2) / (Γ(ν/2) √(νπ) s) · (1 + w_i² / (ν s²))^(−(ν+1)/2)`.
///
/// The tails fall as a power of the weight, so a few large weights cost little; around zero it is as round as a normal.
/// Fortuin et al., *Bayesian neural network priors revisited* (2022), find the weights of fully connected networks
/// trained without a prior distributed like this. There is no closed form for its KL.
///
/// ```
/// use blitz_core::{Prior, StudentTPriorConfig};
/// use burn::tensor::{Device, Tensor};
///
/// // One degree of freedom is the Cauchy distribution, 1 / (π (1 + w²)).
/// let cauchy = StudentTPriorConfig::new().with_df(1.0).init();
/// let log_density = cauchy.log_density(Tensor::<1>::ones([1], &Device::flex()));
/// let expected = -(2.0 * core::f32::consts::PI).ln();
/// assert!((log_density.into_scalar::<f32>() - expected).abs() < 1e-6);
/// ```
#[derive(Module, Debug)]
pub struct StudentTPrior {
    /// The degrees of freedom ν.
    pub df: f64,
    /// The scale s.
    pub scale: f64,
}

impl Prior for StudentTPrior {
    fn log_density<const D: usize>(&self, weight: Tensor<D>) -> Tensor<1> {
        let n = weight.shape().num_elements() as f64;
        let df = working_df(self.df);
        at_least_f32(weight)
            .mul_scalar((self.scale * df.sqrt()).recip())
            .square()
            .log1p()
            .sum()
            .mul_scalar(-0.5 * (df + 1.0))
            .sub_scalar(n * (log_normalizer(self.df) + self.scale.ln()))
    }

    fn constants(&self) -> Option<Constants> {
        Some(Constants::new("StudentT", [self.df, self.scale]))
    }

    fn set_constants(&mut self, values: &[f64]) -> Result<(), ConstantError> {
        let (df, scale) = (values[0], values[1]);
        ConstantError::unless(is_df(df), "degrees of freedom", df, DF_RANGE)?;
        check_scale("scale of a prior", scale)?;
        (self.df, self.scale) = (df, scale);
        Ok(())
    }
}

/// The fewest degrees of freedom: in parts of `s √ν` the square of a weight must not be beyond `f32`.
const MIN_DF: f64 = 1e-3;

/// What [`MIN_DF`] says.
const DF_RANGE: &str = "a finite number of at least 1e-3";

fn is_df(value: f64) -> bool {
    value.is_finite() && value >= MIN_DF
}

/// The degrees of freedom that a density is computed with. From these on it is that of a normal, in `f64` too, and
/// beyond 10³⁸ they would be infinite in `f32`.
pub(crate) fn working_df(df: f64) -> f64 {
    df.min(1e20)
}

/// From so many degrees of freedom on, differences of lnΓ and ψ lose more digits than the first term of their series
/// leaves out, ν⁻².
pub(crate) const NEARLY_NORMAL: f64 = 1e6;

/// `ln [Γ(ν/2) √(νπ) / Γ((ν+1)/2)]`, the normalizer of the standard Student-t density.
pub(crate) fn log_normalizer(df: f64) -> f64 {
    if df > NEARLY_NORMAL {
        return HALF_LOG_TWO_PI + 0.25 / df;
    }
    log_gamma(0.5 * df) - log_gamma(0.5 * (df + 1.0)) + 0.5 * (df * core::f64::consts::PI).ln()
}
