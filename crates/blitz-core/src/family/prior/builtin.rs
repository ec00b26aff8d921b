//! The priors that a configuration file can name.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::{
    EmpiricalNormalPrior, EmpiricalNormalPriorConfig, HorseshoePrior, HorseshoePriorConfig,
    LaplacePrior, LaplacePriorConfig, LearnedLaplacePrior, LearnedLaplacePriorConfig,
    LearnedNormalPrior, LearnedNormalPriorConfig, NormalPrior, NormalPriorConfig, Prior, PriorForm,
    ScaleMixturePrior, ScaleMixturePriorConfig, StudentTPrior, StudentTPriorConfig,
};
use crate::family::Marginals;

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
    /// [`EmpiricalNormalPrior`].
    EmpiricalNormal(EmpiricalNormalPriorConfig),
    /// [`LaplacePrior`].
    Laplace(LaplacePriorConfig),
    /// [`LearnedLaplacePrior`].
    LearnedLaplace(LearnedLaplacePriorConfig),
    /// [`StudentTPrior`].
    StudentT(StudentTPriorConfig),
    /// [`HorseshoePrior`].
    Horseshoe(HorseshoePriorConfig),
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

    /// A normal prior at its best deviation: that of each weight tensor, or of all those with the same `group`.
    pub fn empirical_normal(group: Option<&str>) -> Self {
        let group = group.map(str::to_string);
        Self::EmpiricalNormal(EmpiricalNormalPriorConfig { group })
    }

    /// Blundell's scale mixture with weight `pi` on the component of deviation `sigma1`.
    pub fn scale_mixture(pi: f64, sigma1: f64, sigma2: f64) -> Self {
        Self::ScaleMixture(ScaleMixturePriorConfig { pi, sigma1, sigma2 })
    }

    /// A Laplace prior of scale `scale`, and so of deviation `scale` √2.
    pub fn laplace(scale: f64) -> Self {
        Self::Laplace(LaplacePriorConfig { scale })
    }

    /// A Laplace prior that learns its scale, from `initial_scale`.
    pub fn learned_laplace(initial_scale: f64) -> Self {
        Self::LearnedLaplace(LearnedLaplacePriorConfig { initial_scale })
    }

    /// A Student-t prior of `df` degrees of freedom and scale `scale`.
    pub fn student_t(df: f64, scale: f64) -> Self {
        Self::StudentT(StudentTPriorConfig { df, scale })
    }

    /// A horseshoe prior of global scale `scale`.
    pub fn horseshoe(scale: f64) -> Self {
        Self::Horseshoe(HorseshoePriorConfig::new().with_scale(scale))
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
            Self::EmpiricalNormal(config) => BuiltinPrior::EmpiricalNormal(config.init()),
            Self::Laplace(config) => BuiltinPrior::Laplace(config.init()),
            Self::LearnedLaplace(config) => BuiltinPrior::LearnedLaplace(config.init(device)),
            Self::StudentT(config) => BuiltinPrior::StudentT(config.init()),
            Self::Horseshoe(config) => BuiltinPrior::Horseshoe(config.init()),
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
    /// [`EmpiricalNormalPrior`].
    EmpiricalNormal(EmpiricalNormalPrior),
    /// [`LaplacePrior`].
    Laplace(LaplacePrior),
    /// [`LearnedLaplacePrior`].
    LearnedLaplace(LearnedLaplacePrior),
    /// [`StudentTPrior`].
    StudentT(StudentTPrior),
    /// [`HorseshoePrior`].
    Horseshoe(HorseshoePrior),
}

/// Calls the same method of whichever prior it is.
macro_rules! dispatch {
    ($self:ident, $prior:ident => $call:expr) => {
        match $self {
            Self::Normal($prior) => $call,
            Self::LearnedNormal($prior) => $call,
            Self::ScaleMixture($prior) => $call,
            Self::EmpiricalNormal($prior) => $call,
            Self::Laplace($prior) => $call,
            Self::LearnedLaplace($prior) => $call,
            Self::StudentT($prior) => $call,
            Self::Horseshoe($prior) => $call,
        }
    };
}

impl Prior for BuiltinPrior {
    fn log_density<const D: usize>(&self, weight: Tensor<D>) -> Tensor<1> {
        dispatch!(self, prior => prior.log_density(weight))
    }

    fn expected_log_density<const D: usize>(&self, q: &Marginals<D>) -> Option<Tensor<D>> {
        dispatch!(self, prior => prior.expected_log_density(q))
    }

    fn form(&self) -> PriorForm {
        dispatch!(self, prior => prior.form())
    }
}
