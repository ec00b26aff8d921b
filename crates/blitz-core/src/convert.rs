//! Any Burn module made Bayesian: posteriors attached to its parameters, its code unchanged.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;

use burn::config::Config;
use burn::module::{Module, Param, Reparameterizer};
use burn::tensor::Tensor;

use crate::filter::WeightFilter;
use crate::inventory::Inventory;
use crate::posterior::{BuiltinPosterior, Posterior, PosteriorConfig, WeightInfo};
use crate::prior::{BuiltinPrior, Prior, PriorConfig};
use crate::variational::Variational;

/// Configuration of [`bayesianize`](crate::BayesianModule::bayesianize): which parameters become Bayesian, and how.
///
/// | field | default | meaning |
/// |---|---|---|
/// | `posterior` | mean-field normal, σ starts at 0.02 | the posterior of each converted weight |
/// | `prior` | standard normal | the prior of each converted weight |
/// | `weights` | all | the weights to convert; the rest stay deterministic |
/// | `rules` | none | exceptions: the first rule that matches a weight decides over it |
///
/// Of the weights chosen, those that train are converted: running statistics and frozen parameters stay as they are,
/// and so do parameters that have a posterior, or another reparameterization such as LoRA, already.
///
/// ```
/// use blitz_core::prelude::*;
///
/// // Everything.
/// let config = BayesianizeConfig::new();
/// // The last layer only.
/// let config = BayesianizeConfig::new().only(WeightFilter::last_layer());
/// // No norms, no biases.
/// let config = BayesianizeConfig::new().only(WeightFilter::matrices());
/// // The encoder with one prior, the head with another, the embedding left deterministic.
/// let config = BayesianizeConfig::new()
///     .rule(WeightRule::of("encoder").prior(PriorConfig::normal(0.1)))
///     .rule(WeightRule::of("head").prior(PriorConfig::normal(1.0)))
///     .skip(WeightFilter::layer("Embedding"));
/// // One layer with a posterior of its own.
/// let config = BayesianizeConfig::new()
///     .rule(WeightRule::of("decoder.output").posterior(PosteriorConfig::normal(0.1)));
/// # let _ = config;
/// ```
#[derive(Config, Debug)]
pub struct BayesianizeConfig {
    /// The posterior of each converted weight.
    #[config(default = "PosteriorConfig::default()")]
    pub posterior: PosteriorConfig,
    /// The prior of each converted weight.
    #[config(default = "PriorConfig::default()")]
    pub prior: PriorConfig,
    /// The weights to convert.
    #[config(default = "WeightFilter::All")]
    pub weights: WeightFilter,
    /// The exceptions, in order: the first that matches a weight decides over it.
    #[config(default = "Vec::new()")]
    pub rules: Vec<WeightRule>,
}

/// What [`bayesianize`](crate::BayesianModule::bayesianize) does with some of the weights.
///
/// | field | default | meaning |
/// |---|---|---|
/// | `weights` | | the weights that the rule is for |
/// | `posterior` | the configuration's | their posterior |
/// | `prior` | the configuration's | their prior |
/// | `skip` | no | they stay deterministic |
#[derive(Config, Debug)]
pub struct WeightRule {
    /// The weights that the rule is for.
    pub weights: WeightFilter,
    /// Their posterior; `None` for that of the configuration.
    pub posterior: Option<PosteriorConfig>,
    /// Their prior; `None` for that of the configuration.
    pub prior: Option<PriorConfig>,
    /// Whether they stay deterministic.
    #[config(default = false)]
    pub skip: bool,
}

/// The posterior and prior that [`BayesianizeConfig`] and the layers attach.
pub type BuiltinVariational = Variational<BuiltinPosterior, BuiltinPrior>;

impl BayesianizeConfig {
    /// Converts these weights only.
    #[must_use]
    pub fn only(mut self, weights: impl Into<WeightFilter>) -> Self {
        self.weights = weights.into();
        self
    }

    /// Leaves these weights deterministic, unless an earlier rule matches them.
    #[must_use]
    pub fn skip(self, weights: impl Into<WeightFilter>) -> Self {
        self.rule(WeightRule::of(weights).with_skip(true))
    }

    /// Adds a rule behind those there are.
    #[must_use]
    pub fn rule(mut self, rule: WeightRule) -> Self {
        self.rules.push(rule);
        self
    }

    pub(crate) fn apply<M: Module>(&self, module: M) -> Result<M, BayesianizeError> {
        let inventory = Inventory::of(&module);
        self.check(&inventory)?;
        Ok(attach(module, &inventory, |weight| {
            if !self.weights.matches(&weight) {
                return None;
            }
            let rule = self.rules.iter().find(|rule| rule.weights.matches(&weight));
            if rule.is_some_and(|rule| rule.skip) {
                return None;
            }
            let posterior = rule.and_then(|rule| rule.posterior.as_ref());
            let prior = rule.and_then(|rule| rule.prior.as_ref());
            let posterior = posterior.unwrap_or(&self.posterior);
            let posterior = posterior.init(weight.shape, weight.device);
            Some((posterior, prior.unwrap_or(&self.prior).init(weight.device)))
        }))
    }

    /// Refuses filters that do nothing. A weight counts as matched whether or not it can be converted: a rule for what
    /// is frozen, or Bayesian already, is not a slip.
    fn check(&self, inventory: &Inventory) -> Result<(), BayesianizeError> {
        check_filter(&self.weights, inventory)?;
        let chosen = || {
            let weights = inventory.weights.iter().map(|weight| weight.info());
            weights.filter(|weight| self.weights.matches(weight))
        };
        for (index, rule) in self.rules.iter().enumerate() {
            if let Some((pattern, reason)) = rule.weights.invalid_regex() {
                return Err(BayesianizeError::InvalidRegex { pattern, reason });
            }
            if !chosen().any(|weight| rule.weights.matches(&weight)) {
                return Err(BayesianizeError::no_match(
                    Some(index),
                    &rule.weights,
                    chosen(),
                ));
            }
            let earlier = &self.rules[..index];
            let decides = |weight: &WeightInfo<'_>| {
                rule.weights.matches(weight)
                    && !earlier.iter().any(|rule| rule.weights.matches(weight))
            };
            if !chosen().any(|weight| decides(&weight)) {
                return Err(BayesianizeError::Shadowed {
                    rule: index,
                    filter: format!("{:?}", rule.weights),
                });
            }
        }
        Ok(())
    }
}

impl WeightRule {
    /// A rule for these weights, which changes nothing yet.
    pub fn of(weights: impl Into<WeightFilter>) -> Self {
        Self::new(weights.into())
    }

    /// Gives them this posterior.
    #[must_use]
    pub fn posterior(self, posterior: PosteriorConfig) -> Self {
        self.with_posterior(Some(posterior))
    }

    /// Gives them this prior.
    #[must_use]
    pub fn prior(self, prior: PriorConfig) -> Self {
        self.with_prior(Some(prior))
    }
}

/// A configuration that does not fit the module, from
/// [`try_bayesianize`](crate::BayesianModule::try_bayesianize) and [`try_moped`](crate::BayesianModule::try_moped).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BayesianizeError {
    /// A filter matches no weight: its name is misspelt, as a rule.
    NoMatch {
        /// The number of the rule, from 0; `None` for the configuration's own `weights`.
        rule: Option<usize>,
        /// The filter.
        filter: String,
        /// The paths there are, each with the type of the module that owns it.
        weights: Vec<String>,
    },
    /// All weights that a rule matches are matched by earlier rules.
    Shadowed {
        /// The number of the rule, from 0.
        rule: usize,
        /// The filter.
        filter: String,
    },
    /// A pattern is not a regular expression.
    InvalidRegex {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl BayesianizeError {
    fn no_match<'a>(
        rule: Option<usize>,
        filter: &WeightFilter,
        weights: impl Iterator<Item = WeightInfo<'a>>,
    ) -> Self {
        let describe = |weight: WeightInfo<'_>| match weight.modules.last() {
            Some(owner) => format!("{} ({owner})", weight.path),
            None => weight.path.to_string(),
        };
        Self::NoMatch {
            rule,
            filter: format!("{filter:?}"),
            weights: weights.map(describe).collect(),
        }
    }
}

impl fmt::Display for BayesianizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoMatch {
                rule,
                filter,
                weights,
            } => {
                match rule {
                    Some(rule) => write!(f, "rule {rule}, {filter}, ")?,
                    None => write!(f, "the filter {filter} ")?,
                }
                write!(f, "matches no weight; there are {}", weights.join(", "))
            }
            Self::Shadowed { rule, filter } => write!(
                f,
                "rule {rule}, {filter}, never decides: earlier rules match all of its weights, and the first match \
                 wins; move it up"
            ),
            Self::InvalidRegex { pattern, reason } => {
                write!(f, "{pattern:?} is no regular expression: {reason}")
            }
        }
    }
}

impl Error for BayesianizeError {}

/// Refuses a filter that matches nothing. `All` may: a module without weights has nothing to convert.
pub(crate) fn check_filter(
    filter: &WeightFilter,
    inventory: &Inventory,
) -> Result<(), BayesianizeError> {
    if let Some((pattern, reason)) = filter.invalid_regex() {
        return Err(BayesianizeError::InvalidRegex { pattern, reason });
    }
    let mut weights = inventory.weights.iter().map(|weight| weight.info());
    if matches!(filter, WeightFilter::All) || weights.any(|weight| filter.matches(&weight)) {
        return Ok(());
    }
    let weights = inventory.weights.iter().map(|weight| weight.info());
    Err(BayesianizeError::no_match(None, filter, weights))
}

/// Attaches what `choose` returns to each parameter that trains and has nothing attached yet.
pub(crate) fn attach<M, Q, P>(
    module: M,
    inventory: &Inventory,
    mut choose: impl FnMut(WeightInfo<'_>) -> Option<(Q, P)>,
) -> M
where
    M: Module,
    Q: Posterior,
    P: Prior,
{
    let weights = inventory.weights.iter();
    let chosen = weights
        .filter(|weight| weight.is_convertible())
        .filter_map(|weight| {
            let (posterior, prior) = choose(weight.info())?;
            Some((weight.path.clone(), Variational::new(posterior, prior)))
        });
    module.apply_reparameterization(Attach(chosen.collect()))
}

struct Attach<R>(HashMap<String, R>);

impl<Q: Posterior, P: Prior> Reparameterizer for Attach<Variational<Q, P>> {
    type Reparam = Variational<Q, P>;

    fn reparameterize<const D: usize>(
        &mut self,
        path: &str,
        param: Param<Tensor<D>>,
    ) -> (Param<Tensor<D>>, Option<Self::Reparam>) {
        let attachment = self.0.remove(path);
        (param, attachment)
    }
}
