//! The best epoch of a training: when to stop after it, and how to get its model back.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use burn::train::checkpoint::{CheckpointingAction, CheckpointingStrategy};
use burn::train::metric::store::{Aggregate, EventStoreClient, Split};
use burn::train::metric::{Metric, MetricName};
use burn::train::{EarlyStoppingStrategy, LearnerModel, SupervisedTraining};

use super::ElboModel;
use crate::checkpoint::Checkpoints;
use crate::error::CheckpointError;
use crate::likelihood::Likelihood;
use crate::metric::MetricFiles;
use crate::network::Network;

/// The epoch in which a metric of the validation is best. Keeps its checkpoint, and stops the training some epochs
/// after it, if asked to.
///
/// [`fit`](crate::fit) returns the model of the last epoch. That of the best is on disk: Burn's own checkpointers keep the best by the loss, which
/// contains the KL; this keeps it by a metric of your choice, beside the last two. The metric must be one of the
/// training's. Of equals the first is the best, and a NaN never is.
///
/// ```no_run
/// use blitz_train::prelude::*;
/// use blitz_train::{BestEpoch, Checkpoints, MetricFiles};
/// use burn::train::{Learner, LearnerModel, SupervisedTraining};
///
/// # fn run<N: Network, L: Likelihood<Output = N::Output>>(
/// #     training: SupervisedTraining<ElboModel<N, L>>, learner: Learner<ElboModel<N, L>>,
/// # ) -> Result<ElboModel<N, L>, Box<dyn std::error::Error>> where ElboModel<N, L>: LearnerModel {
/// // training = SupervisedTraining::new(..).metrics((NllMetric::new(), KlMetric::new()))
/// let checkpoints = Checkpoints::new("runs/mine/checkpoint");
/// let files = MetricFiles::new("runs/mine");
/// let best = BestEpoch::lowest(&NllMetric::new()).with_patience(20).with_files(&files);
/// let training = files.keep(checkpoints.keep(training));
/// let training = best.watch(training, &checkpoints);
/// let fitted = fit(training, learner)?;
/// println!("best in epoch {:?}; stopped early in {:?}", best.epoch(), best.stopped_in());
/// let model = best.load(fitted.model)?;
/// # Ok(model)
/// # }
/// ```
///
/// A training that goes on from a checkpoint takes the best of the earlier epochs into account if
/// [`MetricFiles`](crate::MetricFiles) wrote their metrics, and as far as these and their checkpoints are still there.
/// It then deletes what a `BestEpoch` left there and is not the best any more: the best so far and the last two. Others
/// stay, and so does one whose metric is not known. A training with nothing left to do, or one that is stopped in its
/// first epoch, asks for no metric. [`with_files`](Self::with_files) has the best of the earlier epochs known then too,
/// if it goes on from a checkpoint.
#[derive(Clone, Debug)]
pub struct BestEpoch {
    metric: MetricName,
    higher: bool,
    patience: Option<usize>,
    files: Option<MetricFiles>,
    found: Arc<Mutex<Found>>,
}

#[derive(Debug, Default)]
struct Found {
    checkpoints: Option<Checkpoints>,
    /// The epochs that were better than all before, and the metric in them. The last is the best, if its checkpoint
    /// could be saved.
    better: Vec<(usize, f64)>,
    /// Whether the training saves checkpoints.
    saves: bool,
    /// The last epoch looked at.
    seen: usize,
    /// Those whose checkpoints are ours to delete.
    kept: BTreeSet<usize>,
    stopped_in: Option<usize>,
}

impl Found {
    /// The best epoch, whether or not its checkpoint is there.
    fn best(&self) -> Option<(usize, f64)> {
        self.better.last().copied()
    }

    /// The best epoch of those whose checkpoints are there, if the training saves any.
    fn best_saved(&self) -> Option<(usize, f64)> {
        let checkpoints = self.checkpoints.as_ref().filter(|_| self.saves);
        let Some(checkpoints) = checkpoints else {
            return self.best();
        };
        let mut better = self.better.iter().rev().copied();
        better.find(|(epoch, _)| checkpoints.is_complete(*epoch))
    }
}

impl BestEpoch {
    /// The epoch in which `metric` is lowest: NLL, RMSE, a calibration error.
    pub fn lowest(metric: &impl Metric) -> Self {
        Self::new(metric.name(), false)
    }

    /// The epoch in which `metric` is highest: an accuracy.
    pub fn highest(metric: &impl Metric) -> Self {
        Self::new(metric.name(), true)
    }

    fn new(metric: MetricName, higher: bool) -> Self {
        Self {
            metric,
            higher,
            patience: None,
            files: None,
            found: Arc::default(),
        }
    }

    /// Stops the training after so many epochs without a better one.
    ///
    /// # Panics
    ///
    /// Panics if `epochs` is zero.
    #[must_use]
    pub fn with_patience(mut self, epochs: usize) -> Self {
        assert!(epochs > 0, "a patience is of at least 1 epoch, got 0");
        self.patience = Some(epochs);
        self
    }

    /// Reads the metrics of earlier runs from `files` where the training itself asks for none: it is over already, or
    /// was stopped in its first epoch. The best is then that of the epochs up to the one from which it goes on, as far
    /// as their checkpoints are there. A training that begins anew has none, nor is any known with Burn's own
    /// checkpointers.
    #[must_use]
    pub fn with_files(mut self, files: &MetricFiles) -> Self {
        self.files = Some(files.clone());
        self
    }

    /// The training with this as its checkpointing strategy and, with a patience, its early stopping. `checkpoints` are
    /// those that it [keeps](Checkpoints::keep), or Burn's own, in `checkpoint` in its folder.
    #[must_use]
    pub fn watch<M: LearnerModel>(
        &self,
        training: SupervisedTraining<M>,
        checkpoints: &Checkpoints,
    ) -> SupervisedTraining<M> {
        *self.found() = Found {
            checkpoints: Some(checkpoints.clone()),
            ..Found::default()
        };
        let training = training.with_checkpointing_strategy(self.clone());
        match self.patience {
            Some(_) => training.early_stopping(self.clone()),
            None => training,
        }
    }

    /// The best epoch so far; `None` before the end of the first, unless the training goes on and there are
    /// [files](Self::with_files) of the epochs before. In a training that saves checkpoints, the best of those that
    /// were saved: one whose checkpoint could not be written is not it.
    pub fn epoch(&self) -> Option<usize> {
        self.best_saved(&self.found()).map(|(epoch, _)| epoch)
    }

    /// The metric in it.
    pub fn value(&self) -> Option<f64> {
        self.best_saved(&self.found()).map(|(_, value)| value)
    }

    /// The epoch after which the training was stopped for want of a better one.
    pub fn stopped_in(&self) -> Option<usize> {
        self.found().stopped_in
    }

    /// The model of the best epoch: `model`, which is made alike, with what was saved after it.
    ///
    /// # Errors
    ///
    /// Returns an error if its checkpoint can't be read, or if no epoch had the metric, of those that ran or are in the
    /// [files](Self::with_files).
    pub fn load<N, L>(&self, model: ElboModel<N, L>) -> Result<ElboModel<N, L>, CheckpointError>
    where
        N: Network,
        L: Likelihood<Output = N::Output>,
    {
        let found = self.found();
        // Without a checkpoint the error is to name the file that is not there.
        let best = self.best_saved(&found).or_else(|| found.best());
        let Some((checkpoints, (epoch, _))) = found.checkpoints.as_ref().zip(best) else {
            return Err(CheckpointError::NoBest {
                metric: self.metric.to_string(),
            });
        };
        let path = checkpoints.model_path(epoch);
        drop(found);
        model.load(path)
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The best epoch whose checkpoint is there. Of a training that has looked at none, it is that of the run that it
    /// goes on with.
    fn best_saved(&self, found: &Found) -> Option<(usize, f64)> {
        if found.seen > 0 {
            return found.best_saved();
        }
        let (checkpoints, files) = found.checkpoints.as_ref().zip(self.files.as_ref())?;
        let restored = checkpoints.restored()?;
        let epochs = checkpoints.epochs().unwrap_or_default().into_iter();
        let epochs = epochs.filter(|epoch| *epoch <= restored);
        let known = epochs.filter_map(|epoch| Some((epoch, files.validated(&self.metric, epoch)?)));
        known.reduce(|best, new| match self.is_better(new.1, best.1) {
            true => new,
            false => best,
        })
    }

    fn is_better(&self, value: f64, best: f64) -> bool {
        match self.higher {
            true => value > best,
            false => value < best,
        }
    }

    /// Looks at the epochs up to this one that it has not seen.
    fn look(&self, epoch: usize, store: &EventStoreClient) -> MutexGuard<'_, Found> {
        let mut found = self.found();
        // Of an earlier run, the epochs whose models are still there.
        let mut earlier = match (&found.checkpoints, found.seen) {
            (Some(checkpoints), 0) => checkpoints.epochs().unwrap_or_default(),
            _ => Vec::new(),
        };
        earlier.retain(|candidate| *candidate < epoch);
        for candidate in found.seen + 1..=epoch {
            if candidate < epoch && !earlier.contains(&candidate) {
                continue;
            }
            let split = Split::Valid;
            let value = store.find_metric(&self.metric, candidate, Aggregate::Mean, &split);
            // NaN is that of an epoch that nobody knows, or whose metric was none.
            let Some(value) = value.filter(|value| !value.is_nan()) else {
                continue;
            };
            if earlier.iter().rev().take(2).any(|last| *last == candidate) {
                found.kept.insert(candidate);
            }
            let best = found.best();
            if best.is_none_or(|(_, best)| self.is_better(value, best)) {
                found.better.push((candidate, value));
            }
        }
        // An earlier run leaves its best and its last two, which would stay for ever. Others were kept on purpose.
        let mut better = found.better.iter().rev().map(|(epoch, _)| *epoch);
        let best_before = better.find(|epoch| earlier.contains(epoch));
        found.kept.extend(best_before);
        found.seen = found.seen.max(epoch);
        found
    }
}

impl CheckpointingStrategy for BestEpoch {
    fn checkpointing(
        &mut self,
        epoch: usize,
        store: &EventStoreClient,
    ) -> Vec<CheckpointingAction> {
        let mut found = self.look(epoch, store);
        let best = found.best().map(|(epoch, _)| epoch);
        found.saves = true;
        found.kept.insert(epoch);
        let is_old = |kept: &usize| kept + 1 < epoch && Some(*kept) != best;
        let old: Vec<_> = found.kept.iter().copied().filter(is_old).collect();
        let mut actions = vec![CheckpointingAction::Save];
        for epoch in old {
            found.kept.remove(&epoch);
            actions.push(CheckpointingAction::Delete(epoch));
        }
        actions
    }
}

impl EarlyStoppingStrategy for BestEpoch {
    fn should_stop(&mut self, epoch: usize, store: &EventStoreClient) -> bool {
        let mut found = self.look(epoch, store);
        let (Some((best, _)), Some(patience)) = (found.best(), self.patience) else {
            return false;
        };
        let stops = epoch - best >= patience;
        if stops {
            found.stopped_in = Some(epoch);
        }
        stops
    }
}
