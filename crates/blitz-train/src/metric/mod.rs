//! How good predictions are: functions of a whole evaluation, and metrics for Burn's dashboard.
//!
//! | question | function | best | dashboard |
//! |---|---|---|---|
//! | is the answer right? | [`accuracy`], [`rmse`] | 1, 0 | Burn's own, [`RmseMetric`] |
//! | does the score tell classes apart, rare ones too? | [`auroc`], [`average_precision`], [`f1_score`]; of many classes [`macro_auroc`], [`macro_average_precision`], [`macro_f1`] | 1 | |
//! | how likely was what happened? | [`categorical_nll`], [`normal_nll`] | low | [`NllMetric`] |
//! | how far is the distribution from what happened? | [`brier_score`], [`normal_crps`], [`normal_mixture_crps`], [`sample_crps`] | 0 | [`BrierMetric`], [`CrpsMetric`] |
//! | do probabilities mean what they say? | [`expected_calibration_error`], [`adaptive_calibration_error`], [`smooth_calibration_error`], [`classwise_calibration_error`], [`brier_decomposition`] | 0 | [`EceMetric`] |
//! | do intervals hold what they promise, and how wide are they? | [`interval_coverage`], [`sharpness`], [`interval_score`] | the level, low, low | [`CoverageMetric`], [`SharpnessMetric`], [`IntervalScoreMetric`] |
//! | does confidence order the errors? | [`risk_coverage_curve`], [`aurc`], [`excess_aurc`], [`augrc`] | low, low, 0, low | |
//! | what does a bound on risk or coverage cost? | [`coverage_at_risk`], [`risk_at_coverage`] | 1, low | |
//! | and where inputs from elsewhere are to be declined, too? | [`scod_losses`], losses for the two rows above | | |
//! | how far is it from another posterior's? | [`agreement`], [`total_variation`], [`sample_wasserstein`] | 1, 0, 0 | |
//! | does uncertainty find inputs from elsewhere? | [`ood_auroc`], [`ood_aupr_in`], [`ood_aupr_out`], [`ood_fpr95`] | 1, 1, 1, 0 | |
//!
//! [`KlMetric`] and, layer by layer, [`LayerKlMetric`] show how far the posterior is from its prior. [`MetricFiles`] and [`TensorBoardFiles`] keep what metrics show.
//!
//! Every function panics on input it cannot score, naming the value, and has a `try_` twin that returns a
//! [`InputError`](crate::InputError) for input that comes from users or files. None depends on the order of the examples.
//! All of the metrics weigh every example alike, whatever the batch sizes.

#[cfg(feature = "train")]
mod dashboard;
#[cfg(feature = "train")]
mod files;
#[cfg(feature = "train")]
mod history;
#[cfg(feature = "train")]
mod stop;
#[cfg(feature = "train")]
mod tensorboard;

pub use blitz_predict::score::{
    BrierDecomposition, ReliabilityBin, RiskAtCoverage, accuracy, adaptive_calibration_error,
    agreement, augrc, aurc, auroc, average_precision, binned_brier_decomposition,
    brier_decomposition, brier_score, categorical_nll, classwise_calibration_error,
    coverage_at_risk, equal_mass_bins, excess_aurc, expected_calibration_error, f1_score,
    fair_sample_crps, interval_coverage, interval_score, macro_auroc, macro_average_precision,
    macro_f1, normal_crps, normal_mixture_crps, normal_nll, ood_aupr_in, ood_aupr_out, ood_auroc,
    ood_fpr95, reliability_bins, risk_at_coverage, risk_coverage_curve, rmse, sample_crps,
    sample_wasserstein, scod_losses, sharpness, smooth_calibration_error,
    smooth_calibration_error_at, total_variation, try_accuracy, try_adaptive_calibration_error,
    try_agreement, try_augrc, try_aurc, try_auroc, try_average_precision,
    try_binned_brier_decomposition, try_brier_decomposition, try_brier_score, try_categorical_nll,
    try_classwise_calibration_error, try_coverage_at_risk, try_equal_mass_bins, try_excess_aurc,
    try_expected_calibration_error, try_f1_score, try_fair_sample_crps, try_interval_coverage,
    try_interval_score, try_macro_auroc, try_macro_average_precision, try_macro_f1,
    try_normal_crps, try_normal_mixture_crps, try_normal_nll, try_ood_aupr_in, try_ood_aupr_out,
    try_ood_auroc, try_ood_fpr95, try_reliability_bins, try_risk_at_coverage,
    try_risk_coverage_curve, try_rmse, try_sample_crps, try_sample_wasserstein, try_scod_losses,
    try_sharpness, try_smooth_calibration_error, try_smooth_calibration_error_at,
    try_total_variation,
};
#[cfg(feature = "train")]
pub use dashboard::{
    BrierMetric, ClassProbabilitiesInput, CoverageInput, CoverageMetric, CrpsMetric, EceMetric,
    IntervalScoreMetric, KlInput, KlMetric, LayerKlInput, LayerKlMetric, NllInput, NllMetric,
    PredictiveInput, RmseInput, RmseMetric, SharpnessMetric,
};
#[cfg(feature = "train")]
pub use files::MetricFiles;
#[cfg(feature = "train")]
pub(crate) use history::History;
#[cfg(feature = "train")]
pub use tensorboard::TensorBoardFiles;
