//! Bayesian layers for [Burn](burn), and any Burn module made Bayesian in one call.
//!
//! A layer here is Burn's own layer whose parameters carry posteriors, with Burn's names and shapes:
//! `FooConfig::new(..).init(&device).forward(x)`. What the crate adds is a choice of [`Estimator`]. A module of your
//! own, or one of Burn's, needs no layer from here:
//! [`bayesianize`](blitz_core::BayesianModule::bayesianize) converts it.
//!
//! ```
//! use blitz_layers::prelude::*;
//! use burn::tensor::{Device, Tensor};
//!
//! let device = Device::flex();
//! let layer = BayesianLinearConfig::new(4, 1).init(&device);
//! let x = Tensor::<2>::ones([8, 4], &device);
//! // Without a draw each call samples afresh; inside one, all calls share their weights.
//! let draws: Vec<_> = (0..10).map(|i| layer.with_draw(0, i, |l| l.forward(x.clone()))).collect();
//! let mean = layer.with_mean(|l| l.forward(x));
//! # assert_eq!(draws[0].dims(), mean.dims());
//! ```
//!
//! | | |
//! |---|---|
//! | linear | [`BayesianLinear`] |
//! | convolutional | [`BayesianConv1d`](conv::BayesianConv1d), `2d`, `3d`; [`BayesianConvTranspose1d`](conv::BayesianConvTranspose1d), `2d`, `3d` |
//! | recurrent | [`BayesianLstm`], [`BayesianGru`]: stacked, bidirectional |
//! | embedding | [`BayesianEmbedding`] |
//! | dropout | [`McDropout`]: Monte Carlo dropout, by the draw |
//! | networks | [`LeNet`](models::LeNet), [`Vgg`](models::Vgg) |
//! | mean and variance of their outputs in one pass | [`moments`] |
//! | files of PyTorch and its Bayesian libraries | [`pytorch`] |
//! | attention, transformers, norms, anything else | Burn's own, by [`bayesianize`](blitz_core::BayesianModule::bayesianize) |
//!
//! # Features
//!
//! `std` (default) and Burn's backends under Burn's names, as in [`blitz_core`].

pub mod conv;
pub mod models;
pub mod moments;
pub mod pytorch;

mod adapted;
mod axes;
mod embedding;
mod estimator;
mod linear;
mod mc_dropout;
mod rnn;
mod rows;
mod traversal;
mod weights;
mod windows;

pub use blitz_core;
pub use embedding::{BayesianEmbedding, BayesianEmbeddingConfig};
pub use estimator::Estimator;
pub use linear::{BayesianLinear, BayesianLinearConfig};
pub use mc_dropout::{McDropout, McDropoutConfig};
pub use rnn::{
    BayesianGru, BayesianGruCell, BayesianGruConfig, BayesianLstm, BayesianLstmCell,
    BayesianLstmConfig, Peephole, Recurrent, RecurrentCell, RecurrentLayer,
};
pub use weights::WeightsConfig;

/// What a model made of Bayesian layers needs. Transposed convolutions are in [`conv`].
pub mod prelude {
    pub use crate::conv::{
        BayesianConv1d, BayesianConv1dConfig, BayesianConv2d, BayesianConv2dConfig, BayesianConv3d,
        BayesianConv3dConfig,
    };
    pub use crate::{
        BayesianEmbedding, BayesianEmbeddingConfig, BayesianGru, BayesianGruConfig, BayesianLinear,
        BayesianLinearConfig, BayesianLstm, BayesianLstmConfig, Estimator, McDropout,
        McDropoutConfig,
    };
    pub use blitz_core::prelude::*;
}

/// The code of the crate's README, compiled and run as a documentation test.
#[cfg(all(doctest, feature = "flex"))]
#[doc = include_str!("../README.md")]
struct Readme;
