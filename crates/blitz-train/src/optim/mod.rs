//! Optimizers beside Burn's.

mod fused_adam;
mod ivon;
mod sgld;

pub use fused_adam::{FusedAdam, FusedAdamConfig};
pub use ivon::{Ivon, IvonConfig, IvonPosterior};
pub use sgld::{Chain, ChainConfig, Sgld, SgldConfig, SgldState};
