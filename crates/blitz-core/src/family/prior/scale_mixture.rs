//! The two-component scale mixture of Blundell et al. (2015), equation 7.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::activation::softplus;

use super::{Prior, PriorForm, assert_scale, check_scale};
use crate::family::{ConstantError, Constants, at_least_f32};
use crate::math::HALF_LOG_TWO_PI;

/// Configuration of a [`ScaleMixturePrior`].
///
/// | field | default | meaning | range |
/// |---|---|---|---|
/// | `pi` | 0.5 | weight of the first, wide component | (0, 1) |
/// | `sigma1` | 1 | deviation of the first component | [1e-15, 1e15] |
/// | `sigma2` | e^-6 | deviation of the second, narrow component | [1e-15, sigma1) |
///
/// The defaults are of the grid that the paper searched (π of 1/4, 1/2, 3/4; −ln σ₁ of 0, 1, 2; −ln σ₂ of 6, 7, 8):
/// the middle π, the largest deviations.
#[derive(Config, Debug, PartialEq)]
pub struct ScaleMixturePriorConfig {
    /// The weight of the first component.
    #[config(default = 0.5)]
    pub pi: f64,
    /// The deviation of the first component.
    #[config(default = 1.0)]
    pub sigma1: f64,
    /// The deviation of the second component, smaller than the first.
    #[config(default = "0.0024787521766663585")]
    pub sigma2: f64,
}

impl ScaleMixturePriorConfig {
    /// The prior.
    ///
    /// # Panics
    ///
    /// Panics if `pi` is not inside (0, 1), or unless `1e15 ≥ sigma1 > sigma2 ≥ 1e-15`.
    pub fn init(&self) -> ScaleMixturePrior {
        assert!(
            self.pi > 0.0 && self.pi < 1.0,
            "a scale mixture's pi must lie inside (0, 1), got {}; for one component take a normal prior",
            self.pi
        );
        assert_scale("sigma1", self.sigma1);
        assert_scale("sigma2", self.sigma2);
        assert!(
            self.sigma1 > self.sigma2,
            "a scale mixture needs sigma1 > sigma2, got {} and {}",
            self.sigma1,
            self.sigma2
        );
        ScaleMixturePrior {
            pi: self.pi,
            sigma1: self.sigma1,
            sigma2: self.sigma2,
        }
    }
}

/// `p(w) = Π π N(w_i; 0, σ₁²) + (1 − π) N(w_i; 0, σ₂²)`.
///
/// The narrow component pulls small weights to zero, the wide one leaves large weights alone. There is no closed
/// form for its KL; it is estimated at the draw's weights.
#[derive(Module, Debug)]
pub struct ScaleMixturePrior {
    /// The weight π of the first component.
    pub pi: f64,
    /// The deviation of the first, wide component.
    pub sigma1: f64,
    /// The deviation of the second, narrow component.
    pub sigma2: f64,
}

/// From so many deviations on the narrow component has no density beside the wide one, whatever their shares.
const FARTHEST: f64 = 1e4;

impl Prior for ScaleMixturePrior {
    fn log_density<const D: usize>(&self, weight: Tensor<D>) -> Tensor<1> {
        // ln p = ln wide + softplus(ln narrow − ln wide), which loses neither component.
        let n = weight.shape().num_elements() as f64;
        let weight = at_least_f32(weight);
        let log_wide = self.pi.ln() - self.sigma1.ln() - HALF_LOG_TWO_PI;
        let log_ratio = (1.0 - self.pi).ln() - self.pi.ln() + self.sigma1.ln() - self.sigma2.ln();
        // Squared in parts of a deviation: the square of a weight itself may be beyond `f32`.
        let curvature = self.sigma2.powi(-2) - self.sigma1.powi(-2);
        let narrow_over_wide = weight
            .clone()
            .mul_scalar(curvature.sqrt())
            .clamp(-FARTHEST, FARTHEST)
            .square()
            .mul_scalar(-0.5)
            .add_scalar(log_ratio);
        let wide = weight
            .mul_scalar(self.sigma1.recip())
            .square()
            .mul_scalar(-0.5);
        (wide + softplus(narrow_over_wide, 1.0))
            .sum()
            .add_scalar(n * log_wide)
    }

    fn form(&self) -> PriorForm {
        PriorForm::ScaleMixture {
            pi: self.pi,
            sigma1: self.sigma1,
            sigma2: self.sigma2,
        }
    }

    fn constants(&self) -> Option<Constants> {
        let values = [self.pi, self.sigma1, self.sigma2];
        Some(Constants::new("ScaleMixture", values))
    }

    fn set_constants(&mut self, values: &[f64]) -> Result<(), ConstantError> {
        let (pi, sigma1, sigma2) = (values[0], values[1], values[2]);
        let is_share = pi > 0.0 && pi < 1.0;
        ConstantError::unless(is_share, "pi of a scale mixture", pi, "inside (0, 1)")?;
        check_scale("sigma1 of a scale mixture", sigma1)?;
        check_scale("sigma2 of a scale mixture", sigma2)?;
        ConstantError::unless(
            sigma1 > sigma2,
            "sigma2 of a scale mixture",
            sigma2,
            "below sigma1",
        )?;
        (self.pi, self.sigma1, self.sigma2) = (pi, sigma1, sigma2);
        Ok(())
    }
}
