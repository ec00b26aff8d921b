//! Metrics for Burn's dashboard. All of them weigh every example alike, whatever the batch sizes.

mod calibration_error;
mod coverage;
mod mean;
mod rmse;

pub use calibration_error::{ReliabilityBin, expected_calibration_error, reliability_bins};
pub use coverage::{CoverageInput, CoverageMetric};
pub use mean::{KlInput, KlMetric, NllInput, NllMetric};
pub use rmse::{RmseInput, RmseMetric};
