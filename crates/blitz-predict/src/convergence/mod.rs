//! Whether Markov chains have converged, and how many independent draws theirs are worth.
//!
//! | question | function | wanted |
//! |---|---|---|
//! | do the chains agree, in place and in spread? | [`r_hat`] | below 1.01 |
//! | how many independent draws are the means and medians worth? | [`ess_bulk`] | 100 a chain |
//! | and the ends of intervals? | [`ess_tail`] | 100 a chain |
//! | does the sampler reach all energies? | [`e_bfmi`] | above 0.3, for each chain |
//!
//! [`summary`] has the first three of one number at once.
//!
//! Vehtari, Gelman, Simpson, Carpenter & Bürkner, *Rank-normalization, folding, and localization: an improved R̂ for
//! assessing convergence of MCMC* (2021). All of them are of one number at a time: a weight, or better a prediction. A
//! network's weights have symmetries, so chains may sit in different modes that predict alike.
//!
//! ```
//! use blitz_predict::convergence::r_hat;
//!
//! // Two chains of 8 draws that have not met.
//! let chains = [
//!     [0.1, -0.3, 0.2, 0.5, -0.1, 0.0, 0.3, -0.2],
//!     [5.2, 4.9, 5.0, 5.3, 4.7, 5.1, 5.4, 4.8],
//! ];
//! assert!(r_hat(&chains) > 1.6);
//! ```
//!
//! Every function panics on draws that it can't judge, and has a `try_` twin that returns an
//! [`InputError`](crate::InputError).

mod autocovariance;
mod chains;
mod energy;
mod ess;
mod r_hat;
mod ranks;
mod summary;

pub use chains::MIN_DRAWS;
#[cfg(feature = "plot")]
pub(crate) use chains::checked_chains;
pub use energy::{e_bfmi, try_e_bfmi};
pub use ess::{ess_bulk, ess_tail, try_ess_bulk, try_ess_tail};
pub use r_hat::{r_hat, try_r_hat};
#[cfg(feature = "plot")]
pub(crate) use ranks::ranks;
pub use summary::{Summary, summary, try_summary};
