//! Passes in which each weight is read as its mean and variance, and what they refuse.

use std::error::Error;
use std::fmt;

use burn::module::{Module, ParamId};

use crate::attach::{Walk, attachments};
use crate::draw::{Draw, KeptMoments, Pass};
use crate::family::posterior::PosteriorStructure;

/// Why a network has no moments in one pass, from [`with_moments`](crate::BayesianModule::with_moments).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum MomentsError {
    /// The pass left the variance of these out: their layer has no moments, is run by `forward`, or is not part of the
    /// pass.
    LeftOut {
        /// The paths of weights and of layers that are random themselves.
        parts: Vec<String>,
    },
    /// The posteriors of these weights correlate them, which the moments of single weights don't tell; of a full-rank
    /// one, outside of a linear layer.
    Correlated {
        /// Their paths.
        weights: Vec<String>,
    },
}

impl fmt::Display for MomentsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LeftOut { parts } => write!(
                f,
                "the moments leave out the uncertainty of {}: each layer of the network needs a `forward_moments`, and the network's has to call it; a weight that is made of factors (LoRA) and vectors of bounded norm have no moments: predict by draws",
                parts.join(", ")
            ),
            Self::Correlated { weights } => write!(
                f,
                "the posteriors of {} correlate their weights, so that single variances don't tell those of the outputs (but for a full-rank one in a linear layer): predict by draws",
                weights.join(", ")
            ),
        }
    }
}

impl Error for MomentsError {}

/// Runs `f` in a pass of moments, and looks at what it read.
pub(super) fn with_moments<M: Module, R>(
    module: &M,
    kept: &mut KeptMoments,
    f: impl FnOnce(&M) -> R,
) -> Result<R, MomentsError> {
    let scope = Draw::moments(std::mem::take(kept));
    let result = f(module);
    let mut pass = scope.finish_moments();
    let parts = pass.kept.parts.take();
    let parts = parts.unwrap_or_else(|| sampling_parts(module));
    let checked = check(module, &pass, &parts);
    pass.kept.parts = Some(parts);
    *kept = pass.kept;
    checked.map(|()| result)
}

/// The weights and layers that are random: the identity and the path of each.
fn sampling_parts<M: Module>(module: &M) -> Vec<(ParamId, String)> {
    let walk = Walk::of(module);
    let attachments = attachments(module);
    let is_sampling = |id| {
        let mut attached = attachments.iter();
        attached.any(|attachment| attachment.id() == id && attachment.is_sampling())
    };
    let weights = walk
        .posteriors()
        .filter(|(_, id)| is_sampling(*id))
        .map(|(weight, id)| (id, weight.path().to_string()));
    let layers = walk.random_layers.iter();
    let layers = layers
        .filter(|layer| layer.is_sampling)
        .map(|layer| (layer.id, layer.path.clone()));
    weights.chain(layers).collect()
}

fn check<M: Module>(
    module: &M,
    pass: &Pass,
    parts: &[(ParamId, String)],
) -> Result<(), MomentsError> {
    let mut left_out = parts.iter().filter(|(id, _)| !pass.has(*id)).peekable();
    if left_out.peek().is_none() {
        return Ok(());
    }
    let attachments = attachments(module);
    let is_correlated = |id| {
        let mut attached = attachments.iter();
        attached.any(|attachment| {
            attachment.id() == id && attachment.structure() == PosteriorStructure::General
        })
    };
    let (correlated, others): (Vec<_>, Vec<_>) = left_out.partition(|(id, _)| is_correlated(*id));
    let paths =
        |parts: Vec<&(_, String)>| parts.into_iter().map(|(_, path)| path.clone()).collect();
    Err(match correlated.is_empty() {
        true => MomentsError::LeftOut {
            parts: paths(others),
        },
        false => MomentsError::Correlated {
            weights: paths(correlated),
        },
    })
}
