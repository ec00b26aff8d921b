//! The KL of a module: a term for each weight that has a posterior.

use std::collections::HashMap;

use burn::module::Module;

use crate::attach::{Walk, attachments};
use crate::kl::{KlTerm, resolve};

/// The terms of all weights, in the order of the traversal.
pub(super) fn terms<M: Module>(module: &M) -> Vec<KlTerm> {
    let walk = Walk::of(module);
    let mut paths: HashMap<_, _> = walk
        .posteriors()
        .map(|(weight, id)| (id, weight.path()))
        .collect();
    let terms = attachments(module).into_iter().map(|attachment| {
        let (mut term, share) = attachment.kl();
        term.path = paths.remove(&attachment.id()).unwrap_or_default().into();
        (term, share)
    });
    resolve(terms.collect())
}

/// The terms that are estimated at the weights of the open draw.
pub(super) fn sampled_terms<M: Module>(module: &M) -> Vec<KlTerm> {
    let attachments = attachments(module).into_iter();
    attachments
        .filter_map(|attachment| attachment.sampled_kl())
        .collect()
}
