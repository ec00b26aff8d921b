//! Changes of every posterior of a module at once: yesterday's as today's prior, which is continual learning by Bayes'
//! rule, and wider or narrower ones.

use burn::module::Module;

use super::attachment::Attachment;
use super::convert::check_bare;
use super::error::BayesianizeError;
use super::identities::walk_apart;
use super::posteriors::Posteriors;

/// The module with the posterior of each weight as its prior.
pub(crate) fn posterior_as_prior<M: Module>(module: M) -> Result<M, BayesianizeError> {
    exchange(
        module,
        |attachment| attachment.under_itself(),
        |weights| BayesianizeError::NoPrior { weights },
    )
}

/// The module with every deviation `factor` times as large.
///
/// # Panics
///
/// Panics if `factor` is not a positive, finite number.
pub(crate) fn scale_deviations<M: Module>(module: M, factor: f64) -> Result<M, BayesianizeError> {
    assert!(
        factor.is_finite() && factor > 0.0,
        "deviations are scaled by a positive, finite factor, got {factor}"
    );
    exchange(
        module,
        |attachment| attachment.scaled(factor),
        |weights| BayesianizeError::NotScaled { weights },
    )
}

/// The module with what `f` makes of each attachment in its place; if it makes nothing of some, the error of their
/// weights.
fn exchange<M: Module>(
    module: M,
    f: impl Fn(&dyn Attachment) -> Option<Box<dyn Attachment>>,
    error: impl FnOnce(Vec<String>) -> BayesianizeError,
) -> Result<M, BayesianizeError> {
    let (module, walk) = walk_apart(module);
    if walk.posteriors().next().is_none() {
        return Err(BayesianizeError::NotBayesian);
    }
    check_bare(&walk)?;
    let (module, mut posteriors) = Posteriors::take_off(module, &walk);
    let mut refused = Vec::new();
    for (weight, id) in walk.posteriors() {
        match posteriors.get(id).and_then(&f) {
            Some(attachment) => posteriors.replace(attachment),
            None => refused.push(match &weight.families.posterior {
                Some(family) => format!("{} ({family})", weight.path()),
                None => weight.path().to_string(),
            }),
        }
    }
    match refused.is_empty() {
        true => Ok(posteriors.put_back(module)),
        false => Err(error(refused)),
    }
}
