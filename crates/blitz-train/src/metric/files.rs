//! The metrics of a training, in files.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use burn::train::logger::MetricLogger;
use burn::train::metric::store::{EpochSummary, MetricsUpdate, Split};
use burn::train::metric::{MetricDefinition, NumericEntry};
use burn::train::{LearnerModel, SupervisedTraining};

use super::History;
use super::history::saved;
use super::stop::StopAtFailure;
use crate::checkpoint::is_same;

/// Has a training write the values of its metrics to files: a line a batch, as Burn's own logger does, in
/// `train/epoch-3/Loss.log`.
///
/// Burn's logger ends the program if its folder vanishes or the disk is full. [`fit`](crate::fit) does without it, and
/// with this one returns
/// [`FitError::Metrics`](crate::FitError::Metrics) if the folder can't be written; one that was only removed is made anew, with the values from there on. `SupervisedTraining::summary` reads the files, and so does a training that goes on, which compares its epochs with those before.
///
/// ```no_run
/// use blitz_train::prelude::*;
/// use blitz_train::{Fitted, FitError, MetricFiles};
/// use burn::train::{Learner, LearnerModel, SupervisedTraining};
///
/// # fn run<N: Network, L: Likelihood<Output = N::Output>>(
/// #     training: SupervisedTraining<ElboModel<N, L>>, learner: Learner<ElboModel<N, L>>,
/// # ) -> Result<Fitted<ElboModel<N, L>>, FitError> where ElboModel<N, L>: LearnerModel {
/// let training = MetricFiles::new("runs/mine").keep(training);
/// let fitted = fit(training, learner)?;
/// # Ok(fitted)
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricFiles {
    folder: PathBuf,
}

impl MetricFiles {
    /// Those in `folder`, which need not be there yet. Burn's own are in the folder of the training.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// As Burn names it.
    fn path(&self, name: &str, epoch: usize, split: &Split) -> PathBuf {
        let file = format!("{}.log", name.replace(' ', "_"));
        let folder = self.folder.join(split.to_string());
        folder.join(format!("epoch-{epoch}")).join(file)
    }

    /// The value of a whole epoch; none if it can't be read.
    fn saved(&self, name: &str, epoch: usize, split: &Split) -> Option<NumericEntry> {
        saved(&fs::read_to_string(self.path(name, epoch, split)).ok()?)
    }

    /// The value of a metric in the validation after an epoch, if it is a number.
    pub(crate) fn validated(&self, name: &str, epoch: usize) -> Option<f64> {
        let value = self.saved(name, epoch, &Split::Valid)?.current();
        Some(value).filter(|value| !value.is_nan())
    }

    /// Has `training` write here. An interrupter of the program's own is to be given to it before.
    #[must_use]
    pub fn keep<M: LearnerModel>(&self, training: SupervisedTraining<M>) -> SupervisedTraining<M> {
        let interrupter = training.interrupter();
        training.with_metric_logger(Files {
            files: self.clone(),
            open: HashMap::new(),
            history: History::default(),
            stop: StopAtFailure::new(interrupter),
        })
    }
}

/// The files of the epoch that runs.
struct Files {
    files: MetricFiles,
    open: HashMap<PathBuf, File>,
    history: History,
    stop: StopAtFailure,
}

impl Files {
    fn write(&mut self, path: &Path, value: &str) -> io::Result<()> {
        // What is written to a file that was removed is nowhere.
        let is_there = |file: &File| is_same(file, path).unwrap_or(false);
        if !self.open.get(path).is_some_and(is_there) {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            self.open.insert(path.into(), File::create(path)?);
        }
        let mut file = &self.open[path];
        // At once, so that a process that is killed leaves whole lines.
        file.write_all(format!("{value}\n").as_bytes())
    }
}

impl MetricLogger for Files {
    fn log(&mut self, update: MetricsUpdate, epoch: usize, split: &Split) {
        let values: Vec<_> = self.history.named(&update).collect();
        for (name, value) in values {
            let path = self.files.path(&name, epoch, split);
            if !self.stop.has_failed()
                && let Err(reason) = self.write(&path, value)
            {
                self.stop.failed(path, &reason);
            }
        }
        self.history.add(&update, epoch, split);
    }

    fn read_numeric(
        &mut self,
        name: &str,
        epoch: usize,
        split: &Split,
    ) -> Result<Vec<NumericEntry>, String> {
        let earlier = || self.files.saved(name, epoch, split);
        Ok(self.history.read(name, epoch, split, earlier))
    }

    fn log_metric_definition(&mut self, definition: MetricDefinition) {
        self.history.define(definition);
    }

    fn log_epoch_summary(&mut self, summary: EpochSummary) {
        let folder = self.files.folder.join(summary.split.to_string());
        let folder = folder.join(format!("epoch-{}", summary.epoch_number));
        self.open.retain(|path, _| !path.starts_with(&folder));
    }
}
