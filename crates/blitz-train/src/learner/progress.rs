//! What Burn's training loop says of itself: where it begins, which epochs have ended, that there was nothing to train on.

use std::sync::mpsc::Sender;

use burn::train::Interrupter;
use burn::train::logger::TrainingProgressLogger;

use super::training::Training;

/// What is known of a training's progress.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Progress {
    /// Whether the loop has begun, its checkpoint loaded.
    pub(super) has_begun: bool,
    /// The number of epochs asked for.
    pub(super) epochs: usize,
    /// The epoch in which the training begins, counted from 1.
    pub(super) first_epoch: usize,
    /// The last epoch that has ended, or the one before the first.
    ended: usize,
    /// The epoch of the loss that stopped the training.
    stopped_in: Option<usize>,
}

impl Progress {
    /// Whether there are epochs to run, which a training that goes on from its last has not.
    pub(super) fn has_epochs(&self) -> bool {
        self.has_begun && self.first_epoch <= self.epochs
    }

    /// The epoch that runs, or the one in which a loss stopped the training.
    pub(super) fn epoch(&self) -> usize {
        self.stopped_in.unwrap_or(self.ended + 1)
    }
}

/// Hears of a training's progress, on the thread of its events, in their order.
pub(super) struct Watch {
    training: Training,
    interrupter: Interrupter,
    trains: bool,
    /// Closed when there is nothing more to hear.
    _open: Sender<()>,
}

impl Watch {
    pub(super) fn new(training: Training, interrupter: Interrupter, open: Sender<()>) -> Self {
        Self {
            training,
            interrupter,
            trains: false,
            _open: open,
        }
    }
}

impl TrainingProgressLogger for Watch {
    fn start(
        &mut self,
        total_epochs: usize,
        starting_epoch: usize,
        _total_items: Option<usize>,
        _label: Option<&str>,
    ) {
        self.training.note(|progress| {
            *progress = Progress {
                has_begun: true,
                epochs: total_epochs,
                first_epoch: starting_epoch,
                ended: starting_epoch.saturating_sub(1),
                stopped_in: None,
            };
        });
    }

    fn start_split(&mut self, split: &str, _total_items: usize) {
        self.trains = split == "train";
    }

    fn update_split(&mut self, _items_processed: usize) {}

    fn end_split(&mut self) {
        if !self.trains {
            return;
        }
        if self.training.stopped_by().is_some() {
            self.training.note(|progress| {
                let epoch = progress.epoch();
                progress.stopped_in.get_or_insert(epoch);
            });
        }
        // Burn hears of it before it writes a checkpoint.
        if self.training.has_nothing() || self.training.has_loaded_nothing() {
            self.interrupter
                .stop(Some("there is nothing to train on, or to go on from"));
        }
    }

    fn update_epoch(&mut self, epoch: usize) {
        self.training.note(|progress| progress.ended = epoch);
    }

    fn end(&mut self) {}

    fn log_event_training(&mut self, _event: String) {}
}
