//! The checkpoints of a training.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use burn::optim::OptimizerRecord;
use burn::optim::lr_scheduler::LrSchedulerRecord;
use burn::store::ModuleRecord;
use burn::train::checkpoint::{Checkpoint, Checkpointer, CheckpointerError};
use burn::train::{LearnerModel, SupervisedTraining};

use super::claim::FolderClaim;
use super::seal::{self, Seal};
use crate::error::CheckpointError;

const MODEL: &str = "model";
const OPTIMIZER: &str = "optim";
const SCHEDULER: &str = "scheduler";

/// The checkpoints of a training, each of whose files has its digest beside it.
///
/// Burn writes `model-5.bpk`, `optim-5.bpk` and `scheduler-5.bpk` after epoch 5, under the names that its own checkpointers give them, and
/// reads them as it would without this. Beside each comes a `.sha256`, written last, in the form of `sha256sum --check`. A flipped bit is then an error that
/// names the file; by itself it would be another weight, or another learning rate. A file without a digest, of Burn's own
/// checkpointers or an earlier version, is read as it is.
///
/// A folder belongs to one training at a time. A second one that saves there while the first runs, in the same process or another, ends with an error, where the file
/// system has locks on folders.
///
/// ```no_run
/// use blitz_train::prelude::*;
/// use blitz_train::{Checkpoints, FitError, Fitted};
/// use burn::train::{Learner, LearnerModel, SupervisedTraining};
///
/// # fn run<N: Network, L: Likelihood<Output = N::Output>>(
/// #     training: SupervisedTraining<ElboModel<N, L>>, learner: Learner<ElboModel<N, L>>,
/// # ) -> Result<Fitted<ElboModel<N, L>>, Box<dyn std::error::Error>> where ElboModel<N, L>: LearnerModel {
/// let checkpoints = Checkpoints::new("runs/mine/checkpoint");
/// let mut training = checkpoints.keep(training);
/// // Goes on where an earlier run of the program ended.
/// if let Some(epoch) = checkpoints.last_whole()? {
///     training = training.checkpoint(epoch);
/// }
/// let fitted = fit(training, learner)?;
/// # Ok(fitted)
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoints {
    folder: PathBuf,
}

impl Checkpoints {
    /// Those in `folder`, which need not be there yet. Burn's own are in `checkpoint` in the folder of the training.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Has `training` save here, in the place of Burn's checkpointers. How many are kept is the training's checkpointing strategy.
    #[must_use]
    pub fn keep<M: LearnerModel>(&self, training: SupervisedTraining<M>) -> SupervisedTraining<M> {
        let claim = Arc::new(Claim::default());
        let part = |name| Part {
            checkpoints: self.clone(),
            name,
            claim: claim.clone(),
        };
        training.with_custom_checkpointers(part(MODEL), part(OPTIMIZER), part(SCHEDULER))
    }

    /// The epochs after which all was saved, in their order, be it whole or not.
    ///
    /// # Errors
    ///
    /// Returns an error if the folder is there and can't be read.
    pub fn epochs(&self) -> Result<Vec<usize>, CheckpointError> {
        let unreadable = |error: io::Error| CheckpointError::unreadable(&self.folder, error);
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(unreadable)?,
        };
        let mut epochs = Vec::new();
        for entry in entries {
            let name = entry.map_err(unreadable)?.file_name();
            let epoch = name.to_str().and_then(|name| {
                let epoch = name.strip_prefix(MODEL)?.strip_prefix('-')?;
                epoch.strip_suffix(".bpk")?.parse().ok()
            });
            let parts = [OPTIMIZER, SCHEDULER];
            epochs.extend(epoch.filter(|epoch| {
                let mut parts = parts.iter().map(|part| self.path(part, *epoch));
                parts.all(|path| path.is_file())
            }));
        }
        epochs.sort_unstable();
        Ok(epochs)
    }

    /// Whether the checkpoint after `epoch` is there, is what was written, and can be read.
    ///
    /// # Errors
    ///
    /// Returns an error that names the file and says what is wrong with it; for an epoch without a checkpoint, one that says what is there.
    pub fn check(&self, epoch: usize) -> Result<(), CheckpointError> {
        let epochs = self.epochs()?;
        if !epochs.contains(&epoch) {
            return Err(CheckpointError::Missing {
                folder: self.folder.clone(),
                epoch,
                epochs,
            });
        }
        self.read::<ModuleRecord>(MODEL, epoch)?;
        self.read::<OptimizerRecord>(OPTIMIZER, epoch)?;
        self.read::<LrSchedulerRecord>(SCHEDULER, epoch)?;
        Ok(())
    }

    /// The last epoch whose checkpoint passes [`check`](Self::check); `None` without any checkpoint.
    ///
    /// # Errors
    ///
    /// Returns the error of the last checkpoint if none passes.
    pub fn last_whole(&self) -> Result<Option<usize>, CheckpointError> {
        let mut first_error = None;
        for epoch in self.epochs()?.into_iter().rev() {
            match self.check(epoch) {
                Ok(()) => return Ok(Some(epoch)),
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        first_error.map_or(Ok(None), Err)
    }

    /// That of the model after `epoch`.
    pub(crate) fn model_path(&self, epoch: usize) -> PathBuf {
        self.path(MODEL, epoch)
    }

    fn path(&self, part: &str, epoch: usize) -> PathBuf {
        self.folder.join(format!("{part}-{epoch}.bpk"))
    }

    fn read<R: Checkpoint>(&self, part: &str, epoch: usize) -> Result<R, CheckpointError> {
        let path = self.path(part, epoch);
        if seal::check(&path).map_err(|error| CheckpointError::unreadable(&path, error))?
            == Seal::Broken
        {
            return Err(CheckpointError::Damaged { path });
        }
        R::load(path.clone()).map_err(|error| CheckpointError::unreadable(&path, error))
    }
}

/// One of the three files of a checkpoint.
struct Part {
    checkpoints: Checkpoints,
    name: &'static str,
    /// That of the training, which its parts share.
    claim: Arc<Claim>,
}

/// The claim on the folder, once it is there.
#[derive(Default)]
struct Claim(Mutex<Option<FolderClaim>>);

impl Claim {
    /// Makes sure of the folder, which is there.
    fn hold(&self, folder: &Path) -> Result<(), CheckpointError> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.as_ref().is_none_or(|claim| !claim.is_of(folder)) {
            *held = Some(FolderClaim::take(folder)?);
        }
        Ok(())
    }
}

/// As Burn takes an error while it trains. `fit` finds it inside again.
fn for_training(error: CheckpointError) -> CheckpointerError {
    CheckpointerError::IOError(io::Error::other(error))
}

/// As Burn takes an error before it trains, of which only the text comes back.
fn for_start(error: CheckpointError) -> CheckpointerError {
    CheckpointerError::Unknown(error.to_string())
}

impl<R: Checkpoint> Checkpointer<R> for Part {
    fn save(&self, epoch: usize, record: R) -> Result<(), CheckpointerError> {
        let path = self.checkpoints.path(self.name, epoch);
        let not_written = |error: &dyn std::fmt::Display| {
            for_training(CheckpointError::not_written(&path, error))
        };
        let folder = &self.checkpoints.folder;
        fs::create_dir_all(folder).map_err(|error| not_written(&error))?;
        self.claim.hold(folder).map_err(for_training)?;
        seal::unseal(&path).map_err(|error| not_written(&error))?;
        record
            .save(path.clone())
            .map_err(|error| not_written(&error))?;
        seal::seal(&path).map_err(|error| not_written(&error))
    }

    fn delete(&self, epoch: usize) -> Result<(), CheckpointerError> {
        let path = self.checkpoints.path(self.name, epoch);
        let removed = seal::remove_sealed(&path);
        removed.map_err(|error| for_training(CheckpointError::not_written(&path, error)))
    }

    fn restore(&self, epoch: usize) -> Result<R, CheckpointerError> {
        let held = self.claim.hold(&self.checkpoints.folder);
        let record = held.and_then(|()| self.checkpoints.read(self.name, epoch));
        record.map_err(for_start)
    }
}
