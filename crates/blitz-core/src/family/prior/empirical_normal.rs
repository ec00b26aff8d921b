//! The normal prior at its best scale, for one tensor or shared by several: empirical Bayes without a parameter.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::Tensor;

use super::{Prior, PriorForm};
use crate::family::{Constants, Marginals, at_least_f32, square_sum};
use crate::math::{HALF_LOG_TWO_PI, NORMAL_ENTROPY};

/// Where a variance stops to count as a divisor.
const SMALLEST_VARIANCE: f64 = 1e-30;

/// Configuration of an [`EmpiricalNormalPrior`].
///
/// | field | default | meaning |
/// |---|---|---|
/// | `group` | none | the name under which weight tensors share one scale; without one each has its own |
#[derive(Config, Debug, PartialEq)]
pub struct EmpiricalNormalPriorConfig {
    /// The weights that share their scale.
    pub group: Option<String>,
}

impl EmpiricalNormalPriorConfig {
    /// The prior.
    pub fn init(&self) -> EmpiricalNormalPrior {
        EmpiricalNormalPrior {
            group: self.group.clone(),
        }
    }
}

/// `p(w) = Π N(w_i; 0, s²)` with the scale that minimizes the KL, `s² = mean(E w_i²)`, at every moment: over one weight
/// tensor, or over all tensors of a group.
///
/// What a [`LearnedNormalPrior`](crate::LearnedNormalPrior) approaches by gradient steps is inserted here. The scale is
/// no parameter: nothing is trained, saved or initialized, and the gradient of the KL in the posteriors is that at the
/// fixed best scale, since the derivative in s vanishes there. With n weights and `S = Σ μ_i² + σ_i²` over the group,
/// the members' KL is together
///
/// ```text
/// KL = −Σ H(q) + n/2 (ln 2π + 1 + ln S/n)
/// ```
///
/// Wu, Nowozin, Meeds, Turner, Hernández-Lobato & Gaunt, *Deterministic variational inference for robust Bayesian
/// neural networks* (2019), choose prior scales like this, layer by layer.
///
/// A group reaches as far as the module whose [`kl_cost`](crate::BayesianModule::kl_cost) is asked for: that of a part
/// of the model takes the best scale of the part. Of a posterior without a known entropy, `ln p` is taken at the best
/// scale of the drawn weights themselves; the KL then comes out too small, for normal weights by ½ nat a tensor at
/// most.
///
/// ```
/// use blitz_core::prelude::*;
/// use burn::nn::LinearConfig;
/// use burn::tensor::Device;
///
/// // One scale for the weight and the bias together.
/// let config = BayesianizeConfig::new().with_prior(PriorConfig::empirical_normal(Some("layer")));
/// let layer = LinearConfig::new(4, 3).init(&Device::flex()).bayesianize(&config);
/// assert_eq!(layer.kl_terms().len(), 2);
/// assert_eq!(layer.num_posterior_params(), 2 * layer.num_bayesian_weights());
/// ```
#[derive(Module, Debug)]
pub struct EmpiricalNormalPrior {
    /// The name under which weight tensors share one scale, if they do.
    pub group: Option<String>,
}

impl Prior for EmpiricalNormalPrior {
    fn log_density<const D: usize>(&self, weight: Tensor<D>) -> Tensor<1> {
        let n = weight.shape().num_elements();
        expected_log_density_at_best_scale(square_sum(&at_least_f32(weight)), n)
    }

    /// At the best scale of this tensor alone.
    fn expected_log_density<const D: usize>(&self, q: &Marginals<D>) -> Option<Tensor<D>> {
        let n = q.mean.shape().num_elements().max(1);
        let variance = (q.second_moments().detach() * (n as f64).recip())
            .clamp_min(SMALLEST_VARIANCE)
            .reshape([1; D]);
        let log_normalizer = variance.clone().log() * 0.5 + HALF_LOG_TWO_PI;
        Some((q.second_moment() / variance * 0.5 + log_normalizer).neg())
    }

    fn form(&self) -> PriorForm {
        PriorForm::BestNormal {
            group: self.group.clone(),
        }
    }

    /// None, but the group's name is part of the family's: a record of another group is refused.
    fn constants(&self) -> Option<Constants> {
        let family = match &self.group {
            None => "EmpiricalNormal".to_string(),
            Some(group) => format!("EmpiricalNormal({group})"),
        };
        Some(Constants::new(family, []))
    }
}

/// `E ln p` of n weights at their best scale, from the sum of their second moments.
pub(crate) fn expected_log_density_at_best_scale(second_moment: Tensor<1>, n: usize) -> Tensor<1> {
    if n == 0 {
        return second_moment.zeros_like();
    }
    let n = n as f64;
    let variance = (second_moment * n.recip()).clamp_min(SMALLEST_VARIANCE);
    (variance.log() * 0.5 + NORMAL_ENTROPY) * -n
}
