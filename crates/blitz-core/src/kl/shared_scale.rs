//! Groups of weight tensors whose prior has one scale: what belongs to a group as a whole is known when all its members
//! are.

use std::collections::BTreeMap;

use burn::tensor::Tensor;

use super::{KlTerm, sum};
use crate::family::prior::expected_log_density_at_best_scale;

/// The part of one weight tensor in a prior scale that several share.
#[derive(Debug)]
pub(crate) struct SharedScale {
    /// The name of the group.
    pub group: String,
    /// `Σ E w²`, of shape `[1]`.
    pub second_moment: Tensor<1>,
    /// The number of weights.
    pub weights: usize,
}

impl SharedScale {
    /// The same, without a gradient.
    pub fn detach(self) -> Self {
        Self {
            second_moment: self.second_moment.detach(),
            ..self
        }
    }
}

/// The terms, each with its share of its group's expected log density.
pub(crate) fn resolve(terms: Vec<(KlTerm, Option<SharedScale>)>) -> Vec<KlTerm> {
    let mut groups: BTreeMap<String, Vec<(usize, SharedScale)>> = BTreeMap::new();
    let mut resolved = Vec::with_capacity(terms.len());
    for (position, (term, share)) in terms.into_iter().enumerate() {
        resolved.push(term);
        if let Some(share) = share {
            let members = groups.entry(share.group.clone()).or_default();
            members.push((position, share));
        }
    }
    for members in groups.into_values() {
        let weights: usize = members.iter().map(|(_, share)| share.weights).sum();
        if weights == 0 {
            continue;
        }
        let moments = members.iter().map(|(_, share)| share.second_moment.clone());
        let Some(second_moment) = sum(moments) else {
            continue;
        };
        let expected = expected_log_density_at_best_scale(second_moment, weights);
        for (position, share) in members {
            let part = expected.clone() * (share.weights as f64 / weights as f64);
            let term = &mut resolved[position];
            // The expected log density enters with the opposite sign.
            term.value = sum([term.value.clone(), part.neg()]).unwrap_or_else(|| unreachable!());
        }
    }
    resolved
}
