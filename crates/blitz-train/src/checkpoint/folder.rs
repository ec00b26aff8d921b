//! The checkpoints of a training.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use burn::optim::OptimizerRecord;
use burn::optim::lr_scheduler::LrSchedulerRecord;
use burn::store::ModuleRecord;
use burn::train::checkpoint::{Checkpoint, Checkpointer, CheckpointerError};
use burn::train::{LearnerModel, SupervisedTraining};

use super::raised::for_start;
use super::saves::{Restored, Saves};
use super::seal;
use crate::error::CheckpointError;

const MODEL: &str = "model";
const OPTIMIZER: &str = "optim";
const SCHEDULER: &str = "scheduler";
/// The files of a checkpoint, by Burn's names.
pub(super) const PARTS: [&str; 3] = [MODEL, OPTIMIZER, SCHEDULER];

/// The checkpoints of a training, each of whose files has its digest beside it.
///
/// Burn writes `model-5.bpk`, `optim-5.bpk` and `scheduler-5.bpk` after epoch 5, under the names that its own
/// checkpointers give them, and reads them as it would without this. Beside each is a `.sha256`, which is there before
/// the file is, in the form of `sha256sum --check`. A flipped bit is then an error that names the file; by itself it
/// would be another weight, or another learning rate. A file without a digest, of Burn's own checkpointers or an
/// earlier version, is read as it is.
///
/// What was saved stays until its successor is whole: what the checkpointing strategy deletes is removed once all three
/// files of the last epoch that was saved have their digests, and never after a file could not be saved. So the disk
/// needs room for one checkpoint more than the strategy keeps.
///
/// The folder has the checkpoints of one run. Those of later epochs than a training begins after are of a run that was
/// abandoned, and so are all where it begins anew: before the training saves its first, they are moved to `previous` in
/// it, in the place of those that were moved before. So [`last_whole`](Self::last_whole) is one of the last training
/// that saved any, and a training that saves none moves nothing.
///
/// A folder belongs to one training at a time. A second one that saves there while the first runs, in the same process
/// or another, ends with an error, where the file system has locks on folders.
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
#[derive(Debug, Clone)]
pub struct Checkpoints {
    folder: PathBuf,
    /// From where the last training goes on that these, or what they were cloned from, keep.
    restored: Arc<Mutex<Restored>>,
}

impl PartialEq for Checkpoints {
    fn eq(&self, other: &Self) -> bool {
        self.folder == other.folder
    }
}

impl Eq for Checkpoints {}

impl Checkpoints {
    /// Those in `folder`, which need not be there yet. Burn's own are in `checkpoint` in the folder of the training.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            restored: Arc::default(),
        }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Has `training` save here, in the place of Burn's checkpointers. How many are kept is the training's
    /// checkpointing strategy.
    #[must_use]
    pub fn keep<M: LearnerModel>(&self, training: SupervisedTraining<M>) -> SupervisedTraining<M> {
        let restored = Restored::default();
        *self.restored.lock().unwrap_or_else(PoisonError::into_inner) = restored.clone();
        let saves = Arc::new(Saves::new(restored));
        let part = |name| Part {
            checkpoints: self.clone(),
            name,
            saves: saves.clone(),
        };
        training.with_custom_checkpointers(part(MODEL), part(OPTIMIZER), part(SCHEDULER))
    }

    /// The epochs after which all was saved, in their order, be it whole or not. An epoch of whose files some have a
    /// digest and others none is not among them: its training ended while it saved them.
    ///
    /// # Errors
    ///
    /// Returns an error if the folder is there and can't be read.
    pub fn epochs(&self) -> Result<Vec<usize>, CheckpointError> {
        let mut epochs = self.begun_epochs()?;
        epochs.retain(|epoch| self.is_complete(*epoch));
        Ok(epochs)
    }

    /// The epoch from which the last training that these keep has gone on, if it did.
    pub(crate) fn restored(&self) -> Option<usize> {
        let restored = self.restored.lock();
        let restored = restored.unwrap_or_else(PoisonError::into_inner);
        restored.get().copied()
    }

    /// The epochs of which there is a file or a digest, in their order.
    pub(super) fn begun_epochs(&self) -> Result<Vec<usize>, CheckpointError> {
        let names = self.names()?;
        let epochs: BTreeSet<_> = names.iter().filter_map(|name| epoch_of(name)).collect();
        Ok(epochs.into_iter().collect())
    }

    /// The names of what is in the folder.
    pub(super) fn names(&self) -> Result<Vec<String>, CheckpointError> {
        let unreadable = |error: io::Error| CheckpointError::unreadable(&self.folder, error);
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(unreadable)?,
        };
        let names = entries.map(|entry| Ok(entry.map_err(unreadable)?.file_name()));
        let names: Vec<_> = names.collect::<Result<_, _>>()?;
        let text = |name: OsString| name.into_string().ok();
        Ok(names.into_iter().filter_map(text).collect())
    }

    pub(super) fn remove(&self, part: &str, epoch: usize) -> Result<(), CheckpointError> {
        let path = self.path(part, epoch);
        seal::remove_sealed(&path).map_err(|error| CheckpointError::not_written(&path, error))
    }

    /// Whether the checkpoint after `epoch` is there, is what was written, and can be read.
    ///
    /// # Errors
    ///
    /// Returns an error that names the file and says what is wrong with it; for an epoch without a checkpoint, one that
    /// says what is there.
    pub fn check(&self, epoch: usize) -> Result<(), CheckpointError> {
        if let Some(path) = self.unfinished(epoch).filter(|_| self.has_files(epoch)) {
            return Err(CheckpointError::Incomplete { path });
        }
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
    /// A training may be under way in the folder: where it has removed an epoch meanwhile, those that are there then
    /// are looked at.
    ///
    /// # Errors
    ///
    /// Returns the error of the last checkpoint if none passes.
    pub fn last_whole(&self) -> Result<Option<usize>, CheckpointError> {
        let mut epochs = self.epochs()?;
        loop {
            let mut first_error = None;
            for epoch in epochs.iter().rev() {
                match self.check(*epoch) {
                    Ok(()) => return Ok(Some(*epoch)),
                    Err(error) => first_error = first_error.or(Some(error)),
                }
            }
            let now = self.epochs()?;
            match first_error {
                None => return Ok(None),
                Some(error) if now == epochs => return Err(error),
                Some(_) => epochs = now,
            }
        }
    }

    /// That of the model after `epoch`.
    pub(crate) fn model_path(&self, epoch: usize) -> PathBuf {
        self.path(MODEL, epoch)
    }

    /// Whether all was saved after `epoch`.
    pub(crate) fn is_complete(&self, epoch: usize) -> bool {
        self.has_files(epoch) && self.unfinished(epoch).is_none()
    }

    fn has_files(&self, epoch: usize) -> bool {
        let mut paths = PARTS.iter().map(|part| self.path(part, epoch));
        paths.all(|path| path.is_file())
    }

    /// The first of the epoch's files that has no digest, if others have one.
    fn unfinished(&self, epoch: usize) -> Option<PathBuf> {
        let paths = PARTS.iter().map(|part| self.path(part, epoch));
        let there = paths.filter(|path| path.is_file());
        let (sealed, unsealed): (Vec<_>, Vec<_>) = there.partition(|path| seal::is_there(path));
        unsealed.into_iter().next().filter(|_| !sealed.is_empty())
    }

    pub(super) fn path(&self, part: &str, epoch: usize) -> PathBuf {
        self.folder.join(format!("{part}-{epoch}.bpk"))
    }

    fn read<R: Checkpoint>(&self, part: &str, epoch: usize) -> Result<R, CheckpointError> {
        let path = self.path(part, epoch);
        let bytes = seal::whole(&path, seal::read_by_name)?;
        R::checkpoint_from_bytes(bytes).map_err(|error| CheckpointError::unreadable(&path, error))
    }
}

/// The epoch in the name of a checkpoint's file, or of its digest.
pub(super) fn epoch_of(name: &str) -> Option<usize> {
    let name = name.strip_suffix(".sha256").unwrap_or(name);
    let (part, epoch) = name.strip_suffix(".bpk")?.split_once('-')?;
    PARTS.contains(&part).then(|| epoch.parse().ok())?
}

/// One of the three files of a checkpoint.
struct Part {
    checkpoints: Checkpoints,
    name: &'static str,
    /// Those of the training, which its parts share.
    saves: Arc<Saves>,
}

impl Part {
    fn try_save<R: Checkpoint>(&self, epoch: usize, record: R) -> Result<(), CheckpointError> {
        let path = self.checkpoints.path(self.name, epoch);
        let not_written = |error: io::Error| CheckpointError::not_written(&path, error);
        fs::create_dir_all(self.checkpoints.folder()).map_err(not_written)?;
        self.saves.begin(&self.checkpoints, epoch)?;
        let write = |part: &Path| record.save(part.into()).map_err(io::Error::other);
        seal::put_sealed_by(&path, write).map_err(not_written)?;
        self.saves.end(&self.checkpoints, self.name, epoch)
    }

    fn try_restore<R: Checkpoint>(&self, epoch: usize) -> Result<R, CheckpointError> {
        self.saves.hold(self.checkpoints.folder())?;
        match self.checkpoints.unfinished(epoch) {
            Some(path) => Err(CheckpointError::Incomplete { path }),
            None => {
                let record = self.checkpoints.read(self.name, epoch)?;
                self.saves.restored(epoch);
                Ok(record)
            }
        }
    }
}

/// As Burn takes an error while it trains. `fit` finds it inside again.
fn for_training(error: CheckpointError) -> CheckpointerError {
    CheckpointerError::IOError(io::Error::other(error))
}

impl<R: Checkpoint> Checkpointer<R> for Part {
    fn save(&self, epoch: usize, record: R) -> Result<(), CheckpointerError> {
        self.try_save(epoch, record).map_err(|error| {
            self.saves.fail();
            for_training(error)
        })
    }

    fn delete(&self, epoch: usize) -> Result<(), CheckpointerError> {
        let dismissed = self.saves.dismiss(&self.checkpoints, epoch);
        dismissed.map_err(for_training)
    }

    fn restore(&self, epoch: usize) -> Result<R, CheckpointerError> {
        self.try_restore(epoch).map_err(for_start)
    }
}

#[cfg(test)]
mod tests {
    use burn::module::Module;
    use burn::nn::LinearConfig;
    use burn::tensor::Device;

    use super::super::aside::PREVIOUS;
    use super::*;

    const PATHS: [&str; 6] = [
        "model-1.bpk",
        "model-1.bpk.sha256",
        "optim-1.bpk",
        "optim-1.bpk.sha256",
        "scheduler-1.bpk",
        "scheduler-1.bpk.sha256",
    ];

    /// What Burn's threads have of one training.
    fn parts(folder: &Path) -> [Part; 3] {
        let saves = Arc::new(Saves::default());
        PARTS.map(|name| Part {
            checkpoints: Checkpoints::new(folder),
            name,
            saves: saves.clone(),
        })
    }

    fn record() -> ModuleRecord {
        let device = Device::flex();
        LinearConfig::new(1, 1).init(&device).into_record()
    }

    fn save(part: &Part, epoch: usize) {
        part.save(epoch, record()).unwrap();
    }

    fn delete(part: &Part, epoch: usize) {
        Checkpointer::<ModuleRecord>::delete(part, epoch).unwrap();
    }

    fn files(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name();
        let mut names: Vec<_> = entries
            .map(|entry| name(entry).into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_checkpoint_goes_when_its_successor_is_whole_whichever_thread_is_the_last() {
        for last in 0..PARTS.len() {
            let folder = tempfile::tempdir().unwrap();
            let parts = parts(folder.path());
            parts.iter().for_each(|part| save(part, 1));
            let others = || (0..PARTS.len()).filter(|part| *part != last);
            for part in others() {
                save(&parts[part], 2);
                delete(&parts[part], 1);
                let there = files(folder.path());
                assert!(PATHS.iter().all(|path| there.contains(&(*path).into())));
            }
            save(&parts[last], 2);
            delete(&parts[last], 1);
            let checkpoints = Checkpoints::new(folder.path());
            assert_eq!(checkpoints.epochs().unwrap(), [2]);
            assert_eq!(files(folder.path()).len(), 6);
        }
    }

    /// A strategy may delete the best so far before it saves a better one.
    #[test]
    fn nothing_goes_before_the_next_is_saved_or_if_it_goes_itself() {
        let folder = tempfile::tempdir().unwrap();
        let parts = parts(folder.path());
        let checkpoints = Checkpoints::new(folder.path());
        let epochs = || checkpoints.epochs().unwrap();
        parts.iter().for_each(|part| save(part, 1));
        parts.iter().for_each(|part| delete(part, 1));
        assert_eq!(epochs(), [1]);
        parts.iter().for_each(|part| save(part, 2));
        assert_eq!(epochs(), [2]);
        // Saved again, it is wanted again.
        parts.iter().for_each(|part| delete(part, 3));
        parts.iter().for_each(|part| save(part, 3));
        parts.iter().for_each(|part| delete(part, 2));
        assert_eq!(epochs(), [3]);
    }

    #[test]
    fn nothing_goes_after_a_file_could_not_be_saved() {
        for (failing, name) in PARTS.iter().enumerate() {
            let folder = tempfile::tempdir().unwrap();
            let parts = parts(folder.path());
            parts.iter().for_each(|part| save(part, 1));
            let digest = folder.path().join(format!("{name}-2.bpk.sha256"));
            fs::create_dir(&digest).unwrap();
            for (i, part) in parts.iter().enumerate() {
                assert_eq!(part.save(2, record()).is_err(), i == failing);
                delete(part, 1);
            }
            fs::remove_dir(digest).unwrap();
            let checkpoints = Checkpoints::new(folder.path());
            assert_eq!(checkpoints.last_whole(), Ok(Some(1)));
            // Burn may be an epoch ahead when it hears of the error.
            parts.iter().for_each(|part| save(part, 3));
            parts.iter().for_each(|part| delete(part, 2));
            assert_eq!(checkpoints.epochs().unwrap(), [1, 3]);
        }
    }

    /// As if the process had been killed after the first file of an epoch, to which it had returned. The later epochs
    /// are the abandoned run's.
    #[test]
    fn no_checkpoint_is_made_of_two_runs_files() {
        for first in 0..PARTS.len() {
            let folder = tempfile::tempdir().unwrap();
            let checkpoints = Checkpoints::new(folder.path());
            let earlier = parts(folder.path());
            for epoch in 1..=3 {
                earlier.iter().for_each(|part| save(part, epoch));
            }
            drop(earlier);
            let later = parts(folder.path());
            let _: ModuleRecord = later[first].try_restore(1).unwrap();
            save(&later[first], 2);
            assert_eq!(checkpoints.epochs().unwrap(), [1]);
            let previous = Checkpoints::new(folder.path().join(PREVIOUS));
            assert_eq!(previous.epochs().unwrap(), [2, 3]);
            let error = checkpoints.check(2).unwrap_err();
            assert!(matches!(error, CheckpointError::Missing { .. }), "{error}");
            // The others of this run complete it.
            for part in later.iter().filter(|part| part.name != PARTS[first]) {
                save(part, 2);
            }
            assert_eq!(checkpoints.epochs().unwrap(), [1, 2]);
        }
    }

    #[test]
    fn the_checkpoints_of_an_abandoned_run_are_put_aside_in_the_place_of_those_before() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(folder.path());
        let previous = Checkpoints::new(folder.path().join(PREVIOUS));
        let first = parts(folder.path());
        for epoch in 1..=4 {
            first.iter().for_each(|part| save(part, epoch));
        }
        drop(first);
        // An epoch that was not saved to its end is none to keep.
        fs::remove_file(folder.path().join("optim-4.bpk")).unwrap();
        let there = || {
            let epochs = |of: &Checkpoints| of.epochs().unwrap();
            (epochs(&checkpoints), epochs(&previous))
        };
        let mut before = (vec![1, 2, 3], vec![]);
        for (after, expected) in [
            (2, (vec![1, 2, 3], vec![3])),
            (1, (vec![1, 2], vec![2, 3])),
            (1, (vec![1, 2], vec![2])),
        ] {
            let again = parts(folder.path());
            for part in &again {
                let _: ModuleRecord = part.try_restore(after).unwrap();
            }
            assert_eq!(there(), before, "a training that saves none moves none");
            again.iter().for_each(|part| save(part, after + 1));
            assert_eq!(there(), expected);
            // A file of one's own there stays.
            fs::write(previous.folder().join("notes.txt"), "").unwrap();
            before = expected;
        }
        assert_eq!(files(previous.folder()).len(), 7);
        assert_eq!(files(folder.path()).len(), 13);
    }

    #[test]
    fn a_move_that_is_interrupted_is_finished_by_the_next_training() {
        let all = 3 * 2 * PARTS.len();
        for done in 0..=all {
            let folder = tempfile::tempdir().unwrap();
            let checkpoints = Checkpoints::new(folder.path());
            let previous = Checkpoints::new(folder.path().join(PREVIOUS));
            let abandoned = |epochs: std::ops::RangeInclusive<usize>| {
                let parts = parts(folder.path());
                epochs.for_each(|epoch| parts.iter().for_each(|part| save(part, epoch)));
            };
            // Those before them go.
            abandoned(1..=7);
            checkpoints.put_aside(6).unwrap();
            let moves = checkpoints.moves(3).unwrap();
            assert_eq!(moves.len(), all);
            for (from, to) in moves.into_iter().take(done) {
                fs::rename(from, to).unwrap();
            }
            let again = parts(folder.path());
            let _: ModuleRecord = again[0].try_restore(2).unwrap();
            again.iter().for_each(|part| save(part, 3));
            assert_eq!(checkpoints.epochs().unwrap(), [1, 2, 3], "{done}");
            assert_eq!(previous.epochs().unwrap(), [3, 4, 5], "{done}");
            (3..=5).for_each(|epoch| previous.check(epoch).unwrap());
            assert_eq!(files(previous.folder()).len(), all);
        }
    }

    #[test]
    fn a_training_that_begins_anew_leaves_nothing_of_the_run_before_whatever_it_saves_first() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(folder.path());
        let before = parts(folder.path());
        (1..=5).for_each(|epoch| before.iter().for_each(|part| save(part, epoch)));
        drop(before);
        let every_tenth = parts(folder.path());
        every_tenth.iter().for_each(|part| save(part, 10));
        assert_eq!(checkpoints.epochs().unwrap(), [10]);
        let previous = Checkpoints::new(folder.path().join(PREVIOUS));
        assert_eq!(previous.epochs().unwrap(), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn what_a_process_that_was_killed_while_it_wrote_has_left_goes_before_the_next_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let own = ["model-5.bpk.mine.part.bpk", "notes.4711.part.txt"];
        let left = [
            "model-5.bpk.4711.part.bpk",
            "optim-5.bpk.sha256.4711.part.sha256",
        ];
        for name in own.iter().chain(&left) {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let parts = parts(folder.path());
        parts.iter().for_each(|part| save(part, 1));
        let expected: BTreeSet<_> = PATHS
            .iter()
            .chain(&own)
            .map(|name| name.to_string())
            .collect();
        let there: BTreeSet<_> = files(folder.path()).into_iter().collect();
        assert_eq!(there, expected);
    }

    /// A process can also be killed between a file and its digest, while it removes both.
    #[test]
    fn a_digest_without_its_file_goes_with_its_epoch() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("scheduler-7.bpk.sha256"), "").unwrap();
        parts(folder.path()).iter().for_each(|part| save(part, 1));
        assert_eq!(files(folder.path()), PATHS);
    }

    #[test]
    fn files_with_and_without_digests_are_no_checkpoint() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(folder.path());
        let parts = parts(folder.path());
        for epoch in 1..=2 {
            parts.iter().for_each(|part| save(part, epoch));
        }
        let path = folder.path().join("optim-2.bpk");
        fs::remove_file(folder.path().join("optim-2.bpk.sha256")).unwrap();
        let incomplete = CheckpointError::Incomplete { path };
        assert_eq!(checkpoints.check(2), Err(incomplete.clone()));
        assert_eq!(checkpoints.epochs().unwrap(), [1]);
        for part in &parts {
            let restored: Result<ModuleRecord, _> = part.try_restore(2);
            assert_eq!(restored.err(), Some(incomplete.clone()));
        }
    }
}
