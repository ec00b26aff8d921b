//! Likelihoods: the distribution `p(y | f(x))` of the data given a network's output.

mod categorical;
mod gaussian;

pub use categorical::{
    CategoricalLikelihood, CategoricalLikelihoodConfig, ClassificationEvaluation,
};
pub use gaussian::{
    GaussianLikelihood, GaussianLikelihoodConfig, NoiseLevel, RegressionEvaluation,
};

use burn::module::{Module, ModuleDisplay};
use burn::tensor::Tensor;

/// A likelihood. Its parameters, a learned noise for instance, are ordinary Burn parameters.
pub trait Likelihood: Module + ModuleDisplay + Sync + 'static {
    /// What the network returns for a batch.
    type Output: Clone + Send + 'static;
    /// What was observed for a batch.
    type Target: Clone + Send + 'static;
    /// What the metrics of a training are computed from; see [`evaluate`](Self::evaluate).
    type Evaluation: Evaluation;
    /// The predictive distribution of a batch.
    type Predictive;

    /// `−ln p(target | output)` of each example in nats, of shape `[batch]`.
    fn nll(&self, output: Self::Output, target: Self::Target) -> Tensor<1>;

    /// What the metrics need to know of a batch, from the outputs of one or more draws.
    fn evaluate(&self, outputs: Vec<Self::Output>, target: Self::Target) -> Self::Evaluation;

    /// The predictive distribution: the equal mixture over the outputs of one or more draws.
    fn predictive(&self, outputs: Vec<Self::Output>) -> Self::Predictive;
}

/// What a training hands to its metrics, besides the loss.
pub trait Evaluation: Send + 'static {
    /// The same values off the autodiff graph, so that metrics don't keep it alive.
    #[must_use]
    fn without_autodiff(self) -> Self;
}

/// For a likelihood that has no metrics of its own.
impl Evaluation for () {
    fn without_autodiff(self) -> Self {}
}
