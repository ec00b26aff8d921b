//! From draws of a network to predictive distributions, which are those of `blitz-predict`.

mod covariances;
mod draws;
mod inputs;
pub(crate) mod link;
mod moments;
mod network_posterior;
#[cfg(feature = "dataset")]
mod progress;
mod quantiles;
mod spread;
#[cfg(feature = "dataset")]
mod stream;
#[cfg(feature = "dataset")]
mod threads;

pub use blitz_predict::{CategoricalMixture, Interval, Mixture, NormalMixture, Predictive};
pub use covariances::Propagates;
pub(crate) use draws::of_use;
pub use draws::predict_draws;
pub(crate) use inputs::blame;
pub use link::Link;
pub use moments::{MomentsPredictor, MomentsPredictorConfig, predict_moments};
pub use network_posterior::NetworkPosterior;
#[cfg(feature = "dataset")]
pub use progress::ProgressLine;
pub(crate) use quantiles::Quantiles;
pub use spread::spread;
#[cfg(feature = "dataset")]
pub use stream::{DrawCache, PredictedBatch, Predictions, Predictor, PredictorConfig};
