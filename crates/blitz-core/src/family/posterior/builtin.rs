//! The posteriors that a configuration file can name.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Device, Shape, Tensor};

use super::{
    FullRankNormalPosterior, FullRankNormalPosteriorConfig, LaplacePosterior,
    LaplacePosteriorConfig, LowRankNormalPosterior, LowRankNormalPosteriorConfig,
    MatrixNormalPosterior, MatrixNormalPosteriorConfig, NormalPosterior, NormalPosteriorConfig,
    Posterior, PosteriorForm, PosteriorStructure, RadialPosterior, RadialPosteriorConfig,
    StudentTPosterior, StudentTPosteriorConfig, VarianceFactors,
};
use crate::family::{ConstantError, Constants, Marginals, Nats, Noise};

/// The families, each in one line: its name, its configuration and its type.
macro_rules! families {
    ($($(#[$doc:meta])* $name:ident($config:ty => $posterior:ty),)+) => {
        /// A posterior by name: what a layer's configuration holds and saves.
        ///
        /// A posterior of your own needs no entry here; see [`Posterior`] and
        /// [`attach_posteriors`](crate::BayesianModule::attach_posteriors).
        #[derive(Config, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum PosteriorConfig {
            $($(#[$doc])* $name($config),)+
        }

        /// A posterior made from a [`PosteriorConfig`].
        #[derive(Module, Debug)]
        #[non_exhaustive]
        pub enum BuiltinPosterior {
            $($(#[$doc])* $name($posterior),)+
        }

        impl PosteriorConfig {
            fn init_as_named(&self, shape: &Shape, device: &Device) -> BuiltinPosterior {
                match self {
                    $(Self::$name(config) => BuiltinPosterior::$name(config.init(shape, device)),)+
                }
            }
        }

        impl Posterior for BuiltinPosterior {
            fn sample<const D: usize>(&self, mu: Tensor<D>, noise: &mut Noise) -> Tensor<D> {
                match self { $(Self::$name(posterior) => posterior.sample(mu, noise),)+ }
            }

            fn mean<const D: usize>(&self, mu: Tensor<D>) -> Tensor<D> {
                match self { $(Self::$name(posterior) => posterior.mean(mu),)+ }
            }

            fn std_dev<const D: usize>(&self, mu: Tensor<D>) -> Tensor<D> {
                match self { $(Self::$name(posterior) => posterior.std_dev(mu),)+ }
            }

            fn variance<const D: usize>(&self, mu: Tensor<D>) -> Tensor<D> {
                match self { $(Self::$name(posterior) => posterior.variance(mu),)+ }
            }

            fn variance_factors<const D: usize>(&self, mu: &Tensor<D>) -> Option<VarianceFactors> {
                match self { $(Self::$name(posterior) => posterior.variance_factors(mu),)+ }
            }

            fn column_factors<const D: usize>(&self, mu: &Tensor<D>) -> Option<Tensor<3>> {
                match self { $(Self::$name(posterior) => posterior.column_factors(mu),)+ }
            }

            fn log_density<const D: usize>(&self, mu: Tensor<D>, weight: Tensor<D>) -> Tensor<1> {
                match self { $(Self::$name(posterior) => posterior.log_density(mu, weight),)+ }
            }

            fn marginals<const D: usize>(&self, mu: Tensor<D>) -> Marginals<D> {
                match self { $(Self::$name(posterior) => posterior.marginals(mu),)+ }
            }

            fn entropy<const D: usize>(&self, q: &Marginals<D>) -> Option<Nats<D>> {
                match self { $(Self::$name(posterior) => posterior.entropy(q),)+ }
            }

            fn has_density(&self) -> bool {
                match self { $(Self::$name(posterior) => posterior.has_density(),)+ }
            }

            fn expected_log_density<const D: usize>(
                &self,
                mu: Tensor<D>,
                q: &Marginals<D>,
            ) -> Option<Tensor<D>> {
                match self { $(Self::$name(posterior) => posterior.expected_log_density(mu, q),)+ }
            }

            fn form(&self) -> PosteriorForm {
                match self { $(Self::$name(posterior) => posterior.form(),)+ }
            }

            fn rows(&self, shape: &Shape, rows: &[usize]) -> Option<Self> {
                match self { $(Self::$name(posterior) => posterior.rows(shape, rows).map(Self::$name),)+ }
            }

            fn marginal_of_rows(&self, shape: &Shape, rows: &[usize]) -> Option<Self> {
                match self {
                    $(Self::$name(posterior) => posterior.marginal_of_rows(shape, rows).map(Self::$name),)+
                }
            }

            fn structure(&self) -> PosteriorStructure {
                match self { $(Self::$name(posterior) => posterior.structure(),)+ }
            }

            fn is_symmetric(&self) -> bool {
                match self { $(Self::$name(posterior) => posterior.is_symmetric(),)+ }
            }

            fn with_deviations_scaled(self, factor: f64) -> Option<Self> {
                match self {
                    $(Self::$name(posterior) => posterior.with_deviations_scaled(factor).map(Self::$name),)+
                }
            }

            fn has_own_update(&self) -> bool {
                match self { $(Self::$name(posterior) => posterior.has_own_update(),)+ }
            }

            fn constants(&self) -> Option<Constants> {
                match self { $(Self::$name(posterior) => posterior.constants(),)+ }
            }

            fn set_constants(&mut self, values: &[f64]) -> Result<(), ConstantError> {
                match self { $(Self::$name(posterior) => posterior.set_constants(values),)+ }
            }
        }
    };
}

families! {
    /// [`NormalPosterior`].
    Normal(NormalPosteriorConfig => NormalPosterior),
    /// [`LaplacePosterior`].
    Laplace(LaplacePosteriorConfig => LaplacePosterior),
    /// [`StudentTPosterior`].
    StudentT(StudentTPosteriorConfig => StudentTPosterior),
    /// [`RadialPosterior`].
    Radial(RadialPosteriorConfig => RadialPosterior),
    /// [`LowRankNormalPosterior`].
    LowRankNormal(LowRankNormalPosteriorConfig => LowRankNormalPosterior),
    /// [`MatrixNormalPosterior`]; a weight with a single axis gets a [`NormalPosterior`].
    MatrixNormal(MatrixNormalPosteriorConfig => MatrixNormalPosterior),
    /// [`FullRankNormalPosterior`]; a weight with a single axis, or without elements, gets a [`NormalPosterior`].
    FullRankNormal(FullRankNormalPosteriorConfig => FullRankNormalPosterior),
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

    /// The normal posterior with all covariances among the weights of each column, those of an output of a linear
    /// layer, with every deviation at `initial_std`.
    pub fn full_rank_normal(initial_std: f64) -> Self {
        Self::FullRankNormal(FullRankNormalPosteriorConfig { initial_std })
    }

    /// A posterior for a weight of `shape`, on `device`.
    ///
    /// # Panics
    ///
    /// Panics with the value if a parameter is out of its range.
    pub fn init(&self, shape: &Shape, device: &Device) -> BuiltinPosterior {
        match self {
            Self::MatrixNormal(config) if shape.rank() < 2 => {
                Self::normal(config.initial_std).init(shape, device)
            }
            Self::FullRankNormal(config) if shape.rank() < 2 || shape.num_elements() == 0 => {
                Self::normal(config.initial_std).init(shape, device)
            }
            named => named.init_as_named(shape, device),
        }
    }
}

impl Default for PosteriorConfig {
    /// The mean-field normal at its defaults.
    fn default() -> Self {
        Self::Normal(NormalPosteriorConfig::new())
    }
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
