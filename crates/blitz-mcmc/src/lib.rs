//! Markov chain Monte Carlo over the weights of a [Burn](burn) network: draws from the posterior itself, for networks
//! that are small enough.
//!
//! Every other method approximates a posterior. This one samples it, and says how far its draws can be trusted.
//!
//! ```
//! use blitz_mcmc::{LogDensity, McmcError, NutsConfig};
//! use blitz_train::prelude::*;
//! use burn::module::Module;
//! use burn::nn::{Linear, LinearConfig};
//! use burn::tensor::{Device, Tensor};
//!
//! #[derive(Module, Debug)]
//! struct Net {
//!     hidden: Linear,
//!     out: Linear,
//! }
//!
//! impl Network for Net {
//!     type Input = Tensor<2>;
//!     type Output = Tensor<2>;
//!
//!     fn forward(&self, x: Tensor<2>) -> Tensor<2> {
//!         self.out.forward(self.hidden.forward(x).tanh())
//!     }
//! }
//!
//! # fn main() -> Result<(), McmcError> {
//! let device = Device::flex();
//! device.seed(1);
//! let network = Net {
//!     hidden: LinearConfig::new(1, 3).init(&device),
//!     out: LinearConfig::new(3, 1).init(&device),
//! };
//! let data = LabeledBatch {
//!     inputs: Tensor::<2>::from_floats([[-1.0], [-0.5], [0.5], [1.0]], &device),
//!     targets: Tensor::<2>::from_floats([[-0.8], [-0.5], [0.5], [0.8]], &device),
//! };
//! let noise = LikelihoodParam::Fixed(0.1);
//! let likelihood = GaussianLikelihoodConfig::new().with_noise(noise).init(&device);
//!
//! let density = LogDensity::new(&network, &likelihood, |_| PriorConfig::normal(1.0), vec![data])?;
//! let nuts = NutsConfig::new().with_chains(2).with_warm_up(200).with_draws(100);
//! let posterior = nuts.init().run(&density)?;
//!
//! // The weights have symmetries, so what has to agree between chains is what they predict.
//! let between = Tensor::<2>::from_floats([[0.0], [0.75]], &device);
//! let convergence = posterior.convergence_of(|network| network.forward(between.clone()))?;
//! assert!(convergence.largest_r_hat() < 1.1, "{convergence}");
//!
//! let predictor = PredictorConfig::new(200).init_with(&posterior, &likelihood);
//! let predictive = predictor.predict(between).unwrap();
//! assert!(predictive.mean()[0].abs() < 0.1);
//! # Ok(())
//! # }
//! ```
//!
//! - [`LogDensity`]: the log density of a network's weights and its gradient, in `f64`.
//! - [`NutsConfig`], [`Nuts`]: several chains by the No-U-Turn sampler, from one seed, in threads, with
//!   [progress](ChainLines), in files that outlive a kill.
//! - [`McmcPosterior`]: the draws as networks for a [`Predictor`](blitz_train::Predictor), and their [`Convergence`],
//!   of weights and of predictions.
//! - [`Draws`]: the draws as numbers, with what the sampler says of each, also in the form that ArviZ reads.
//!
//! It computes on the CPU, by Burn's `flex`, whatever backend the network is on.

mod density;
mod draws;
mod error;
mod nuts;
mod posterior;
mod progress;

/// The code of the crate's README, compiled and run as a documentation test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub use density::{LogDensity, Weight, device};
pub use draws::{ChainDraws, DrawStats, Draws};
pub use error::McmcError;
pub use nuts::{MANY_WEIGHTS, Nuts, NutsConfig};
pub use posterior::{Convergence, McmcPosterior};
pub use progress::{ChainLines, ChainProgress};
