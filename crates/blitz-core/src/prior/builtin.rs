//! The priors that a configuration file can name.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::{
    LearnedNormalPrior, LearnedNormalPriorConfig, NormalPrior, NormalPriorConfig, Prior,
    ScaleMixturePrior, ScaleMixturePriorConfig,
};
use crate::posterior::Marginals;

/// A prior by name: what a layer's configuration holds and saves.
///
/// A prior of your own needs no entry here; see [`Prior`] and
/// [`attach_posteriors`](crate::BayesianModule::attach_posteriors).
#[derive(Config, Debug, PartialEq)]
#[non_exhaustive]
pub enum PriorConfig {
    /// [`NormalPrior`].
    Normal(NormalPriorConfig),
    /// [`LearnedNormalPrior`].
    LearnedNormal(LearnedNormalPriorConfig),
    /// [`ScaleMixturePrior`].
    ScaleMixture(ScaleMixturePriorConfig),
}

impl PriorConfig {
    /// A normal prior of deviation `std`.
    pub fn normal(std: f64) -> Self {
        Self::Normal(NormalPriorConfig { std })
    }

    /// A normal prior that learns its deviation, from `initial_std`.
    pub fn learned_normal(initial_std: f64) -> Self {
        Self::LearnedNormal(LearnedNormalPriorConfig { initial_std })
    }

    /// Blundell's scale mixture with weight `pi` on the component of deviation `sigma1`.
    pub fn scale_mixture(pi: f64, sigma1: f64, sigma2: f64) -> Self {
        Self::ScaleMixture(ScaleMixturePriorConfig { pi, sigma1, sigma2 })
    }

    /// The prior, with what it learns on `device`.
    ///
    /// # Panics
    ///
    /// Panics with the value if a parameter is out of its range.
    pub fn init(&self, device: &Device) -> BuiltinPrior {
        match self {
            Self::Normal(config) => BuiltinPrior::Normal(config.init()),
            Self::LearnedNormal(config) => BuiltinPrior::LearnedNormal(config.init(device)),
            Self::ScaleMixture(config) => BuiltinPrior::ScaleMixture(config.init()),
        }
    }
}

impl Default for PriorConfig {
    /// The standard normal.
    fn default() -> Self {
        Self::normal(1.0)
    }
}

/// A prior made from a [`PriorConfig`].
#[derive(Module, Debug)]
#[non_exhaustive]
pub enum BuiltinPrior {
    /// [`NormalPrior`].
    Normal(NormalPrior),
    /// [`LearnedNormalPrior`].
    LearnedNormal(LearnedNormalPrior),
    /// [`ScaleMixturePrior`].
    ScaleMixture(ScaleMixturePrior),
}

impl Prior for BuiltinPrior {
    fn log_density<const D: usize>(&self, weight: Tensor<D>) -> Tensor<1> {
        match self {
            Self::Normal(prior) => prior.log_density(weight),
            Self::LearnedNormal(prior) => prior.log_density(weight),
            Self::ScaleMixture(prior) => prior.log_density(weight),
        }
    }

    fn expected_log_density<const D: usize>(&self, q: &Marginals<D>) -> Option<Tensor<D>> {
        match self {
            Self::Normal(prior) => prior.expected_log_density(q),
            Self::LearnedNormal(prior) => prior.expected_log_density(q),
            Self::ScaleMixture(prior) => prior.expected_log_density(q),
        }
    }
}
