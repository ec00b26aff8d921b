//! Why a configuration does not fit a module.

use std::error::Error;
use std::fmt;

use super::filter::WeightFilter;
use super::walk::{Attached, Walk, Weight};

/// What does not fit the module, from [`try_bayesianize`](crate::BayesianModule::try_bayesianize),
/// [`try_moped`](crate::BayesianModule::try_moped),
/// [`try_posterior_as_prior`](crate::BayesianModule::try_posterior_as_prior) and [`try_scale_deviations`](crate::BayesianModule::try_scale_deviations).
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
    /// Weights that are to be converted have a posterior already.
    AlreadyBayesian {
        /// Their paths.
        weights: Vec<String>,
    },
    /// No weight that was chosen can be converted.
    NothingToConvert {
        /// Each weight that was chosen, and why it can't be.
        reasons: Vec<String>,
    },
    /// Posteriors can't be taken off a module that holds a reparameterization of another kind: it would be merged into
    /// its weight.
    OtherReparameterization {
        /// The path of the weight.
        weight: String,
        /// The name of what is attached to it.
        name: String,
    },
    /// A reparameterization of another kind, such as LoRA, came after the posteriors and is inside those that have a
    /// matrix among their parameters: the means don't train.
    InsidePosterior {
        /// The paths of the weights.
        weights: Vec<String>,
        /// The name of what is inside the first one's posterior.
        name: String,
    },
    /// Posteriors that can't be priors.
    NoPrior {
        /// The path of each weight, with the family of its posterior.
        weights: Vec<String>,
    },
    /// Posteriors whose deviations can't be scaled.
    NotScaled {
        /// The path of each weight, with the family of its posterior.
        weights: Vec<String>,
    },
    /// Weights that are NaN or infinite, or whose deviations would be above 1e15.
    NotFinite {
        /// Their paths.
        weights: Vec<String>,
    },
    /// There is no posterior.
    NotBayesian,
    /// A pattern is not a regular expression.
    InvalidRegex {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl BayesianizeError {
    pub(super) fn no_match<'a>(
        rule: Option<usize>,
        filter: &WeightFilter,
        weights: impl Iterator<Item = &'a Weight>,
    ) -> Self {
        let describe = |weight: &Weight| match weight.info().modules.last() {
            Some(owner) => format!("{} ({owner})", weight.path()),
            None => weight.path().to_string(),
        };
        Self::NoMatch {
            rule,
            filter: format!("{filter:?}"),
            weights: weights.map(describe).collect(),
        }
    }

    /// Why nothing of `chosen` can be converted.
    pub(super) fn nothing(walk: &Walk, chosen: &[&Weight]) -> Self {
        let reason = |weight: &&Weight| {
            let path = weight.path();
            match &weight.attached {
                Attached::Other(name) => format!("{path} holds the reparameterization {name:?}"),
                _ if weight.is_quantized => format!("{path} is quantized"),
                _ if !weight.trains => format!("{path} does not train"),
                _ => format!("{path} is Bayesian already"),
            }
        };
        let reasons = match (walk.weights.is_empty(), chosen.is_empty()) {
            (true, _) => vec!["it has no floating-point parameters".into()],
            (false, true) => vec!["every weight is skipped".into()],
            (false, false) => chosen.iter().map(reason).collect(),
        };
        Self::NothingToConvert { reasons }
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
            Self::AlreadyBayesian { weights } => write!(
                f,
                "{} already have a posterior; to give them another, add `.replace_existing()` to the configuration (or call \
                 `replace_posteriors`), to leave them as they are, `.keep_existing()`",
                weights.join(", ")
            ),
            Self::NothingToConvert { reasons } => write!(
                f,
                "nothing of this module could be converted: {}",
                reasons.join(", ")
            ),
            Self::OtherReparameterization { weight, name } => write!(
                f,
                "{weight} holds the reparameterization {name:?}, which would be lost: merge it first, with `materialize` \
                 before the module becomes Bayesian"
            ),
            Self::InsidePosterior { weights, name } => write!(
                f,
                "the posteriors of {} hold the reparameterization {name:?} inside, and their means don't train: it goes on the weights \
                 before they become Bayesian, as `apply_lora` before `bayesianize`",
                weights.join(", ")
            ),
            Self::NoPrior { weights } => write!(
                f,
                "no prior can be made of the posteriors of {}: their families have no density over all weights, or an update of \
                 their own with a prior in it",
                weights.join(", ")
            ),
            Self::NotScaled { weights } => write!(
                f,
                "the deviations of {} can't be scaled: their families don't say how (`with_deviations_scaled`), or have an update of \
                 their own",
                weights.join(", ")
            ),
            Self::NotFinite { weights } => write!(
                f,
                "no deviation can be made of the weights of {}: they hold NaN or infinite values, or their deviations would be above 1e15",
                weights.join(", ")
            ),
            Self::NotBayesian => {
                write!(
                    f,
                    "no weight of the module has a posterior; `bayesianize` gives it some"
                )
            }
            Self::InvalidRegex { pattern, reason } => {
                write!(f, "{pattern:?} is no regular expression: {reason}")
            }
        }
    }
}

impl Error for BayesianizeError {}
