//! The posteriors that a configuration file can name.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Device, Shape, Tensor};

use super::{Marginals, NormalPosterior, NormalPosteriorConfig, Posterior, PosteriorStructure};
use crate::noise_source::Noise;
use crate::prior::Prior;

/// A posterior by name: what a layer's configuration holds and saves.
///
/// A posterior of your own needs no entry here; see [`Posterior`] and
/// [`attach_posteriors`](crate::BayesianModule::attach_posteriors).
#[derive(Config, Debug, PartialEq)]
#[non_exhaustive]
pub enum PosteriorConfig {
    /// [`NormalPosterior`].
    Normal(NormalPosteriorConfig),
}

impl PosteriorConfig {
    /// The mean-field normal posterior, with every deviation at `initial_std`.
    pub fn normal(initial_std: f64) -> Self {
        Self::Normal(NormalPosteriorConfig { initial_std })
    }

    /// A posterior for a weight of `shape`, on `device`.
    ///
    /// # Panics
    ///
    /// Panics with the value if a parameter is out of its range.
    pub fn init(&self, shape: &Shape, device: &Device) -> BuiltinPosterior {
        match self {
            Self::Normal(config) => BuiltinPosterior::Normal(config.init(shape, device)),
        }
    }
}

impl Default for PosteriorConfig {
    /// The mean-field normal at its defaults.
    fn default() -> Self {
        Self::Normal(NormalPosteriorConfig::new())
    }
}

/// A posterior made from a [`PosteriorConfig`].
#[derive(Module, Debug)]
#[non_exhaustive]
pub enum BuiltinPosterior {
    /// [`NormalPosterior`].
    Normal(NormalPosterior),
}

impl BuiltinPosterior {
    /// The mean-field normal posterior, if it is that.
    pub fn as_normal(&self) -> Option<&NormalPosterior> {
        #[allow(irrefutable_let_patterns)]
        if let Self::Normal(posterior) = self {
            return Some(posterior);
        }
        None
    }
}

/// Calls the same method of whichever posterior it is.
macro_rules! dispatch {
    ($self:ident, $posterior:ident => $call:expr) => {
        match $self {
            Self::Normal($posterior) => $call,
        }
    };
}

impl Posterior for BuiltinPosterior {
    fn sample<const D: usize>(&self, mu: Tensor<D>, noise: &mut Noise) -> Tensor<D> {
        dispatch!(self, posterior => posterior.sample(mu, noise))
    }

    fn mean<const D: usize>(&self, mu: Tensor<D>) -> Tensor<D> {
        dispatch!(self, posterior => posterior.mean(mu))
    }

    fn std_dev<const D: usize>(&self, mu: Tensor<D>) -> Tensor<D> {
        dispatch!(self, posterior => posterior.std_dev(mu))
    }

    fn log_density<const D: usize>(&self, mu: Tensor<D>, weight: Tensor<D>) -> Tensor<1> {
        dispatch!(self, posterior => posterior.log_density(mu, weight))
    }

    fn marginals<const D: usize>(&self, mu: Tensor<D>) -> Marginals<D> {
        dispatch!(self, posterior => posterior.marginals(mu))
    }

    fn entropy<const D: usize>(&self, mu: Tensor<D>) -> Option<Tensor<1>> {
        dispatch!(self, posterior => posterior.entropy(mu))
    }

    fn kl<P: Prior, const D: usize>(&self, mu: Tensor<D>, prior: &P) -> Option<Tensor<1>> {
        dispatch!(self, posterior => posterior.kl(mu, prior))
    }

    fn rows(&self, shape: &Shape, rows: &[usize]) -> Option<Self> {
        match self {
            Self::Normal(posterior) => posterior.rows(shape, rows).map(Self::Normal),
            #[allow(unreachable_patterns)]
            _ => None,
        }
    }

    fn structure(&self) -> PosteriorStructure {
        dispatch!(self, posterior => posterior.structure())
    }
}
