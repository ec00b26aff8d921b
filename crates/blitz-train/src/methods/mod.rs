//! Ways to a posterior beside the ELBO with an optimizer, one folder each.
//!
//! Each method implements what it plugs into beside its own type: [`NetworkPosterior`](crate::NetworkPosterior) if it
//! draws whole networks, and
//! [`WeightUpdate`](crate::WeightUpdate) if it trains weights itself. Nothing outside this room knows a method by name.

pub(crate) mod adapter;
pub(crate) mod ensemble;
pub(crate) mod ivon;
#[cfg(feature = "dataset")]
pub mod laplace;
pub(crate) mod sgld;
#[cfg(feature = "dataset")]
pub(crate) mod statistics;
pub(crate) mod swag;
