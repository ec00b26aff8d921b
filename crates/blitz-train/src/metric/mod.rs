//! Metrics for Burn's dashboard. All of them weigh every example alike, whatever the batch sizes.

mod coverage;
mod mean;
mod rmse;

pub use coverage::{CoverageInput, CoverageMetric};
pub use mean::{KlInput, KlMetric, NllInput, NllMetric};
pub use rmse::{RmseInput, RmseMetric};
