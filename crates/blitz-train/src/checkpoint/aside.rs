//! The checkpoints of a run that was abandoned, and what is left of one that was killed.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use blitz_predict::place::name_of_part;

use super::folder::{Checkpoints, PARTS, epoch_of};
use super::seal;
use crate::error::CheckpointError;

/// The folder, in that of the checkpoints, for those of an abandoned run.
pub(super) const PREVIOUS: &str = "previous";
/// The file in that one which is there while they are moved.
const MOVING: &str = "moving";

impl Checkpoints {
    /// Moves the checkpoints from epoch `first` on to [`PREVIOUS`], in the place of those that are there, and removes
    /// what is a part of one.
    pub(super) fn put_aside(&self, first: usize) -> Result<(), CheckpointError> {
        self.remove_parts()?;
        for (from, to) in self.moves(first)? {
            match fs::rename(&from, to) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(CheckpointError::not_written(&from, error));
                }
                _ => {}
            }
        }
        let moving = self.moving();
        seal::remove(&moving).map_err(|error| CheckpointError::not_written(&moving, error))
    }

    /// Readies [`PREVIOUS`] for the checkpoints from epoch `first` on, and says what is to be renamed for them to be
    /// there.
    ///
    /// A process that was killed before it had renamed all has left the rest here, the first epoch of it in both
    /// folders, perhaps. So what it has moved stays.
    pub(super) fn moves(&self, first: usize) -> Result<Vec<(PathBuf, PathBuf)>, CheckpointError> {
        let previous = Self::new(self.folder().join(PREVIOUS));
        let before = previous.begun_epochs()?;
        let goes_on = self.moving().exists();
        let mut epochs = self.begun_epochs()?;
        epochs.retain(|epoch| *epoch >= first);
        let is_moved =
            |epoch: &usize| self.is_complete(*epoch) || goes_on && before.contains(epoch);
        let (moved, in_part): (Vec<_>, Vec<_>) = epochs.into_iter().partition(is_moved);
        self.remove_all(&in_part)?;
        if !moved.is_empty() && !goes_on {
            previous.remove_all(&before)?;
            let made = fs::create_dir_all(previous.folder());
            let marked = made.and_then(|()| seal::put(&self.moving(), b""));
            marked.map_err(|error| CheckpointError::not_written(previous.folder(), error))?;
        }
        // The last first: a process that is killed here leaves the earlier ones of one run.
        let epochs = moved.into_iter().rev();
        let paths = epochs.flat_map(|epoch| PARTS.map(|part| self.path(part, epoch)));
        let files = paths.flat_map(|path| seal::with_seal(&path));
        let renamed = files.map(|from| {
            let to = previous.folder().join(from.file_name().unwrap_or_default());
            (from, to)
        });
        Ok(renamed.collect())
    }

    fn moving(&self) -> PathBuf {
        self.folder().join(PREVIOUS).join(MOVING)
    }

    fn remove_all(&self, epochs: &[usize]) -> Result<(), CheckpointError> {
        let mut files = epochs
            .iter()
            .flat_map(|epoch| PARTS.map(|part| (part, *epoch)));
        files.try_for_each(|(part, epoch)| self.remove(part, epoch))
    }

    /// Removes what processes that were killed while they wrote a checkpoint have left of its files. A folder belongs
    /// to one training at a time, so nobody writes them.
    fn remove_parts(&self) -> Result<(), CheckpointError> {
        for name in self.names()? {
            let path = self.folder().join(&name);
            if name_of_part(&name).and_then(epoch_of).is_some() && path.is_file() {
                let removed = seal::remove(&path);
                removed.map_err(|error| CheckpointError::not_written(&path, error))?;
            }
        }
        Ok(())
    }
}
