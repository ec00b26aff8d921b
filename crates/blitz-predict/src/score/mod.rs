//! How good predictions are: scores, calibration errors and the like, as functions of a whole evaluation.
//!
//! | question | function | best |
//! |---|---|---|
//! | is the answer right? | [`accuracy`], [`rmse`] | 1, 0 |
//! | does the score tell classes apart, rare ones too? | [`auroc`], [`average_precision`], [`f1_score`]; of many classes [`macro_auroc`], [`macro_average_precision`], [`macro_f1`] | 1 |
//! | how likely was what happened? | [`categorical_nll`], [`normal_nll`] | low |
//! | how far is the distribution from what happened? | [`brier_score`], [`normal_crps`], [`normal_mixture_crps`], [`sample_crps`] | 0 |
//! | do probabilities mean what they say? | [`expected_calibration_error`], [`adaptive_calibration_error`], [`smooth_calibration_error`], [`classwise_calibration_error`], [`brier_decomposition`] | 0 |
//! | do intervals hold what they promise, and how wide are they? | [`interval_coverage`], [`sharpness`], [`interval_score`] | the level, low, low |
//! | does confidence order the errors? | [`risk_coverage_curve`], [`aurc`], [`excess_aurc`], [`augrc`] | low, low, 0, low |
//! | what does a bound on risk or coverage cost? | [`coverage_at_risk`], [`risk_at_coverage`] | 1, low |
//! | and where inputs from elsewhere are to be declined, too? | [`scod_losses`], losses for the two rows above | |
//! | how far is it from another posterior's? | [`agreement`], [`total_variation`], [`sample_wasserstein`] | 1, 0, 0 |
//! | does uncertainty find inputs from elsewhere? | [`ood_auroc`], [`ood_aupr_in`], [`ood_aupr_out`], [`ood_fpr95`] | 1, 1, 1, 0 |
//!
//! Every function panics on input it cannot score, naming the value, and has a `try_` twin that returns a
//! [`InputError`](crate::InputError) for input that comes from users or files. None depends on the order of the examples.

mod accuracy;
mod brier;
mod calibration_error;
mod crps;
mod discrimination;
mod distance;
mod interval;
mod nll;
mod out_of_distribution;
mod rmse;
mod selective;
mod smooth_calibration;

pub use accuracy::{accuracy, try_accuracy};
pub use brier::{
    BrierDecomposition, binned_brier_decomposition, brier_decomposition, brier_score,
    try_binned_brier_decomposition, try_brier_decomposition, try_brier_score,
};
pub(crate) use calibration_error::bin_of;
pub use calibration_error::{
    ReliabilityBin, adaptive_calibration_error, classwise_calibration_error, equal_mass_bins,
    expected_calibration_error, reliability_bins, try_adaptive_calibration_error,
    try_classwise_calibration_error, try_equal_mass_bins, try_expected_calibration_error,
    try_reliability_bins,
};
pub use crps::{
    fair_sample_crps, normal_crps, normal_mixture_crps, sample_crps, try_fair_sample_crps,
    try_normal_crps, try_normal_mixture_crps, try_sample_crps,
};
pub use discrimination::{
    auroc, average_precision, f1_score, macro_auroc, macro_average_precision, macro_f1, try_auroc,
    try_average_precision, try_f1_score, try_macro_auroc, try_macro_average_precision,
    try_macro_f1,
};
pub use distance::{
    agreement, sample_wasserstein, total_variation, try_agreement, try_sample_wasserstein,
    try_total_variation,
};
pub use interval::{
    interval_coverage, interval_score, sharpness, try_interval_coverage, try_interval_score,
    try_sharpness,
};
pub use nll::{categorical_nll, normal_nll, try_categorical_nll, try_normal_nll};
pub use out_of_distribution::{
    ood_aupr_in, ood_aupr_out, ood_auroc, ood_fpr95, try_ood_aupr_in, try_ood_aupr_out,
    try_ood_auroc, try_ood_fpr95,
};
pub use rmse::{rmse, try_rmse};
pub use selective::{
    RiskAtCoverage, augrc, aurc, coverage_at_risk, excess_aurc, risk_at_coverage,
    risk_coverage_curve, scod_losses, try_augrc, try_aurc, try_coverage_at_risk, try_excess_aurc,
    try_risk_at_coverage, try_risk_coverage_curve, try_scod_losses,
};
pub use smooth_calibration::{
    smooth_calibration_error, smooth_calibration_error_at, try_smooth_calibration_error,
    try_smooth_calibration_error_at,
};
