//! Trains Bayesian networks on [Burn](burn) by the ELBO, in a loop of your own or on Burn's `Learner`, and reads
//! distributions from their predictions.
//!
//! ```
//! use blitz_train::predict_draws;
//! use blitz_train::prelude::*;
//! use burn::module::Module;
//! use burn::optim::GradientsParams;
//! use burn::tensor::{Device, Tensor};
//!
//! let device = Device::flex().autodiff();
//! device.seed(1);
//! let x = Tensor::<2>::from_floats([[-1.0], [0.0], [1.0]], &device);
//! let y = x.clone() * 2.0;
//!
//! let mut net = BayesianLinearConfig::new(1, 1).init(&device);
//! let noise = LikelihoodParam::Fixed(0.1);
//! let likelihood = GaussianLikelihoodConfig::new().with_noise(noise).init(&device);
//! let elbo = ElboConfig::new(3).init(); // 3 examples in all
//! let mut adam = FusedAdamConfig::new().init();
//! for step in 0..200 {
//!     let nll = |net: &BayesianLinear| likelihood.nll(net.forward(x.clone()), y.clone());
//!     let grads = elbo.loss(&net, step.into(), nll).loss.backward();
//!     net = adam.step(0.05, net.clone(), GradientsParams::from_grads(grads, &net));
//! }
//!
//! // 100 draws of the weights, each with its noise.
//! let at = Tensor::<2>::from_floats([[0.5]], &Device::flex());
//! let outputs = predict_draws(&net.valid(), 100, 0, |net| net.forward(at.clone()));
//! let interval = likelihood.predictive(outputs).interval(0.95)[0];
//! assert!(interval.contains(1.0), "{interval:?}");
//! ```
//!
//! `fit` does the same with data loaders, checkpoints and metrics. The repository's `docs` is the book.
//!
//! - [`Elbo`]: the objective, for a training loop of your own or, through [`ElboModel`], for Burn's `Learner`.
//! - [`GaussianLikelihood`], [`HeteroscedasticLikelihood`], [`StudentTLikelihood`], [`LaplaceLikelihood`] for real
//!   numbers,
//!   [`BernoulliLikelihood`] and [`CategoricalLikelihood`] for labels, [`PoissonLikelihood`] and
//!   [`NegativeBinomialLikelihood`] for counts, and the [`Likelihood`] trait for one of your own.
//! - [`Mixture`] and [`CategoricalMixture`]: the predictive distributions, with their epistemic and aleatoric parts;
//!   [`Predictor`] predicts whole data loaders, [`MomentsPredictor`] in one pass instead of by draws; [`MomentsNetwork`] and [`MomentsLikelihood`] train so.
//! - [`Standardizer`] and, for tensors, [`StandardizeTensor`]: inputs and targets at mean 0 and deviation 1.
//! - [`metric`]: proper scores, calibration errors, intervals, selective prediction and out-of-distribution detection,
//!   as functions; [`NllMetric`], [`KlMetric`], [`LayerKlMetric`], [`RmseMetric`], [`CoverageMetric`], [`CrpsMetric`],
//!   [`IntervalScoreMetric`], [`SharpnessMetric`], [`BrierMetric`], [`EceMetric`] for Burn's dashboard; [`EpochLines`] for a log.
//! - [`Ivon`], [`Sgld`] and [`Sghmc`] with [`Chain`], [`Swag`], [`Ensemble`]: other ways to draws of a network;
//!   [`NetworkPosterior`] and [`WeightUpdate`] for one of your own.
//! - [`BlobConfig`], [`TfbConfig`]: posteriors on the factors of Burn's LoRA; [`save_adapter`] for what was trained
//!   beside a frozen network.
//! - `laplace` (with `dataset`): normal posteriors of the last layer or of all weights of a network trained without
//!   one.
//! - `plot` (a feature): bands, intervals, reliability, risk–coverage, posteriors, training curves, as PNG and SVG.
//! - [`acquisition`]: which points of a pool to label next.
//! - [`convergence`] of Markov chains: R̂, effective sample sizes, energies.
//! - [`calibration`] after training: temperature, vector, matrix and Dirichlet scaling, histogram binning, isotonic
//!   regression, conformal intervals and sets.
//!
//! The types of [`distribution`], mixtures, the functions of [`metric`], [`acquisition`], [`calibration`] and plots are
//! those of [`blitz_predict`], which knows no tensors.
//!
//! # Features
//!
//! `std` and `train` (both default), `dataset`, `plot`, `parquet` ([`blitz_predict`]'s `table`), and Burn's backends
//! under Burn's names, as in [`blitz_core`].
//!
//! `train` is what needs Burn's `Learner`, and with it threads and files: [`fit`], the metrics for the dashboard,
//! [`EpochLines`]. Burn's `train` brings the CPU backend `flex` along, and so does this one. Without it there are still
//! the [`Elbo`] for a loop of your own, the likelihoods, the predictive distributions and [`ElboModel::predict`], for
//! instance on WebAssembly.
//!
//! `dataset`, a part of `train`, is what reads Burn's data loaders: `laplace`, `Predictor`, `RowBatcher`,
//! `with_statistics_of`. It has neither threads nor files of its own.

mod batch;
mod checkpoint;
mod elbo;
mod error;
mod graph;
mod learner;
mod likelihood;
mod methods;
pub mod metric;
mod module_state;
mod network;
mod optim;
#[cfg(feature = "plot")]
pub mod plot;
mod predict;
#[cfg(feature = "train")]
mod renderer;
mod standardize;
mod update;

pub use batch::LabeledBatch;
#[cfg(feature = "dataset")]
pub use batch::RowBatcher;
pub use blitz_layers::{self, blitz_core};
pub use blitz_predict::{
    self, InputError, MixtureError, Standardizer, acquisition, calibration, convergence,
    distribution,
};
#[cfg(feature = "train")]
pub use checkpoint::{Checkpoints, FolderClaim};
pub use elbo::{BetaSchedule, Elbo, ElboConfig, ElboLoss, Sampling, TrainingStep};
#[cfg(feature = "train")]
pub use error::{CheckError, FitError};
pub use error::{CheckpointError, ConfigError, NonFiniteLoss, PredictError, TargetError};
#[cfg(feature = "train")]
pub use learner::{BestEpoch, ElboOutput, Fitted, fit, fit_on};
pub use learner::{ElboModel, MomentsLikelihood, MomentsNetwork};
#[cfg(feature = "train")]
pub use likelihood::check_targets;
pub use likelihood::{
    BernoulliLikelihood, BernoulliLikelihoodConfig, CategoricalLikelihood,
    CategoricalLikelihoodConfig, ClassificationEvaluation, Evaluation, ExpectedNll, Exposed,
    GaussianLikelihood, GaussianLikelihoodConfig, HeteroscedasticLikelihood,
    HeteroscedasticLikelihoodConfig, LaplaceLikelihood, LaplaceLikelihoodConfig, LazyPredictive,
    Likelihood, LikelihoodParam, NegativeBinomialLikelihood, NegativeBinomialLikelihoodConfig,
    PointEvaluation, PoissonLikelihood, PoissonLikelihoodConfig, RegressionEvaluation,
    StudentTLikelihood, StudentTLikelihoodConfig, WithExposure,
};
pub use methods::adapter::{
    AdapterError, AdapterFileError, BlobConfig, Tfb, TfbConfig, TfbError, load_adapter,
    save_adapter,
};
pub use methods::ensemble::Ensemble;
pub use methods::ivon::{Ivon, IvonConfig, IvonPosterior};
#[cfg(feature = "dataset")]
pub use methods::laplace;
pub use methods::sgld::{
    Chain, ChainConfig, Sghmc, SghmcConfig, SghmcState, Sgld, SgldConfig, SgldState,
};
#[cfg(feature = "dataset")]
pub use methods::statistics::{StatisticsError, with_statistics_of};
pub use methods::swag::{Swag, SwagConfig, SwagError};
#[cfg(feature = "train")]
pub use metric::{
    BrierMetric, CoverageMetric, CrpsMetric, EceMetric, IntervalScoreMetric, KlMetric,
    LayerKlMetric, MetricFiles, NllMetric, RmseMetric, SharpnessMetric, TensorBoardFiles,
};
pub use network::Network;
pub use optim::{FusedAdam, FusedAdamConfig, FusedAdamState};
pub use predict::{
    CategoricalMixture, Interval, Link, Mixture, MomentsPredictor, MomentsPredictorConfig,
    NetworkPosterior, NormalMixture, Predictive, Propagates, predict_draws, predict_moments,
};
#[cfg(feature = "dataset")]
pub use predict::{
    DrawCache, PredictedBatch, Predictions, Predictor, PredictorConfig, ProgressLine,
};
#[cfg(feature = "train")]
pub use renderer::EpochLines;
pub use standardize::StandardizeTensor;
pub use update::{UpdatedBy, WeightUpdate};

/// Files that are whole or refused. For the crates of blitz.
#[cfg(feature = "train")]
#[doc(hidden)]
pub mod files {
    pub use crate::checkpoint::{Seal, put, put_sealed, put_sealed_by, read, read_by_name, seal};
    pub use blitz_predict::place::{in_place, name_of_part};
}

/// The order of a chain's draws. For the crates of blitz.
#[doc(hidden)]
pub mod chains {
    pub use crate::predict::spread;
}

/// What most programs that train and predict need: of this crate and of the layers. Metrics of the dashboard, methods
/// beside the ELBO, and what families and likelihoods of one's own are made of are imported by name.
pub mod prelude {
    pub use crate::{
        BernoulliLikelihood, BernoulliLikelihoodConfig, BetaSchedule, CategoricalLikelihood,
        CategoricalLikelihoodConfig, CategoricalMixture, Elbo, ElboConfig, ElboModel,
        FusedAdamConfig, GaussianLikelihood, GaussianLikelihoodConfig, LabeledBatch, Likelihood,
        LikelihoodParam, Mixture, Network, NormalMixture, Sampling, StandardizeTensor,
        Standardizer,
    };
    #[cfg(feature = "train")]
    pub use crate::{EpochLines, KlMetric, NllMetric, RmseMetric, fit};
    #[cfg(feature = "dataset")]
    pub use crate::{Predictor, PredictorConfig, RowBatcher};
    pub use blitz_layers::prelude::*;
}

/// The code of the crate's README, compiled and run as a documentation test.
#[cfg(all(doctest, feature = "train"))]
#[doc = include_str!("../README.md")]
struct Readme;
