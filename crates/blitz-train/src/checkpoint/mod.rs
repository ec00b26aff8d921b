//! What a training saves, whole or refused.

#[cfg(feature = "train")]
mod aside;
#[cfg(feature = "train")]
mod claim;
mod float_types;
#[cfg(feature = "train")]
mod folder;
#[cfg(feature = "train")]
mod raised;
mod same_file;
mod saved_layout;
#[cfg(feature = "train")]
mod saves;
mod seal;

#[cfg(feature = "train")]
pub use claim::FolderClaim;
pub(crate) use float_types::{FloatTypes, Retyped};
#[cfg(feature = "train")]
pub use folder::Checkpoints;
#[cfg(feature = "train")]
pub(crate) use raised::raised;
#[cfg(feature = "train")]
pub(crate) use same_file::is_same;
pub(crate) use saved_layout::in_saved_layout;
pub(crate) use seal::load_record;
pub use seal::put_sealed_by;
#[cfg(feature = "train")]
pub use seal::{Seal, put, put_sealed, read, read_by_name, seal};

use std::path::{Path, PathBuf};

/// The path that Burn writes to: with its extension where there is none.
pub(crate) fn with_extension(path: &Path) -> PathBuf {
    match path.extension() {
        Some(_) => path.into(),
        None => path.with_extension("bpk"),
    }
}
