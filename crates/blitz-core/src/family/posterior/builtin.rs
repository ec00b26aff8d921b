//! The posteriors that a configuration file can name.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Device, Shape, Tensor};

use super::{
    LaplacePosterior, LaplacePosteriorConfig, LowRankNormalPosterior, LowRankNormalPosteriorConfig,
    MatrixNormalPosterior, MatrixNormalPosteriorConfig, NormalPosterior, NormalPosteriorConfig,
    Posterior, PosteriorForm, PosteriorStructure, RadialPosterior, RadialPosteriorConfig,
    StudentTPosterior, StudentTPosteriorConfig,
};
use crate::family::{Marginals, Nats, Noise};

/// A posterior by name: what a layer's configuration holds and saves.
///
/// A posterior of your own needs no entry here; see [`Posterior`] and
/// [`attach_posteriors`](crate::BayesianModule::attach_posteriors).
#[derive(Config, Debug, PartialEq)]
#[non_exhaustive]
pub enum PosteriorConfig {
    /// [`NormalPosterior`].
    Normal(NormalPosteriorConfig),
    /// [`LaplacePosterior`].
    Laplace(LaplacePosteriorConfig),
    /// [`StudentTPosterior`].
    StudentT(StudentTPosteriorConfig),
    /// [`RadialPosterior`].
    Radial(RadialPosteriorConfig),
    /// [`LowRankNormalPosterior`].
    LowRankNormal(LowRankNormalPosteriorConfig),
    /// [`MatrixNormalPosterior`]; a weight with a single axis gets a [`NormalPosterior`].
    MatrixNormal(MatrixNormalPosteriorConfig),
}

impl PosteriorConfig {
    /// The mean-field normal posterior, with every deviation at `initial_std`.
    pub fn normal(initial_std: f64) -> Self {
        Self::Normal(NormalPosteriorConfig { initial_std })
    }

    /// The mean-field Laplace posterior, with every deviation at `initial_std`.
    pub fn laplace(initial_std: f64) -> Self {
        Self::Laplace(LaplacePosteriorConfig { initial_std })
    }

    /// The mean-field Student-t posterior of `df` degrees of freedom, with every deviation at `initial_std`.
    pub fn student_t(df: f64, initial_std: f64) -> Self {
        Self::StudentT(StudentTPosteriorConfig { df, initial_std })
    }

    /// The radial posterior, with every deviation at `initial_std`.
    pub fn radial(initial_std: f64) -> Self {
        Self::Radial(RadialPosteriorConfig { initial_std })
    }

    /// The normal posterior with a covariance of rank `rank` plus a diagonal that starts at `initial_std`.
    pub fn low_rank_normal(rank: usize, initial_std: f64) -> Self {
        let config = LowRankNormalPosteriorConfig::new().with_rank(rank);
        Self::LowRankNormal(config.with_initial_std(initial_std))
    }

    /// The matrix-variate normal posterior, with every deviation at `initial_std`.
    pub fn matrix_normal(initial_std: f64) -> Self {
        Self::MatrixNormal(MatrixNormalPosteriorConfig { initial_std })
    }

    /// A posterior for a weight of `shape`, on `device`.
    ///
    /// # Panics
    ///
    /// Panics with the value if a parameter is out of its range.
    pub fn init(&self, shape: &Shape, device: &Device) -> BuiltinPosterior {
        match self {
            Self::Normal(config) => BuiltinPosterior::Normal(config.init(shape, device)),
            Self::Laplace(config) => BuiltinPosterior::Laplace(config.init(shape, device)),
            Self::StudentT(config) => BuiltinPosterior::StudentT(config.init(shape, device)),
            Self::Radial(config) => BuiltinPosterior::Radial(config.init(shape, device)),
            Self::LowRankNormal(config) => {
                BuiltinPosterior::LowRankNormal(config.init(shape, device))
            }
            Self::MatrixNormal(config) if shape.rank() < 2 => {
                Self::normal(config.initial_std).init(shape, device)
            }
            Self::MatrixNormal(config) => {
                BuiltinPosterior::MatrixNormal(config.init(shape, device))
            }
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
    /// [`LaplacePosterior`].
    Laplace(LaplacePosterior),
    /// [`StudentTPosterior`].
    StudentT(StudentTPosterior),
    /// [`RadialPosterior`].
    Radial(RadialPosterior),
    /// [`LowRankNormalPosterior`].
    LowRankNormal(LowRankNormalPosterior),
    /// [`MatrixNormalPosterior`].
    MatrixNormal(MatrixNormalPosterior),
}

impl BuiltinPosterior {
    /// The mean-field normal posterior, if it is that.
    pub fn as_normal(&self) -> Option<&NormalPosterior> {
        match self {
            Self::Normal(posterior) => Some(posterior),
            _ => None,
        }
    }
}

/// Calls the same method of whichever posterior it is.
macro_rules! dispatch {
    ($self:ident, $posterior:ident => $call:expr) => {
        match $self {
            Self::Normal($posterior) => $call,
            Self::Laplace($posterior) => $call,
            Self::StudentT($posterior) => $call,
            Self::Radial($posterior) => $call,
            Self::LowRankNormal($posterior) => $call,
            Self::MatrixNormal($posterior) => $call,
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

    fn variance<const D: usize>(&self, mu: Tensor<D>) -> Tensor<D> {
        dispatch!(self, posterior => posterior.variance(mu))
    }

    fn log_density<const D: usize>(&self, mu: Tensor<D>, weight: Tensor<D>) -> Tensor<1> {
        dispatch!(self, posterior => posterior.log_density(mu, weight))
    }

    fn marginals<const D: usize>(&self, mu: Tensor<D>) -> Marginals<D> {
        dispatch!(self, posterior => posterior.marginals(mu))
    }

    fn entropy<const D: usize>(&self, mu: Tensor<D>) -> Option<Nats<D>> {
        dispatch!(self, posterior => posterior.entropy(mu))
    }

    fn form(&self) -> PosteriorForm {
        dispatch!(self, posterior => posterior.form())
    }

    fn rows(&self, shape: &Shape, rows: &[usize]) -> Option<Self> {
        match self {
            Self::Normal(posterior) => posterior.rows(shape, rows).map(Self::Normal),
            // The others are drawn whole.
            _ => None,
        }
    }

    fn structure(&self) -> PosteriorStructure {
        dispatch!(self, posterior => posterior.structure())
    }
}
