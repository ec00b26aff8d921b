//! What a training has saved so far, and when it may remove what it need not keep.
//!
//! Burn hands each of the three files of a checkpoint to a thread of its own, tells it at once what to delete, and goes
//! on after an error. A file that was deleted when Burn says so could be the last whole one, while another thread has
//! failed to write its successor.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::claim::FolderClaim;
use super::folder::{Checkpoints, PARTS};
use crate::error::CheckpointError;

/// The epoch from whose checkpoint a training goes on, once it has read it; none of one that begins anew.
pub(super) type Restored = Arc<OnceLock<usize>>;

/// That of one training, which the savers of its three files share.
#[derive(Debug, Default)]
pub(super) struct Saves {
    restored: Restored,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The claim on the folder, once it is there.
    claim: Option<FolderClaim>,
    /// The files that were saved of the epochs that this training has begun to save, but for those before the last that
    /// was whole.
    saved: BTreeMap<usize, BTreeSet<&'static str>>,
    /// The epochs whose checkpoints are to go.
    unwanted: BTreeSet<usize>,
    /// Whether a file could not be saved.
    failed: bool,
}

impl Saves {
    /// Those of a training that notes in `restored` from where it goes on.
    pub(super) fn new(restored: Restored) -> Self {
        Self {
            restored,
            state: Mutex::default(),
        }
    }

    /// Makes sure of the folder, which is there.
    pub(super) fn hold(&self, folder: &Path) -> Result<(), CheckpointError> {
        self.state().hold(folder)
    }

    /// Readies the folder for a file of a checkpoint.
    ///
    /// The checkpoints of later epochs than the one that was read are those of a run that was abandoned, and so are all
    /// where none was: they are put aside, before the first of this run is there, so that no checkpoint is made of two
    /// runs' files and none is taken for one of this run. A training that saves nothing abandons none.
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
            let restored = self.restored.get();
            checkpoints.put_aside(restored.map_or(0, |epoch| epoch.saturating_add(1)))?;
        }
        state.saved.insert(epoch, BTreeSet::new());
        Ok(())
    }

    /// Notes that a file of an epoch was read.
    pub(super) fn restored(&self, epoch: usize) {
        self.restored.get_or_init(|| epoch);
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
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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
