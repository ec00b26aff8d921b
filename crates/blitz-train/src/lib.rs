//! Training and reading Bayesian networks on [Burn](burn): the ELBO on Burn's own `Learner`, likelihoods, prediction and
//! metrics.
//!
//! - [`Elbo`]: the objective, for a training loop of your own or, through [`ElboModel`], for Burn's `Learner`.
//! - [`GaussianLikelihood`], [`CategoricalLikelihood`] and the [`Likelihood`] trait.
//! - [`NormalMixture`] and [`CategoricalMixture`]: the predictive distributions, with their epistemic and aleatoric parts.
//! - [`metric`]: proper scores, calibration errors, intervals, selective prediction and out-of-distribution detection, as
//!   functions; [`NllMetric`], [`KlMetric`], [`RmseMetric`], [`CoverageMetric`], [`BrierMetric`], [`EceMetric`] for Burn's
//!   dashboard; [`EpochLines`] for a log.
//! - [`calibration`] after training: temperature and vector scaling, isotonic regression, conformal intervals and sets.
//!
//! # Features
//!
//! `std` (default) and Burn's backends under Burn's names, as in [`blitz_core`].

pub mod calibration;
mod check;
mod elbo;
mod error;
mod learner;
mod likelihood;
pub mod metric;
mod predict;
mod renderer;

pub use blitz_layers::{self, blitz_core};
pub use elbo::{BetaSchedule, Elbo, ElboConfig, ElboLoss, Step};
pub use error::{ConfigError, FitError, InputError, NonFiniteLoss};
pub use learner::{Batch, ElboModel, ElboOutput, Fitted, Network, fit, predict_draws};
pub use likelihood::{
    CategoricalLikelihood, CategoricalLikelihoodConfig, ClassificationEvaluation, Evaluation,
    GaussianLikelihood, GaussianLikelihoodConfig, Likelihood, NoiseLevel, RegressionEvaluation,
};
pub use metric::{
    BrierMetric, ClassProbabilitiesInput, CoverageInput, CoverageMetric, EceMetric, KlInput,
    KlMetric, NllInput, NllMetric, ReliabilityBin, RmseInput, RmseMetric,
    expected_calibration_error, reliability_bins,
};
pub use predict::{CategoricalMixture, Interval, NormalMixture};
pub use renderer::EpochLines;

/// What a program that trains and predicts needs: this crate's items and those of the layers.
pub mod prelude {
    pub use crate::{
        Batch, BetaSchedule, BrierMetric, CategoricalLikelihood, CategoricalLikelihoodConfig,
        CategoricalMixture, CoverageMetric, EceMetric, Elbo, ElboConfig, ElboModel, EpochLines,
        FitError, GaussianLikelihood, GaussianLikelihoodConfig, Interval, KlMetric, Likelihood,
        Network, NllMetric, NoiseLevel, NormalMixture, RmseMetric, fit, predict_draws,
    };
    pub use blitz_layers::prelude::*;
}

/// The README's code, compiled and run as a documentation test.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

/// The code of `docs/calibration.md`, likewise.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/calibration.md")]
struct CalibrationPage;
