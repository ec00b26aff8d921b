//! Training and reading Bayesian networks on [Burn](burn): the ELBO on Burn's own `Learner`, likelihoods, prediction and
//! metrics.
//!
//! - [`Elbo`]: the objective, for a training loop of your own or, through [`ElboModel`], for Burn's `Learner`.
//! - [`GaussianLikelihood`], [`HeteroscedasticLikelihood`], [`StudentTLikelihood`], [`LaplaceLikelihood`] for real numbers,
//!   [`BernoulliLikelihood`] and [`CategoricalLikelihood`] for labels, [`PoissonLikelihood`] and
//!   [`NegativeBinomialLikelihood`] for counts, and the [`Likelihood`] trait for one of your own.
//! - [`Mixture`] and [`CategoricalMixture`]: the predictive distributions, with their epistemic and aleatoric parts;
//!   [`Predictor`] predicts whole data loaders.
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
mod predict;
mod renderer;

pub use blitz_layers::{self, blitz_core};
pub use elbo::{BetaSchedule, Elbo, ElboConfig, ElboLoss, Step};
pub use error::{CheckError, ConfigError, FitError, NonFiniteLoss, PredictError, TargetError};
pub use learner::{Batch, ElboModel, ElboOutput, Fitted, Network, fit, predict_draws};
pub use likelihood::{
    BernoulliLikelihood, BernoulliLikelihoodConfig, CategoricalLikelihood,
    CategoricalLikelihoodConfig, ClassificationEvaluation, DegreesOfFreedom, Evaluation, Exposed,
    GaussianLikelihood, GaussianLikelihoodConfig, HeteroscedasticLikelihood,
    HeteroscedasticLikelihoodConfig, LaplaceLikelihood, LaplaceLikelihoodConfig, Likelihood,
    NegativeBinomialLikelihood, NegativeBinomialLikelihoodConfig, NoiseLevel, PointEvaluation,
    PoissonLikelihood, PoissonLikelihoodConfig, RegressionEvaluation, StudentTLikelihood,
    StudentTLikelihoodConfig, WithExposure, check_targets,
};
pub use metric::{
    CoverageInput, CoverageMetric, KlInput, KlMetric, NllInput, NllMetric, ReliabilityBin,
    RmseInput, RmseMetric, expected_calibration_error, reliability_bins,
};
pub use predict::{
    Bernoulli, CategoricalMixture, Component, DrawnWeights, Interval, Laplace, LocationScale,
    Mixture, NegativeBinomial, Normal, NormalMixture, Poisson, PredictedBatch, Predictions,
    Predictive, Predictor, PredictorConfig, ProgressLine, StudentT, Support,
};
pub use renderer::EpochLines;

/// What a program that trains and predicts needs: this crate's items and those of the layers.
pub mod prelude {
    pub use crate::{
        Batch, BernoulliLikelihood, BernoulliLikelihoodConfig, BetaSchedule, CategoricalLikelihood,
        CategoricalLikelihoodConfig, CategoricalMixture, CoverageMetric, Elbo, ElboConfig,
        ElboModel, EpochLines, FitError, GaussianLikelihood, GaussianLikelihoodConfig,
        HeteroscedasticLikelihood, HeteroscedasticLikelihoodConfig, Interval, KlMetric, Likelihood,
        Mixture, Network, NllMetric, NoiseLevel, NormalMixture, PoissonLikelihood,
        PoissonLikelihoodConfig, PredictError, Predictor, PredictorConfig, ProgressLine,
        RmseMetric, StudentTLikelihood, StudentTLikelihoodConfig, check_targets, fit,
        predict_draws,
    };
    pub use blitz_layers::prelude::*;
}

/// The README's code, compiled and run as a documentation test.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
