//! The normal prior.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::Tensor;

use super::{Prior, PriorForm, assert_scale, check_scale};
use crate::family::{ConstantError, Constants, Marginals, at_least_f32};
use crate::math::HALF_LOG_TWO_PI;

/// Configuration of a [`NormalPrior`].
///
/// | field | default | meaning | range |
/// |---|---|---|---|
/// | `std` | 1 | the prior's deviation s | [1e-15, 1e15] |
#[derive(Config, Debug, PartialEq)]
pub struct NormalPriorConfig {
    /// The deviation of the prior.
    #[config(default = 1.0)]
    pub std: f64,
}

impl NormalPriorConfig {
    /// The prior.
    ///
    /// # Panics
    ///
    /// Panics if `std` is not a number from 1e-15 to 1e15.
    pub fn init(&self) -> NormalPrior {
        NormalPrior::new(self.std)
    }
}

/// `p(w) = Π N(w_i; 0, s²)`.
///
/// Against a factorized normal posterior the KL is
/// `Σ ln(s / σ_i) + (σ_i² + μ_i²) / (2 s²) − 1/2`, summed over the weights, in nats.
///
/// ```
/// use blitz_core::{NormalPrior, Prior};
/// use burn::tensor::{Device, Tensor};
///
/// let weight = Tensor::<1>::from_floats([0.0, 2.0], &Device::flex());
/// let log_density = NormalPrior::new(1.0).log_density(weight).into_scalar::<f32>();
/// assert!((log_density - (-2.0 * 0.918_938_5 - 2.0)).abs() < 1e-6);
/// ```
#[derive(Module, Debug)]
pub struct NormalPrior {
    /// The deviation s.
    pub std: f64,
}

impl NormalPrior {
    /// A normal prior with mean zero and deviation `std`.
    ///
    /// # Panics
    ///
    /// Panics if `std` is not a number from 1e-15 to 1e15.
    pub fn new(std: f64) -> Self {
        assert_scale("deviation", std);
        Self { std }
    }
}

impl Prior for NormalPrior {
    fn log_density<const D: usize>(&self, weight: Tensor<D>) -> Tensor<1> {
        let n = weight.shape().num_elements() as f64;
        let log_normalizer = self.std.ln() + HALF_LOG_TWO_PI;
        at_least_f32(weight)
            .mul_scalar(self.std.recip())
            .square()
            .sum()
            .mul_scalar(-0.5)
            .sub_scalar(n * log_normalizer)
    }

    fn expected_log_density<const D: usize>(&self, q: &Marginals<D>) -> Option<Tensor<D>> {
        let log_normalizer = self.std.ln() + HALF_LOG_TWO_PI;
        Some(q.second_moment() * (-0.5 / self.std.powi(2)) - log_normalizer)
    }

    fn form(&self) -> PriorForm {
        PriorForm::Normal { std: self.std }
    }

    fn constants(&self) -> Option<Constants> {
        Some(Constants::new("Normal", [self.std]))
    }

    fn set_constants(&mut self, values: &[f64]) -> Result<(), ConstantError> {
        check_scale("deviation of a prior", values[0])?;
        self.std = values[0];
        Ok(())
    }
}
