//! What a training has saved so far, and when it may remove what it need not keep.
//!
//! Burn hands each of the three files of a checkpoint to a thread of its own, tells it at once what to delete, and goes on after an error. A file that was
//! deleted when Burn says so could be the last whole one, while another thread has failed to write its successor.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::claim::FolderClaim;
use super::folder::{Checkpoints, PARTS};
use crate::error::CheckpointError;

/// That of one training, which the savers of its three files share.
#[derive(Debug, Default)]
pub(super) struct Saves(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The claim on the folder, once it is there.
    claim: Option<FolderClaim>,
    /// The files that were read of the checkpoint from which the training goes on.
    restored: BTreeSet<&'static str>,
    /// The files that were saved of the epochs that this training has begun to save, but for those before the last that was whole.
    saved: BTreeMap<usize, BTreeSet<&'static str>>,
    /// The epochs whose checkpoints are to go.
    unwanted: BTreeSet<usize>,
    /// Whether a file could not be saved.
    failed: bool,
}

impl Saves {
    /// Makes sure of the folder, which is there.
    pub(super) fn hold(&self, folder: &Path) -> Result<(), CheckpointError> {
        self.state().hold(folder)
    }

    /// Readies the folder for a file of a checkpoint.
    ///
    /// A training that begins anew in a used folder finds the files of another run under the names of its own: they are put aside, before the first of its own
    /// is there, so that no checkpoint is made of two runs' files and no later one is taken for one of this run.
    pub(super) fn begin(
        &self,
        checkpoints: &Checkpoints,
        epoch: usize,
    ) -> Result<(), CheckpointError> {
        let mut state = self.state();
        state.hold(checkpoints.folder())?;
        state.unwanted.remove(&epoch);
        if state.saved.contains_key(&epoch) {
            return Ok(());
        }
        if state.saved.is_empty() {
            checkpoints.put_aside(epoch)?;
        }
        state.saved.insert(epoch, BTreeSet::new());
        Ok(())
    }

    /// Notes a file that was read. After the last of a checkpoint's, the checkpoints of later epochs are those of a run that was abandoned: they are put aside.
    pub(super) fn restored(
        &self,
        checkpoints: &Checkpoints,
        part: &'static str,
        epoch: usize,
    ) -> Result<(), CheckpointError> {
        let mut state = self.state();
        state.restored.insert(part);
        match state.restored.len() == PARTS.len() {
            true => checkpoints.put_aside(epoch.saturating_add(1)),
            false => Ok(()),
        }
    }

    /// Notes a file that is saved.
    pub(super) fn end(
        &self,
        checkpoints: &Checkpoints,
        part: &'static str,
        epoch: usize,
    ) -> Result<(), CheckpointError> {
        let mut state = self.state();
        state.saved.entry(epoch).or_default().insert(part);
        state.remove_unwanted(checkpoints)
    }

    /// Notes that a file was not saved: from here on nothing is removed.
    pub(super) fn fail(&self) {
        self.state().failed = true;
    }

    /// Notes that the checkpoint of an epoch may go, once the last one is whole.
    pub(super) fn dismiss(
        &self,
        checkpoints: &Checkpoints,
        epoch: usize,
    ) -> Result<(), CheckpointError> {
        let mut state = self.state();
        state.unwanted.insert(epoch);
        state.remove_unwanted(checkpoints)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn hold(&mut self, folder: &Path) -> Result<(), CheckpointError> {
        if !self.holds(folder) {
            self.claim = Some(FolderClaim::take(folder)?);
            // They went with the folder in which they were.
            self.saved.clear();
        }
        Ok(())
    }

    fn holds(&self, folder: &Path) -> bool {
        let claim = self.claim.as_ref();
        claim.is_some_and(|claim| claim.is_of(folder))
    }

    /// Removes what is to go, if all that this training began to save last is there and stays.
    fn remove_unwanted(&mut self, checkpoints: &Checkpoints) -> Result<(), CheckpointError> {
        let Some((&last, parts)) = self.saved.last_key_value() else {
            return Ok(());
        };
        let is_kept = parts.len() == PARTS.len() && !self.unwanted.contains(&last);
        if self.failed || !is_kept || !self.holds(checkpoints.folder()) {
            return Ok(());
        }
        self.saved = self.saved.split_off(&last);
        for epoch in std::mem::take(&mut self.unwanted) {
            for part in PARTS {
                checkpoints.remove(part, epoch)?;
            }
        }
        Ok(())
    }
}
