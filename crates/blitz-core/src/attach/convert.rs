//! Any Burn module made Bayesian: posteriors attached to its parameters, its code unchanged.

use std::collections::HashMap;

use burn::config::Config;
use burn::module::{Module, ParamId};

use super::attachment::{attach_at, unused_rows};
use super::error::BayesianizeError;
use super::filter::WeightFilter;
use super::identities::walk_apart;
use super::posteriors::Posteriors;
use super::variational::Variational;
use super::walk::{Attached, Walk, Weight};
use crate::family::posterior::{BuiltinPosterior, Posterior, PosteriorConfig, WeightInfo};
use crate::family::prior::{BuiltinPrior, Prior, PriorConfig};

/// Configuration of [`bayesianize`](crate::BayesianModule::bayesianize): which parameters become Bayesian, and how.
///
/// | field | default | meaning |
/// |---|---|---|
/// | `posterior` | mean-field normal, σ starts at 0.02 | the posterior of each converted weight |
/// | `prior` | standard normal | the prior of each converted weight |
/// | `weights` | all | the weights to convert; the rest stay deterministic |
/// | `rules` | none | exceptions: the first rule that matches a weight decides over it |
/// | `existing` | refuse | what becomes of weights that have a posterior already |
///
/// Of the weights chosen, those that train are converted: running statistics, frozen parameters and quantized ones stay
/// as they are, and so does a weight with another reparameterization such as LoRA, whose factors are converted in its
/// place. A weight that is tied gets one posterior.
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
    /// What becomes of the weights chosen that have a posterior already.
    #[config(default = "ExistingPosteriors::Refuse")]
    pub existing: ExistingPosteriors,
}

/// What [`bayesianize`](crate::BayesianModule::bayesianize) does with weights that have a posterior already.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExistingPosteriors {
    /// It returns an error, since either of the others may be meant.
    Refuse,
    /// They keep what they have.
    Keep,
    /// They get a new posterior around their stored mean, and a new prior.
    Replace,
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

    /// Adds a rule, which counts after those added before.
    #[must_use]
    pub fn rule(mut self, rule: WeightRule) -> Self {
        self.rules.push(rule);
        self
    }

    /// Leaves the posteriors that there are as they are.
    #[must_use]
    pub fn keep_existing(self) -> Self {
        self.with_existing(ExistingPosteriors::Keep)
    }

    /// Gives the weights chosen a new posterior and prior where they have one: around the stored means, unpruned,
    /// sampled.
    ///
    /// ```
    /// use blitz_core::prelude::*;
    /// use burn::nn::LinearConfig;
    /// use burn::tensor::Device;
    ///
    /// let net = LinearConfig::new(2, 2).init(&Device::flex()).bayesianize(&BayesianizeConfig::new());
    /// let narrow = BayesianizeConfig::new().with_prior(PriorConfig::normal(0.1));
    /// assert!(net.clone().try_bayesianize(&narrow).is_err());
    /// let net = net.bayesianize(&narrow.replace_existing());
    /// assert_eq!(net.num_bayesian_weights(), 6);
    /// ```
    #[must_use]
    pub fn replace_existing(self) -> Self {
        self.with_existing(ExistingPosteriors::Replace)
    }

    pub(crate) fn apply<M: Module>(&self, module: M) -> Result<M, BayesianizeError> {
        let (module, walk) = walk_apart(module);
        check_order(&walk)?;
        self.check(&walk)?;
        let chosen: Vec<&Weight> = walk.weights.iter().filter(|w| self.chooses(w)).collect();
        let bayesian = || chosen.iter().filter(|weight| weight.posterior().is_some());
        if self.existing == ExistingPosteriors::Refuse && bayesian().next().is_some() {
            return Err(BayesianizeError::AlreadyBayesian {
                weights: bayesian().map(|weight| weight.path().to_string()).collect(),
            });
        }
        let replaces = self.existing == ExistingPosteriors::Replace;
        let is_converted = |weight: &Weight| {
            weight.is_convertible() || replaces && weight.trains && weight.posterior().is_some()
        };
        if !chosen.iter().any(|weight| is_converted(weight)) {
            let keeps = self.existing == ExistingPosteriors::Keep && bayesian().next().is_some();
            return match keeps {
                true => Ok(module),
                false => Err(BayesianizeError::nothing(&walk, &chosen)),
            };
        }
        let unused = UnusedRows::of(&module, replaces);
        let module = match replaces {
            true => without(module, &walk, |weight| {
                self.chooses(weight) && weight.trains
            })?,
            false => module,
        };
        let converted = chosen.into_iter().filter(|weight| is_converted(weight));
        Ok(attach(
            module,
            converted.map(|weight| {
                let rule = self.rule_for(weight);
                let posterior = rule.and_then(|rule| rule.posterior.as_ref());
                let prior = rule.and_then(|rule| rule.prior.as_ref());
                let posterior = posterior.unwrap_or(&self.posterior);
                let posterior = posterior.init(&weight.shape, &weight.device);
                let prior = prior.unwrap_or(&self.prior).init(&weight.device);
                (weight, unused.keep(weight, posterior, prior))
            }),
        ))
    }

    /// The first rule that matches the weight.
    fn rule_for(&self, weight: &Weight) -> Option<&WeightRule> {
        let mut rules = self.rules.iter();
        rules.find(|rule| rule.weights.matches_somewhere(weight))
    }

    /// Whether the weight is to become Bayesian.
    fn chooses(&self, weight: &Weight) -> bool {
        self.weights.matches_somewhere(weight)
            && !self.rule_for(weight).is_some_and(|rule| rule.skip)
    }

    /// Refuses filters that do nothing. A weight counts as matched whether or not it can be converted: a rule for what
    /// is frozen, or Bayesian already, is not a slip.
    fn check(&self, walk: &Walk) -> Result<(), BayesianizeError> {
        check_filter(&self.weights, walk)?;
        let chosen = || {
            let weights = walk.weights.iter();
            weights.filter(|weight| self.weights.matches_somewhere(weight))
        };
        for (index, rule) in self.rules.iter().enumerate() {
            if let Some((pattern, reason)) = rule.weights.invalid_regex() {
                return Err(BayesianizeError::InvalidRegex { pattern, reason });
            }
            if !chosen().any(|weight| rule.weights.matches_somewhere(weight)) {
                return Err(BayesianizeError::no_match(
                    Some(index),
                    &rule.weights,
                    chosen(),
                ));
            }
            let earlier = &self.rules[..index];
            let decides = |weight: &Weight| {
                let shadowed = |rule: &WeightRule| rule.weights.matches_somewhere(weight);
                rule.weights.matches_somewhere(weight) && !earlier.iter().any(shadowed)
            };
            if !chosen().any(decides) {
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

/// Refuses a filter that matches nothing. `All` may: what a module without weights lacks is said later.
pub(super) fn check_filter(filter: &WeightFilter, walk: &Walk) -> Result<(), BayesianizeError> {
    if let Some((pattern, reason)) = filter.invalid_regex() {
        return Err(BayesianizeError::InvalidRegex { pattern, reason });
    }
    let mut weights = walk.weights.iter();
    if matches!(filter, WeightFilter::All) || weights.any(|w| filter.matches_somewhere(w)) {
        return Ok(());
    }
    Err(BayesianizeError::no_match(
        None,
        filter,
        walk.weights.iter(),
    ))
}

/// The rows that the model never reads: whatever takes the place of a posterior pays no KL for them either.
struct UnusedRows(HashMap<ParamId, usize>);

impl UnusedRows {
    /// Those of the posteriors of `module`, if they are to be replaced.
    fn of<M: Module>(module: &M, replacing: bool) -> Self {
        Self(match replacing {
            true => unused_rows(module),
            false => HashMap::new(),
        })
    }

    /// What is attached to `weight`.
    fn keep<Q: Posterior, P: Prior>(
        &self,
        weight: &Weight,
        posterior: Q,
        prior: P,
    ) -> Variational<Q, P> {
        let row = weight.posterior().and_then(|id| self.0.get(&id).copied());
        Variational::new(posterior, prior).with_unused_row(row)
    }
}

/// Attaches what `choose` returns to each parameter that trains and has nothing attached; with `replacing`, also to
/// those that have a posterior, in its place.
///
/// # Errors
///
/// If `choose` is asked for nothing: no parameter can be converted.
pub(crate) fn attach_chosen<M, Q, P>(
    module: M,
    replacing: bool,
    mut choose: impl FnMut(WeightInfo<'_>) -> Option<(Q, P)>,
) -> Result<M, BayesianizeError>
where
    M: Module,
    Q: Posterior,
    P: Prior,
{
    let (module, walk) = walk_apart(module);
    check_order(&walk)?;
    let can_be = |weight: &&Weight| {
        weight.is_convertible() || replacing && weight.trains && weight.posterior().is_some()
    };
    let weights: Vec<&Weight> = walk.weights.iter().filter(can_be).collect();
    if weights.is_empty() {
        let bayesian: Vec<_> = walk
            .posteriors()
            .map(|(w, _)| w.path().to_string())
            .collect();
        return Err(match bayesian.is_empty() || replacing {
            true => BayesianizeError::nothing(&walk, &walk.weights.iter().collect::<Vec<_>>()),
            false => BayesianizeError::AlreadyBayesian { weights: bayesian },
        });
    }
    let unused = UnusedRows::of(&module, replacing);
    let chosen: Vec<_> = weights
        .into_iter()
        .filter_map(|weight| {
            let (posterior, prior) = choose(weight.info())?;
            Some((weight, unused.keep(weight, posterior, prior)))
        })
        .collect();
    // By their paths: weights that were loaded from one file have the same ids.
    let is_chosen = |weight: &Weight| {
        chosen
            .iter()
            .any(|(other, _)| other.path() == weight.path())
    };
    let module = without(module, &walk, is_chosen)?;
    Ok(attach(module, chosen))
}

/// Attaches what `choose` returns to each weight that the filter matches at one of its places and that can be
/// converted. For the crates of blitz.
///
/// # Errors
///
/// If the filter matches nothing, is no regular expression or matches nothing that can be converted, and if an adapter
/// is inside a posterior.
pub fn attach_where<M, Q, P>(
    module: M,
    filter: &WeightFilter,
    mut choose: impl FnMut(WeightInfo<'_>) -> (Q, P),
) -> Result<M, BayesianizeError>
where
    M: Module,
    Q: Posterior,
    P: Prior,
{
    let (module, walk) = walk_apart(module);
    check_filter(filter, &walk)?;
    let matched = walk.weights.iter();
    let matched: Vec<&Weight> = matched.filter(|w| filter.matches_somewhere(w)).collect();
    if !matched.iter().any(|weight| weight.is_convertible()) {
        return Err(BayesianizeError::nothing(&walk, &matched));
    }
    attach_chosen(module, false, |weight| {
        let is_matched = matched.iter().any(|other| other.path() == weight.path);
        is_matched.then(|| choose(weight))
    })
}

/// Attaches these at every place of their weights.
pub(super) fn attach<'a, M: Module, Q: Posterior, P: Prior>(
    module: M,
    chosen: impl IntoIterator<Item = (&'a Weight, Variational<Q, P>)>,
) -> M {
    let mut by_path = HashMap::new();
    for (weight, variational) in chosen {
        // A copy has the same parameters and the same identity: one posterior in several places.
        let places = weight.places.iter();
        by_path.extend(places.map(|place| (place.path.clone(), variational.clone())));
    }
    attach_at(module, by_path)
}

/// The module without the posteriors of the weights that are `chosen`, all others in their places.
pub(super) fn without<M: Module>(
    module: M,
    walk: &Walk,
    chosen: impl Fn(&Weight) -> bool,
) -> Result<M, BayesianizeError> {
    if !walk.posteriors().any(|(weight, _)| chosen(weight)) {
        return Ok(module);
    }
    check_bare(walk)?;
    let (module, mut posteriors) = Posteriors::take_off(module, walk);
    for (weight, id) in walk.posteriors() {
        if chosen(weight) {
            posteriors.remove(id);
        }
    }
    Ok(posteriors.put_back(module))
}

/// Refuses a module whose posteriors hold a reparameterization of another kind. After `bayesianize(..).apply_lora(..)`
/// Burn's LoRA is on every matrix among the parameters of posteriors, and not on the weight, where the posterior is;
/// all else is frozen. A posterior without a matrix then is as `freeze` leaves it.
pub(super) fn check_order(walk: &Walk) -> Result<(), BayesianizeError> {
    let inside = |weight: &Weight| {
        let name = weight.inside_posterior.clone()?;
        Some((weight.path().to_string(), name))
    };
    let (weights, names): (Vec<_>, Vec<_>) = walk.weights.iter().filter_map(inside).unzip();
    match names.into_iter().next() {
        None => Ok(()),
        Some(name) => Err(BayesianizeError::InsidePosterior { weights, name }),
    }
}

/// Refuses to take posteriors off a module that holds reparameterizations of other kinds: Burn takes all off or none.
pub(crate) fn check_bare(walk: &Walk) -> Result<(), BayesianizeError> {
    check_order(walk)?;
    let other = walk
        .weights
        .iter()
        .find_map(|weight| match &weight.attached {
            Attached::Other(name) => Some((weight, name)),
            _ => None,
        });
    match other {
        None => Ok(()),
        Some((weight, name)) => Err(BayesianizeError::OtherReparameterization {
            weight: weight.path().to_string(),
            name: name.clone(),
        }),
    }
}
