//! Optimizers beside Burn's.

mod fused_adam;

pub use fused_adam::{FusedAdam, FusedAdamConfig, FusedAdamState};
