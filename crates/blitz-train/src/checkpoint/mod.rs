//! What a training saves, whole or refused.

#[cfg(feature = "train")]
mod claim;
#[cfg(feature = "train")]
mod folder;
mod seal;

#[cfg(feature = "train")]
pub use claim::FolderClaim;
#[cfg(feature = "train")]
pub use folder::Checkpoints;
pub use seal::{Seal, check, seal, unseal};
