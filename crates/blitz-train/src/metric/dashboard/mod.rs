//! Metrics for Burn's dashboard, and for early stopping.

mod classification;
mod coverage;
mod layer_kl;
mod mean;
mod predictive;
mod rmse;
mod running;

pub use classification::{BrierMetric, ClassProbabilitiesInput, EceMetric};
pub use coverage::{CoverageInput, CoverageMetric};
pub use layer_kl::{LayerKlInput, LayerKlMetric};
pub use mean::{KlInput, KlMetric, NllInput, NllMetric};
pub use predictive::{CrpsMetric, IntervalScoreMetric, PredictiveInput, SharpnessMetric};
pub use rmse::{RmseInput, RmseMetric};
