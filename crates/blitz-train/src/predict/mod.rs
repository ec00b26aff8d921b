//! Predictive distributions: the equal mixture of what each draw predicts.

mod bernoulli_mixture;
mod categorical_mixture;
mod component;
mod interval;
mod mixture;
mod network_posterior;
mod normal_mixture;
#[cfg(feature = "train")]
mod progress;
mod sample;
mod search;
mod special;
#[cfg(feature = "train")]
mod stream;

pub use categorical_mixture::CategoricalMixture;
pub use component::{
    Bernoulli, Component, Laplace, LocationScale, NegativeBinomial, Normal, Poisson, StudentT,
    Support,
};
pub use interval::Interval;
pub use mixture::Mixture;
pub use network_posterior::NetworkPosterior;
pub use normal_mixture::NormalMixture;
#[cfg(feature = "train")]
pub use progress::ProgressLine;
#[cfg(feature = "train")]
pub use stream::{DrawnWeights, PredictedBatch, Predictions, Predictor, PredictorConfig};

/// Predictions of one batch that those of another can be put behind.
pub trait Predictive {
    /// Puts the predictions of further examples behind these.
    ///
    /// # Panics
    ///
    /// Panics unless both are of the same kind: the same numbers of draws, and of targets or classes.
    fn append(&mut self, more: Self);

    /// The number of examples.
    fn examples(&self) -> usize;
}
