//! Training and reading Bayesian networks on [Burn](burn): the ELBO on Burn's own `Learner`, likelihoods, prediction and
//! metrics.
//!
//! - [`Elbo`]: the objective, for a training loop of your own or, through [`ElboModel`], for Burn's `Learner`.
//! - [`GaussianLikelihood`], [`CategoricalLikelihood`] and the [`Likelihood`] trait.
//! - [`NormalMixture`] and [`CategoricalMixture`]: the predictive distributions, with their epistemic and aleatoric parts.
//! - [`NllMetric`], [`KlMetric`], [`RmseMetric`], [`CoverageMetric`] for Burn's dashboard; [`EpochLines`] for a log.
//!
//! # Features
//!
//! `std` (default) and Burn's backends under Burn's names, as in [`blitz_core`].

mod elbo;
mod error;
mod learner;
mod likelihood;
mod metric;
mod optim;
mod predict;
mod renderer;

pub use blitz_layers::{self, blitz_core};
pub use elbo::{BetaSchedule, Elbo, ElboConfig, ElboLoss, Step};
pub use error::{ConfigError, FitError, NonFiniteLoss};
pub use learner::{Batch, ElboModel, ElboOutput, Fitted, Network, fit, fit_on, predict_draws};
pub use likelihood::{
    CategoricalLikelihood, CategoricalLikelihoodConfig, ClassificationEvaluation, Evaluation,
    GaussianLikelihood, GaussianLikelihoodConfig, Likelihood, NoiseLevel, RegressionEvaluation,
};
pub use metric::{
    CoverageInput, CoverageMetric, KlInput, KlMetric, NllInput, NllMetric, ReliabilityBin,
    RmseInput, RmseMetric, expected_calibration_error, reliability_bins,
};
pub use optim::{FusedAdam, FusedAdamConfig};
pub use predict::{CategoricalMixture, Interval, NormalMixture};
pub use renderer::EpochLines;

/// What a program that trains and predicts needs: this crate's items and those of the layers.
pub mod prelude {
    pub use crate::{
        Batch, BetaSchedule, CategoricalLikelihood, CategoricalLikelihoodConfig,
        CategoricalMixture, CoverageMetric, Elbo, ElboConfig, ElboModel, EpochLines, FitError,
        FusedAdamConfig, GaussianLikelihood, GaussianLikelihoodConfig, Interval, KlMetric,
        Likelihood, Network, NllMetric, NoiseLevel, NormalMixture, RmseMetric, fit, fit_on,
        predict_draws,
    };
    pub use blitz_layers::prelude::*;
}

/// The README's code, compiled and run as a documentation test.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
