//! Metrics for Burn's dashboard. All of them weigh every example alike, whatever the batch sizes.

mod calibration_error;
#[cfg(feature = "train")]
mod coverage;
#[cfg(feature = "train")]
mod mean;
#[cfg(feature = "train")]
mod rmse;

pub use calibration_error::{ReliabilityBin, expected_calibration_error, reliability_bins};
#[cfg(feature = "train")]
pub use coverage::{CoverageInput, CoverageMetric};
#[cfg(feature = "train")]
pub use mean::{KlInput, KlMetric, NllInput, NllMetric};
#[cfg(feature = "train")]
pub use rmse::{RmseInput, RmseMetric};
