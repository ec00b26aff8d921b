//! The complexity cost: `KL(q ‖ p)` summed over the weights of a model, in nats.

use std::collections::BTreeMap;

use burn::tensor::Tensor;

use crate::kernels::{self, linked::KlLink};
use crate::prior::expected_log_density_at_best_scale as expected_log_density;

/// How the KL of one parameter was computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KlEstimator {
    /// The posterior and the prior have a closed form.
    ClosedForm,
    /// `ln q(w) − ln p(w)` at the weight `w` of the open draw: unbiased, with the noise of one sample.
    MonteCarlo,
}

/// The KL of one Bayesian parameter.
#[derive(Debug, Clone)]
pub struct KlTerm {
    /// Its KL, summed over its weights, in nats, of shape `[1]`.
    pub value: Tensor<1>,
    /// Where the value comes from.
    pub estimator: KlEstimator,
    /// Its link to the draw that it was computed with.
    link: Option<KlLink>,
}

impl KlTerm {
    pub(crate) fn new(value: Tensor<1>, estimator: KlEstimator) -> Self {
        Self {
            value,
            estimator,
            link: None,
        }
    }

    pub(crate) fn linked(value: Tensor<1>, estimator: KlEstimator, link: KlLink) -> Self {
        Self {
            value,
            estimator,
            link: Some(link),
        }
    }

    /// `loss + weight Σ terms`, on the loss's device.
    ///
    /// The same as adding [`total`](Self::total), but for terms that were computed together with their weights
    /// ([`Draw::with_kl`](crate::Draw::with_kl)): their gradients come from the same pass over the parameters as those of the
    /// weights.
    ///
    /// ```
    /// use blitz_core::prelude::*;
    /// use blitz_core::KlTerm;
    /// use burn::nn::LinearConfig;
    /// use burn::tensor::{Device, Tensor};
    ///
    /// let device = Device::flex().autodiff();
    /// let net = LinearConfig::new(2, 1).init(&device).bayesianize(&BayesianizeConfig::new());
    /// let _draw = net.draw(1, 0).with_kl();
    /// let nll = net.forward(Tensor::<2>::ones([4, 2], &device)).square().mean();
    /// let loss = KlTerm::add_to(nll, net.kl_terms(), 1.0 / 1000.0);
    /// assert!(net.weight.base().grad(&loss.backward()).is_some());
    /// ```
    #[must_use]
    pub fn add_to(
        loss: Tensor<1>,
        terms: impl IntoIterator<Item = Self>,
        weight: f64,
    ) -> Tensor<1> {
        let device = loss.device();
        let mut others = Vec::new();
        let mut loss = loss;
        for term in terms {
            match term.link {
                Some(link) if term.value.device() == device => {
                    loss = kernels::add_linked(loss, term.value, weight, link);
                }
                _ => others.push(term),
            }
        }
        match Self::total(others) {
            Some(others) => loss + others.to_device(&device) * weight,
            None => loss,
        }
    }

    /// The sum of the terms' values, or `None` without terms.
    ///
    /// A model split over devices pays its KL on the first.
    pub fn total(terms: impl IntoIterator<Item = Self>) -> Option<Tensor<1>> {
        let values = terms.into_iter().map(|term| term.value);
        values.reduce(|sum, value| {
            let device = sum.device();
            sum + value.to_device(&device)
        })
    }
}

/// Which terms a KL scope computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KlScope {
    All,
    MonteCarloOnly,
}

/// What a KL scope gathers while a module is traversed.
#[derive(Debug)]
pub(crate) struct KlSink {
    pub scope: KlScope,
    pub terms: Vec<KlTerm>,
    /// Members of groups, with the position that their term will have.
    shared: Vec<(usize, SharedScale)>,
}

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

impl KlSink {
    pub fn new(scope: KlScope) -> Self {
        Self {
            scope,
            terms: Vec::new(),
            shared: Vec::new(),
        }
    }

    pub fn wants_closed_form(&self) -> bool {
        self.scope == KlScope::All
    }

    /// Takes note that the term computed now lacks its part in a group's expectation.
    pub fn share(&mut self, share: SharedScale) {
        self.forget_share();
        if self.wants_closed_form() {
            self.shared.push((self.terms.len(), share));
        }
    }

    /// Takes back what the term computed now noted: it turned out to have no closed form.
    pub fn forget_share(&mut self) {
        let term = self.terms.len();
        self.shared.retain(|(of, _)| *of != term);
    }

    /// The terms, each with its share of what is known of a group as a whole.
    pub fn into_terms(self) -> Vec<KlTerm> {
        let mut terms = self.terms;
        let mut groups: BTreeMap<String, Vec<(usize, SharedScale)>> = BTreeMap::new();
        for (term, share) in self.shared {
            groups
                .entry(share.group.clone())
                .or_default()
                .push((term, share));
        }
        for members in groups.into_values() {
            let weights: usize = members.iter().map(|(_, share)| share.weights).sum();
            let second_moment = members
                .iter()
                .map(|(_, share)| share.second_moment.clone())
                .reduce(|sum, moment| {
                    let device = sum.device();
                    sum + moment.to_device(&device)
                });
            let Some(second_moment) = second_moment else {
                continue;
            };
            let expected = expected_log_density(second_moment, weights);
            for (term, share) in members {
                let value = terms[term].value.clone();
                let part = expected.clone().to_device(&value.device());
                terms[term].value = value - part * (share.weights as f64 / weights as f64);
            }
        }
        terms
    }
}
