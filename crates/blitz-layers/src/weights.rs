//! What every layer does with its weights: one configuration of their families, one way to attach them, one way to hand
//! them to Burn's layers, one way to print them.

use blitz_core::{
    BayesianModule, BuiltinPosterior, BuiltinPrior, Posterior, PosteriorConfig, Prior, PriorConfig,
    WeightInfo,
};
use burn::config::Config;
use burn::module::{Content, Module, Param, ParamId};
use burn::nn::Initializer;
use burn::tensor::Tensor;

use crate::estimator::Estimator;

/// What every layer's configuration says of its weights, biases included.
///
/// | field | default | meaning |
/// |---|---|---|
/// | `posterior` | mean-field normal, σ starts at 0.02 | the posterior of every weight |
/// | `prior` | standard normal | the prior of every weight |
/// | `initializer` | the layer's, mostly Burn's | the initial means |
///
/// It is the field `weights` of each configuration. `with_posterior`, `with_prior` and `with_initializer` of that
/// configuration set one of the three; `with_weights` gives several layers the same.
///
/// ```
/// use blitz_layers::prelude::*;
/// use blitz_layers::WeightsConfig;
///
/// let weights = WeightsConfig::new().with_prior(PriorConfig::normal(0.5));
/// let hidden = BayesianLinearConfig::new(4, 8).with_weights(weights.clone());
/// let output = BayesianLinearConfig::new(8, 1).with_weights(weights).with_posterior(PosteriorConfig::normal(0.1));
/// assert_eq!(hidden.weights.prior, output.weights.prior);
/// ```
#[derive(Config, Debug)]
pub struct WeightsConfig {
    /// The posterior of every weight.
    #[config(default = "PosteriorConfig::default()")]
    pub posterior: PosteriorConfig,
    /// The prior of every weight.
    #[config(default = "PriorConfig::default()")]
    pub prior: PriorConfig,
    /// The initializer of the posterior means; `None` for the layer's default.
    pub initializer: Option<Initializer>,
}

impl WeightsConfig {
    pub(crate) fn initializer_or(&self, default: Initializer) -> Initializer {
        self.initializer.clone().unwrap_or(default)
    }

    pub(crate) fn families(&self, weight: &WeightInfo<'_>) -> (BuiltinPosterior, BuiltinPrior) {
        let posterior = self.posterior.init(weight.shape, weight.device);
        (posterior, self.prior.init(weight.device))
    }
}

/// The methods that every configuration with a field `weights` has, from its `deterministic`, the layer of the means
/// alone.
///
/// They are inherent and not a trait's, so that they are there without an import, next to those that Burn's derive
/// makes.
macro_rules! configures_weights {
    ($config:ident => $layer:ident, $($attach:ident)?; $(#[$panics:meta])*) => {
        impl $config {
            /// Sets the posterior of every weight.
            #[must_use]
            pub fn with_posterior(mut self, posterior: blitz_core::PosteriorConfig) -> Self {
                self.weights.posterior = posterior;
                self
            }

            /// Sets the prior of every weight.
            #[must_use]
            pub fn with_prior(mut self, prior: blitz_core::PriorConfig) -> Self {
                self.weights.prior = prior;
                self
            }

            /// Sets the initializer of the posterior means.
            #[must_use]
            pub fn with_initializer(mut self, initializer: burn::nn::Initializer) -> Self {
                self.weights.initializer = Some(initializer);
                self
            }

            #[doc = concat!("Initialize a new [`", stringify!($layer), "`] module with the configuration's posterior and prior.")]
            ///
            /// # Panics
            ///
            /// As [`init_with`](Self::init_with), and if a parameter of the posterior or the prior is out of its range.
            pub fn init(&self, device: &burn::tensor::Device) -> $layer {
                self.init_with(device, |weight| self.weights.families(&weight))
            }

            #[doc = concat!("Initialize a new [`", stringify!($layer), "`] module with a posterior and a prior of any type: those that `families`")]
            /// returns for each weight.
            ///
            /// # Panics
            ///
            $(#[$panics])*
            pub fn init_with<Q: blitz_core::Posterior, P: blitz_core::Prior>(
                &self,
                device: &burn::tensor::Device,
                families: impl FnMut(blitz_core::WeightInfo<'_>) -> (Q, P),
            ) -> $layer {
                crate::weights::configures_weights!(@attach self, self.deterministic(device), families, $($attach)?)
            }
        }
    };
    (@attach $self:ident, $layer:expr, $families:expr, ) => {
        crate::weights::attach($layer, $self.estimator, $families)
    };
    (@attach $self:ident, $layer:expr, $families:expr, $attach:ident) => {
        $attach($layer, $families)
    };
}

pub(crate) use configures_weights;

/// The modules inside this crate's layers and networks whose parameters stay deterministic.
const DETERMINISTIC: [&str; 2] = ["Activation", "BatchNorm"];

/// Attaches what `families` returns to every weight of `module`.
pub(crate) fn attach<M: Module, Q: Posterior, P: Prior>(
    module: M,
    estimator: Estimator,
    mut families: impl FnMut(WeightInfo<'_>) -> (Q, P),
) -> M {
    module.attach_posteriors(|weight| {
        let is_deterministic = |owner: &String| DETERMINISTIC.contains(&owner.as_str());
        if weight.modules.iter().any(is_deterministic) {
            return None;
        }
        let (posterior, prior) = families(weight);
        estimator.assert_allows(posterior.structure(), weight.path);
        Some((posterior, prior))
    })
}

/// A parameter of a Burn layer that lives for one call.
pub(crate) fn for_one_call<const D: usize>(value: Tensor<D>) -> Param<Tensor<D>> {
    // As it is, with its place in the autodiff graph; the id is never looked at.
    Param::initialized(ParamId::from(0), value)
}

/// Adds the names of the posteriors and priors that `module` has now.
pub(crate) fn add_families<M: Module>(content: Content, module: &M) -> Content {
    let summary = module.bayesian_summary();
    let names = |names: Vec<&str>| match names.is_empty() {
        true => "none".to_string(),
        false => names.join(" and "),
    };
    content
        .add("posterior", &names(summary.posteriors()))
        .add("prior", &names(summary.priors()))
}
