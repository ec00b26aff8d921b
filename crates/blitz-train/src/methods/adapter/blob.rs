//! BLoB: a posterior on one factor of each adapter, trained from the start.

use blitz_layers::blitz_core::{
    BayesianModule, BayesianizeConfig, PosteriorConfig, PriorConfig, WeightFilter,
};
use burn::config::Config;
use burn::module::{Module, ParamGroup};

use super::error::AdapterError;
use super::factors::adapters_within_rank;
use crate::elbo::{BetaSchedule, ElboConfig};

/// BLoB (Wang, Shi, Han, Metaxas & Wang, *BLoB: Bayesian low-rank adaptation by backpropagation for large language
/// models*, 2024): the factor `a` of each adapter is normal, `b` has one value.
///
/// | field | default | meaning | range |
/// |---|---|---|---|
/// | `initial_std` | 0.002 | the deviations at the start | [1e-30, 1e15] |
/// | `prior_std` | 0.2 | the deviation of the prior of `a` | [1e-15, 1e15] |
///
/// `a_ij ~ N(m_ij, s_ij²)` under the prior `N(0, prior_std²)`. So the merged weight is normal of low rank, and the KL
/// from its prior, of low rank too, is that of `a`: `Σ ln(prior_std / s_ij) + (s_ij² + m_ij²) / (2 prior_std²) − ½`.
/// `b` starts at zero in Burn as in the paper; were it random as well, `a` and `b` at their priors would be at a
/// saddle.
///
/// [`elbo`](Self::elbo) has the paper's weight of the KL, which doubles from minibatch to minibatch ([`BetaSchedule::RisingMinibatches`]).
///
/// A layer of Burn's has one `a` for all rows of a batch in each draw, and adds the product to its weight. The paper's
/// flipout gives each row signs of its own on `x a`, and makes no matrix of the weight's size: that is
/// [`Estimator::linear`](blitz_layers::Estimator::linear) of [`Flipout`](blitz_layers::Estimator::Flipout), in the place
/// of the layer's `forward`. The example `finetune` has it in the attention of Burn's transformer.
///
/// ```
/// use blitz_train::BlobConfig;
/// use blitz_train::prelude::*;
/// use burn::module::{Lora, Module};
/// use burn::nn::LinearConfig;
/// use burn::tensor::Device;
///
/// # fn main() -> Result<(), blitz_train::AdapterError> {
/// let net = LinearConfig::new(4, 6).init(&Device::flex()).apply_lora(Lora::new(2, 4.0));
/// let net = BlobConfig::new().attach(net)?;
/// assert_eq!(net.num_bayesian_weights(), 4 * 2);
/// assert_eq!(net.kl_terms()[0].path, "weight.lora.a");
/// // 100 examples in 4 minibatches:
/// let elbo = BlobConfig::new().elbo(100, 4).init();
/// # let _ = elbo;
/// # Ok(())
/// # }
/// ```
#[derive(Config, Debug)]
pub struct BlobConfig {
    /// The deviations at the start.
    #[config(default = 0.002)]
    pub initial_std: f64,
    /// The deviation of the prior of `a`.
    #[config(default = 0.2)]
    pub prior_std: f64,
}

impl BlobConfig {
    /// Attaches a normal posterior to the factor `a` of each adapter, around its value.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no adapter, if one has rank 0 or a rank above its weight's, if its product is
    /// multiplied with 0 or no finite number, if its weight trains as well, or if a factor has a posterior already or
    /// is frozen.
    ///
    /// # Panics
    ///
    /// Panics with the value if a deviation is out of its range.
    pub fn attach<M: Module>(&self, module: M) -> Result<M, AdapterError> {
        let adapters = adapters_within_rank(&module)?;
        let factors = || adapters.iter().flat_map(|adapter| [&adapter.a, &adapter.b]);
        if let Some(factor) = factors().find(|factor| factor.has_posterior) {
            return Err(AdapterError::Posterior {
                path: factor.path.clone(),
            });
        }
        if let Some(factor) = factors().find(|factor| !factor.trains) {
            return Err(AdapterError::Frozen {
                path: factor.path.clone(),
            });
        }
        let paths: Vec<String> = adapters.iter().map(|a| a.a.path.clone()).collect();
        let config = BayesianizeConfig::new()
            .with_posterior(PosteriorConfig::normal(self.initial_std))
            .with_prior(PriorConfig::normal(self.prior_std))
            .only(WeightFilter::Group(ParamGroup::from_paths(paths)));
        Ok(module.bayesianize(&config))
    }

    /// The objective for this many examples in so many minibatches an epoch, with a KL whose weight rises from the
    /// first to the last of them.
    pub fn elbo(&self, examples: usize, minibatches: usize) -> ElboConfig {
        ElboConfig::new(examples).with_beta(BetaSchedule::RisingMinibatches(minibatches))
    }
}
