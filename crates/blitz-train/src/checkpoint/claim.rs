//! A folder that belongs to one training at a time.

use std::fs::{File, TryLockError};
use std::path::Path;

use super::same_file::is_same;
use crate::error::CheckpointError;

/// What keeps another training out of a folder, until it is dropped or its process ends.
///
/// Two trainings in one folder would write over each other's files. [`Checkpoints`](crate::Checkpoints) claims its
/// folder itself; a program that writes more than checkpoints claims the folder of all.
///
/// ```
/// use blitz_train::FolderClaim;
///
/// let folder = std::env::temp_dir();
/// let first = FolderClaim::take(&folder);
/// # if cfg!(target_os = "linux") && first.is_ok() {
/// assert!(FolderClaim::take(&folder).is_err());
/// drop(first);
/// assert!(FolderClaim::take(&folder).is_ok());
/// # }
/// ```
#[derive(Debug)]
#[must_use = "the folder is free again when the claim is dropped"]
pub struct FolderClaim(Option<File>);

impl FolderClaim {
    /// Claims `folder`; the empty path is the current one. Only Unix opens folders, and not every file system has
    /// locks: there nothing keeps another training out.
    ///
    /// # Errors
    ///
    /// Returns [`CheckpointError::InUse`] if another has claimed it.
    pub fn take(folder: impl AsRef<Path>) -> Result<Self, CheckpointError> {
        let folder = not_empty(folder.as_ref());
        let Ok(opened) = File::open(folder) else {
            return Ok(Self(None));
        };
        match opened.try_lock() {
            Err(TryLockError::WouldBlock) => Err(CheckpointError::InUse {
                folder: folder.into(),
            }),
            Err(TryLockError::Error(_)) | Ok(()) => Ok(Self(Some(opened))),
        }
    }

    /// Whether it is of what is now at `folder`: a folder that was removed and made anew is another.
    pub(super) fn is_of(&self, folder: &Path) -> bool {
        match &self.0 {
            Some(claimed) => is_same(claimed, not_empty(folder)).unwrap_or(false),
            None => true,
        }
    }
}

/// Paths are joined to the empty one as to the current folder, and nothing opens it.
fn not_empty(folder: &Path) -> &Path {
    match folder.as_os_str().is_empty() {
        true => Path::new("."),
        false => folder,
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn the_empty_path_is_the_current_folder() {
        let first = FolderClaim::take("").unwrap();
        assert!(first.is_of(Path::new(".")) && first.is_of(Path::new("")));
        let here = std::env::current_dir().unwrap();
        assert!(FolderClaim::take(&here).is_err());
        drop(first);
        assert!(FolderClaim::take(here).is_ok());
    }
}
