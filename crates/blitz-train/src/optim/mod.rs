//! Optimizers beside Burn's.

mod fused_adam;
mod ivon;

pub use fused_adam::{FusedAdam, FusedAdamConfig};
pub use ivon::{Ivon, IvonConfig, IvonPosterior};
