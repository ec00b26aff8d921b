//! What Burn's training loop says of itself: which epochs it runs.
//!
//! It tells its loggers of metrics, of which there may be any number; its one progress logger stays the program's.

use std::sync::mpsc::Sender;

use burn::train::Interrupter;
use burn::train::logger::MetricLogger;
use burn::train::metric::store::{EpochSummary, MetricsUpdate, Split};
use burn::train::metric::{MetricDefinition, NumericEntry};

use super::training::Training;
use crate::metric::History;

/// The epochs of a training, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Epochs {
    /// The one in which the training began.
    pub(super) first: usize,
    /// The last that has trained, were it for a step.
    pub(super) last: usize,
}

/// Hears of a training's metrics, on the thread of Burn's event store. It keeps them in memory, where Burn looks for
/// the best epoch: a training that has a logger gets none of Burn's own, which ends the program where it can't write.
pub(super) struct Watch {
    training: Training,
    interrupter: Interrupter,
    history: History,
    /// Closed when there is nothing more to hear.
    _open: Sender<()>,
}

impl Watch {
    pub(super) fn new(training: Training, interrupter: Interrupter, open: Sender<()>) -> Self {
        Self {
            training,
            interrupter,
            history: History::default(),
            _open: open,
        }
    }
}

impl MetricLogger for Watch {
    /// Called for each batch and at the end of each split, with or without metrics.
    fn log(&mut self, update: MetricsUpdate, epoch: usize, split: &Split) {
        self.history.add(&update, epoch, split);
        if *split == Split::Train {
            self.training.heard_of(epoch);
            if self.training.has_loaded_nothing() {
                self.interrupter
                    .stop(Some("there is nothing to go on from"));
            }
        }
        self.training.notes_end();
    }

    fn read_numeric(
        &mut self,
        name: &str,
        epoch: usize,
        split: &Split,
    ) -> Result<Vec<NumericEntry>, String> {
        Ok(self.history.read(name, epoch, split, || None))
    }

    fn log_metric_definition(&mut self, definition: MetricDefinition) {
        self.history.define(definition);
    }

    /// The loggers before this one may have failed, of the last epoch after the loop has ended.
    fn log_epoch_summary(&mut self, _summary: EpochSummary) {
        self.training.notes_end();
    }
}
