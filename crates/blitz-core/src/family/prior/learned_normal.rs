//! The normal prior whose scale is learned: empirical Bayes.

use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

use super::{Prior, PriorForm, assert_scale, learned_log, normal_log_density};
use crate::family::{Constants, Marginals, at_least_f32, in_type_of};
use crate::math::HALF_LOG_TWO_PI;

/// Configuration of a [`LearnedNormalPrior`].
///
/// | field | default | meaning | range |
/// |---|---|---|---|
/// | `initial_std` | 1 | the deviation s that training starts from | [1e-15, 1e15] |
#[derive(Config, Debug, PartialEq)]
pub struct LearnedNormalPriorConfig {
    /// The deviation that training starts from.
    #[config(default = 1.0)]
    pub initial_std: f64,
}

impl LearnedNormalPriorConfig {
    /// The prior, on `device`.
    ///
    /// # Panics
    ///
    /// Panics if `initial_std` is not a number from 1e-15 to 1e15.
    pub fn init(&self, device: &Device) -> LearnedNormalPrior {
        assert_scale("deviation", self.initial_std);
        LearnedNormalPrior {
            log_std: learned_log(self.initial_std, device),
        }
    }
}

/// `p(w) = Π N(w_i; 0, s²)` with one deviation s for the whole weight tensor, learned with the posterior.
///
/// Minimizing the ELBO's KL term over s is empirical Bayes (type-II maximum likelihood, MacKay 1992): for a factorized
/// normal posterior its optimum is `s² = mean(μ_i² + σ_i²)`. A layer thus finds the scale of its own weights, where a
/// fixed prior has to guess it.
#[derive(Module, Debug)]
pub struct LearnedNormalPrior {
    /// ln s, of `f32` at least.
    pub log_std: Param<Tensor<1>>,
}

impl LearnedNormalPrior {
    fn log_std<const D: usize>(&self, like: &Tensor<D>) -> Tensor<D> {
        in_type_of(self.log_std.val(), like).reshape([1; D])
    }
}

impl Prior for LearnedNormalPrior {
    fn log_density<const D: usize>(&self, weight: Tensor<D>) -> Tensor<1> {
        let weight = at_least_f32(weight);
        let log_std = self.log_std(&weight);
        let z = weight / log_std.clone().exp();
        let log_std = log_std.expand(z.shape());
        normal_log_density(z, log_std)
    }

    fn expected_log_density<const D: usize>(&self, q: &Marginals<D>) -> Option<Tensor<D>> {
        let log_std = self.log_std(&q.mean);
        let half_precision = (log_std.clone() * -2.0).exp() * 0.5;
        Some(q.second_moment() * half_precision.neg() - log_std - HALF_LOG_TWO_PI)
    }

    fn form(&self) -> PriorForm {
        PriorForm::LearnedNormal {
            log_std: self.log_std.val(),
        }
    }

    fn constants(&self) -> Option<Constants> {
        Some(Constants::new("LearnedNormal", []))
    }
}
