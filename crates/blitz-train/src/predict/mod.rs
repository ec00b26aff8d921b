//! From draws of a network to predictive distributions, which are those of `blitz-predict`.

mod draws;
mod inputs;
mod network_posterior;
#[cfg(feature = "train")]
mod progress;
#[cfg(feature = "train")]
mod stream;

pub use blitz_predict::{CategoricalMixture, Interval, Mixture, NormalMixture, Predictive};
pub use draws::predict_draws;
pub(crate) use inputs::blame;
pub use network_posterior::NetworkPosterior;
#[cfg(feature = "train")]
pub use progress::ProgressLine;
#[cfg(feature = "train")]
pub use stream::{DrawCache, PredictedBatch, Predictions, Predictor, PredictorConfig};
