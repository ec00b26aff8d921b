//! The priors that a configuration file can name.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Device, Shape, Tensor};

use super::{
    EmpiricalNormalPrior, EmpiricalNormalPriorConfig, HorseshoePrior, HorseshoePriorConfig,
    LaplacePrior, LaplacePriorConfig, LearnedLaplacePrior, LearnedLaplacePriorConfig,
    LearnedNormalPrior, LearnedNormalPriorConfig, NormalPrior, NormalPriorConfig, Prior, PriorForm,
    ScaleMixturePrior, ScaleMixturePriorConfig, StudentTPrior, StudentTPriorConfig,
};
use crate::family::{ConstantError, Constants, Marginals};

/// The families, each in one line: its name, its configuration, its type, and how the one makes the other on a device.
macro_rules! families {
    ($($(#[$doc:meta])* $name:ident($config:ty => $prior:ty): $init:expr,)+) => {
        /// A prior by name: what a layer's configuration holds and saves.
        ///
        /// A prior of your own needs no entry here; see [`Prior`] and
        /// [`attach_posteriors`](crate::BayesianModule::attach_posteriors).
        #[derive(Config, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum PriorConfig {
            $($(#[$doc])* $name($config),)+
        }

        /// A prior made from a [`PriorConfig`].
        #[derive(Module, Debug)]
        #[non_exhaustive]
        pub enum BuiltinPrior {
            $($(#[$doc])* $name($prior),)+
        }

        impl PriorConfig {
            /// The prior, with what it learns on `device`.
            ///
            /// # Panics
            ///
            /// Panics with the value if a parameter is out of its range.
            pub fn init(&self, device: &Device) -> BuiltinPrior {
                match self {
                    $(Self::$name(config) => {
                        let init: fn(&$config, &Device) -> $prior = $init;
                        BuiltinPrior::$name(init(config, device))
                    })+
                }
            }
        }

        impl Prior for BuiltinPrior {
            fn log_density<const D: usize>(&self, weight: Tensor<D>) -> Tensor<1> {
                match self { $(Self::$name(prior) => prior.log_density(weight),)+ }
            }

            fn expected_log_density<const D: usize>(&self, q: &Marginals<D>) -> Option<Tensor<D>> {
                match self { $(Self::$name(prior) => prior.expected_log_density(q),)+ }
            }

            fn of_rows(&self, shape: &Shape, rows: &[usize]) -> Self {
                match self { $(Self::$name(prior) => Self::$name(prior.of_rows(shape, rows)),)+ }
            }

            fn form(&self) -> PriorForm {
                match self { $(Self::$name(prior) => prior.form(),)+ }
            }

            fn constants(&self) -> Option<Constants> {
                match self { $(Self::$name(prior) => prior.constants(),)+ }
            }

            fn set_constants(&mut self, values: &[f64]) -> Result<(), ConstantError> {
                match self { $(Self::$name(prior) => prior.set_constants(values),)+ }
            }
        }
    };
}

families! {
    /// [`NormalPrior`].
    Normal(NormalPriorConfig => NormalPrior): |config, _| config.init(),
    /// [`LearnedNormalPrior`].
    LearnedNormal(LearnedNormalPriorConfig => LearnedNormalPrior): LearnedNormalPriorConfig::init,
    /// [`ScaleMixturePrior`].
    ScaleMixture(ScaleMixturePriorConfig => ScaleMixturePrior): |config, _| config.init(),
    /// [`EmpiricalNormalPrior`].
    EmpiricalNormal(EmpiricalNormalPriorConfig => EmpiricalNormalPrior): |config, _| config.init(),
    /// [`LaplacePrior`].
    Laplace(LaplacePriorConfig => LaplacePrior): |config, _| config.init(),
    /// [`LearnedLaplacePrior`].
    LearnedLaplace(LearnedLaplacePriorConfig => LearnedLaplacePrior): LearnedLaplacePriorConfig::init,
    /// [`StudentTPrior`].
    StudentT(StudentTPriorConfig => StudentTPrior): |config, _| config.init(),
    /// [`HorseshoePrior`].
    Horseshoe(HorseshoePriorConfig => HorseshoePrior): |config, _| config.init(),
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
}

impl Default for PriorConfig {
    /// The standard normal.
    fn default() -> Self {
        Self::normal(1.0)
    }
}
