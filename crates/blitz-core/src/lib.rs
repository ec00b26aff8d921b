//! Bayesian weights for [Burn](burn): posteriors, priors, their KL divergence, and reproducible draws.
//!
//! **A Bayesian weight is an ordinary Burn parameter with a posterior attached.** The parameter stores the posterior's
//! mean; what else the posterior has (a deviation, a prior) rides along as a Burn
//! [`Reparameterization`](burn::module::Reparameterization). Records, optimizers, devices and module display are
//! Burn's own, and a deterministic checkpoint loads straight into the means.
//!
//! - [`BayesianModule`] is implemented for every Burn module: [`bayesianize`](BayesianModule::bayesianize) it, open a
//!   [`draw`](BayesianModule::draw), ask for its [`kl_cost`](BayesianModule::kl_cost).
//! - [`PosteriorConfig`] and [`PriorConfig`] name the families there are; [`Posterior`] and [`Prior`], where they are
//!   compared, are the traits to implement for families of your own.
//! - [`BayesianizeConfig`] and [`WeightFilter`] say which weights get which; [`MopedConfig`] starts from a trained
//!   network.
//! - [`Sharpening`] moves a draw along its minibatch's gradient.
//! - [`kernels`] does what a step spends its time in, each in one pass over memory, on CPUs and GPUs.
//! - [`noise`] makes the random numbers: a value is a pure function of seed, draw, stream and element.
//!
//! Most users depend on `blitz-layers` or `blitz-train`, which re-export this crate.
//!
//! # Features
//!
//! | feature | what |
//! |---|---|
//! | `std` | on by default, and needed |
//! | `flex`, `ndarray` | CPUs, with fused operations |
//! | `wgpu`, `vulkan`, `metal`, `webgpu`, `cuda`, `rocm`, `cpu` | Burn's CubeCL backends, with fused operations |
//! | `tch`, `remote` | LibTorch and devices of other machines, by Burn's tensor operations |
//! | `fusion`, `autotune` | how Burn runs its CubeCL backends |
//! | `x86-v4` | matrix products with AVX-512 on `flex`, where the processor has it: a quarter to a third less time for them |
//!
//! All are Burn's own, under its names. None but `std` is on by default; the application chooses. Switch a backend on
//! here (or by the same feature of `blitz-layers` or `blitz-train`), not in Burn alone: only then are there fused
//! operations for it.

pub mod device;
#[doc(hidden)]
pub mod fields;
pub mod kernels;

mod attach;
mod draw;
mod family;
mod kl;
mod math;
mod model;

pub use blitz_noise as noise;

pub use attach::{
    BayesianizeConfig, BayesianizeError, BuiltinVariational, ExistingPosteriors, MopedConfig,
    MopedVariational, Variational, WeightFilter, WeightRule, trains,
};
#[doc(hidden)]
pub use attach::{VisitAt, attach_where, locations, mistaken_for_one, visit_by_path};
#[doc(hidden)]
pub use draw::has_adapters;
pub use draw::{
    ColumnMoments, Draw, KeptDeviations, KeptMoments, LayerNoise, SplitWeight, WeightMoments,
    WeightReading, is_open as draw_is_open, read_means, seed, weight_rows,
};
pub use family::posterior::{
    BuiltinPosterior, FullRankNormalPosterior, FullRankNormalPosteriorConfig, LaplacePosterior,
    LaplacePosteriorConfig, LaplaceUnit, LocationScale, LowRankNormalPosterior,
    LowRankNormalPosteriorConfig, MatrixNormalPosterior, MatrixNormalPosteriorConfig,
    NormalPosterior, NormalPosteriorConfig, NormalUnit, Posterior, PosteriorConfig, PosteriorForm,
    PosteriorStructure, RadialPosterior, RadialPosteriorConfig, RadialUnit, StudentTPosterior,
    StudentTPosteriorConfig, StudentTUnit, UnitNoise, VarianceFactors, WeightInfo,
};
pub use family::prior::{
    BuiltinPrior, CenteredPrior, EmpiricalNormalPrior, EmpiricalNormalPriorConfig, HorseshoePrior,
    HorseshoePriorConfig, LaplacePrior, LaplacePriorConfig, LearnedLaplacePrior,
    LearnedLaplacePriorConfig, LearnedNormalPrior, LearnedNormalPriorConfig, NormalPrior,
    NormalPriorConfig, PosteriorPrior, Prior, PriorConfig, PriorForm, ScaleMixturePrior,
    ScaleMixturePriorConfig, StudentTPrior, StudentTPriorConfig,
};
pub use family::{
    ConstantError, Constants, MarginalFamily, Marginals, Nats, Noise, at_least_f32, deviation,
    in_type_of, refused_constants, type_of_numbers,
};
#[doc(hidden)]
pub use kernels::wide_type;
pub use kl::{KlEstimator, KlTerm, kl_divergence};
#[doc(hidden)]
pub use model::posterior_in;
pub use model::{
    AsymmetricPosterior, AttachedPosterior, BayesianModule, BayesianSummary, BayesianWeight,
    DrawnWeight, FromStart, MomentsError, PrunedTensor, PruningReport, SharpenedDraw, Sharpening,
    SharpeningConfig, WeightMarginals, WeightMovement,
};

/// What most programs need from this crate. Families, and what one's own are made of, are imported by name.
pub mod prelude {
    pub use crate::noise::NoiseKey;
    pub use crate::{
        BayesianModule, BayesianizeConfig, Draw, MopedConfig, PosteriorConfig, PriorConfig,
        WeightFilter, WeightRule,
    };
}

/// The code of the crate's README, compiled and run as a documentation test.
#[cfg(all(doctest, feature = "flex"))]
#[doc = include_str!("../README.md")]
struct Readme;
