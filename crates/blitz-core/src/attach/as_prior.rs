//! Yesterday's posterior as today's prior: continual learning by Bayes' rule.

use burn::module::Module;

use super::attachment::Attachment;
use super::convert::check_bare;
use super::error::BayesianizeError;
use super::posteriors::Posteriors;
use super::walk::Walk;

/// The module with the posterior of each weight as its prior.
pub(crate) fn posterior_as_prior<M: Module>(module: M) -> Result<M, BayesianizeError> {
    let walk = Walk::of(&module);
    if walk.posteriors().next().is_none() {
        return Err(BayesianizeError::NotBayesian);
    }
    check_bare(&walk)?;
    let (module, mut posteriors) = Posteriors::take_off(module, &walk);
    let mut refused = Vec::new();
    for (weight, id) in walk.posteriors() {
        match posteriors.get(id).and_then(Attachment::under_itself) {
            Some(attachment) => posteriors.replace(attachment),
            None => refused.push(match &weight.families.posterior {
                Some(family) => format!("{} ({family})", weight.path()),
                None => weight.path().to_string(),
            }),
        }
    }
    if !refused.is_empty() {
        return Err(BayesianizeError::NoPrior { weights: refused });
    }
    Ok(posteriors.put_back(module))
}
