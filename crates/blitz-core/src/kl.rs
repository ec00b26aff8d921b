//! The complexity cost: `KL(q ‖ p)` summed over the weights of a model, in nats.

use burn::tensor::Tensor;

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
}

impl KlTerm {
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
}

impl KlSink {
    pub fn new(scope: KlScope) -> Self {
        Self {
            scope,
            terms: Vec::new(),
        }
    }

    pub fn wants_closed_form(&self) -> bool {
        self.scope == KlScope::All
    }
}
