//! Calibration after training: from held-out predictions to probabilities that mean what they say, and to intervals and
//! sets that cover what they promise.
//!
//! | for | keeps the model's shape | assumes no shape |
//! |---|---|---|
//! | class probabilities | [`TemperatureScaling`], [`VectorScaling`], [`MatrixScaling`], [`DirichletCalibration`] | [`IsotonicRegression`] and [`HistogramBinning`] (one event), [`IsotonicClasses`], [`HistogramClasses`] |
//! | sets of classes | | [`LeastAmbiguousSets`], [`AdaptiveSets`], [`SortedSets`] |
//! | predictive distributions | [`QuantileRecalibration`] | |
//! | predictive intervals | [`NormalizedSplitConformal`], [`ConformalQuantiles`] | [`SplitConformal`] |
//!
//! All are fitted on examples that neither training nor the choice of the model has seen, and judged on yet others.
//! What is fitted is a small plain struct that serde reads and writes. `docs/calibration.md` says what to use when.

mod conformal;
mod histogram;
mod isotonic;
mod matrix;
mod newton;
mod one_against_the_rest;
mod quantile_recalibration;
mod stored;
mod temperature;
mod vector;

pub use conformal::{
    AdaptiveSets, AdaptiveSetsConfig, ConformalQuantiles, LeastAmbiguousSets,
    NormalizedSplitConformal, SortedSets, SortedSetsConfig, SplitConformal, conformal_quantile,
    try_conformal_quantile,
};
pub use histogram::{HistogramBinning, HistogramClasses};
pub use isotonic::{IsotonicClasses, IsotonicRegression};
pub use matrix::{DirichletCalibration, MatrixScaling, MatrixScalingConfig};
pub use quantile_recalibration::QuantileRecalibration;
pub use temperature::TemperatureScaling;
pub use vector::VectorScaling;
