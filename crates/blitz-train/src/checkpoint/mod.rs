//! What a training saves, whole or refused.

#[cfg(feature = "train")]
mod folder;
mod seal;

#[cfg(feature = "train")]
pub use folder::Checkpoints;
pub(crate) use seal::{Seal, check, seal, unseal};
