//! Predictive distributions, and what is done with them: intervals, scores, calibration, plots. Over slices of `f64`,
//! without tensors and without Burn, so for a model of any framework.
//!
//! A Bayesian network, an ensemble, a chain or a sampler predicts by several draws. Each draw gives every example a
//! distribution;
//! [`Mixture`] is the equal mixture of them.
//!
//! ```
//! use blitz_predict::score::{interval_coverage, sharpness};
//! use blitz_predict::NormalMixture;
//!
//! // What three draws predict for four examples, with noise of deviation 0.5, and what then happened.
//! let means = vec![
//!     vec![0.9, 2.1, 2.8, 4.2],
//!     vec![1.1, 1.9, 3.1, 3.9],
//!     vec![1.0, 2.0, 3.4, 3.6],
//! ];
//! let happened = [1.3, 1.8, 2.9, 6.0];
//!
//! let y = NormalMixture::new(means, vec![0.5], 1);
//! // What the draws disagree about, and the noise.
//! assert!(y.epistemic_std()[0] < y.epistemic_std()[2]);
//! assert!((y.aleatoric_std()[0] - 0.5).abs() < 1e-12);
//!
//! let intervals = y.interval(0.9);
//! assert!(intervals[0].contains(1.3) && !intervals[3].contains(6.0));
//! assert_eq!(interval_coverage(&intervals, &happened), 0.75);
//! assert!(sharpness(&intervals) > 1.6 && sharpness(&intervals) < 1.8);
//! // In the units of the targets; the last example costs most.
//! assert!((y.crps(&happened) - 0.5703).abs() < 1e-4);
//! ```
//!
//! - [`distribution`]: normal, Student's t, Laplace, Bernoulli, Poisson, negative binomial, and a trait for your own.
//! - [`Mixture`] of them, [`CategoricalMixture`] for classes: quantiles, intervals, samples by seed, epistemic and
//!   aleatoric parts.
//! - [`Standardizer`]: inputs and targets at mean 0 and deviation 1, and predictions back in their own unit.
//! - [`acquisition`]: which points of a pool to label next, by BALD, BatchBALD and others.
//! - [`score`]: proper scores, calibration errors, coverage, selective prediction, out-of-distribution detection.
//! - [`calibration`]: temperature, vector, matrix and Dirichlet scaling, histogram binning, isotonic regression,
//!   conformal intervals and sets.
//! - [`convergence`] of Markov chains: R̂, effective sample sizes, energies.
//! - `table` (the feature `parquet`): predictions and draws as Parquet files.
//! - `plot` (a feature): bands, intervals, reliability, coverage, posteriors, training curves, as PNG and SVG.
//!
//! Wrong values that come from data are an [`InputError`] or a [`MixtureError`] in the functions that begin with `try_`
//! and in [`acquisition`]; the others panic with the same text. Plots and tables return errors of their own.

pub mod acquisition;
pub mod calibration;
mod check;
pub mod convergence;
pub mod distribution;
mod error;
mod mixture;
mod numbers;
#[doc(hidden)]
pub mod percent;
#[doc(hidden)]
pub mod place;
#[cfg(feature = "plot")]
pub mod plot;
pub mod score;
mod standardizer;
#[cfg(feature = "parquet")]
pub mod table;

pub use blitz_noise;
pub use error::{InputError, MixtureError};
pub use mixture::{CategoricalMixture, Interval, Mixture, NormalMixture, Predictive};
pub use standardizer::Standardizer;

/// The code of the crate's README, compiled and run as a documentation test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
