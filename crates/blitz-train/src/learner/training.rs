//! What a training counts and shares, and how a model belongs to one.
//!
//! Burn clones a model all the time: for each optimizer step, for each gradient that it accumulates, for each worker of
//! a training on several devices. Those clones work on one training and must count together. The clones that a program
//! makes are trainings of their own and must not. A clone cannot tell which it is, so the model says it: one that a
//! training launched by
//! [`fit`](super::fit) shares what it counts with its clones; any other gives a clone a copy.

use std::cell::RefCell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use blitz_layers::blitz_core::kernels::is_in_memory;
use burn::tensor::Device;
use burn::train::{Interrupter, Interruption, Learner, LearnerModel};

use super::losses::{LossReader, StepLoss};
use super::progress::{Epochs, Watch};
use super::workers::Turns;
use crate::error::{FitError, NonFiniteLoss};

/// A model's part in a training.
#[derive(Debug, Default)]
pub(super) struct Training {
    run: Arc<Run>,
    pub(super) turns: Turns,
}

/// What the models of one training share.
#[derive(Default)]
struct Run {
    /// The devices, one a worker; none if the training has one device.
    workers: Vec<Device>,
    /// Stops the training; none if nobody launched it, and a program trains the model by hand.
    interrupter: Option<Interrupter>,
    stopped_by: Mutex<Option<NonFiniteLoss>>,
    ended_by: Mutex<EndedBy>,
    /// Whether the program had stopped it before it began.
    was_stopped: bool,
    /// What the training itself said to stop, or what was said before it began.
    own_reason: Mutex<Option<String>>,
    /// Reads the losses that are not in the CPU's memory, as soon as there is one.
    reader: OnceLock<LossReader>,
    /// Whether the loop has begun, its checkpoint loaded.
    begun: AtomicBool,
    /// Whether a record was loaded before.
    loaded: AtomicBool,
    /// Whether it was stopped since it had nothing to train on.
    stopped_for_nothing: AtomicBool,
    /// Those that Burn's loop has told of.
    epochs: Mutex<Option<Epochs>>,
    /// The examples of the largest batch; 0 before there was one.
    largest_batch: AtomicU64,
    /// The most losses whose gradients a step was the sum of.
    most_losses: AtomicU64,
    /// The steps that the model had made before the first of the training.
    steps_before: OnceLock<u64>,
    /// Whether it is known that the model has the updates that its weights need.
    checked: AtomicBool,
    /// Whether weights are tied, once it is known.
    tied: OnceLock<bool>,
}

/// What ended a training before its last epoch. Burn's dashboard clears both in the interrupter before Burn's result
/// has them.
#[derive(Default)]
struct EndedBy {
    error: Option<FitError>,
    interruption: Option<Interruption>,
}

thread_local! {
    /// What clones made on this thread join.
    static JOINING: RefCell<Option<Arc<Run>>> = const { RefCell::new(None) };
}

impl Training {
    /// A training that is launched, of a model that was checked.
    pub(super) fn launch(devices: Vec<Device>, interrupter: Interrupter) -> Self {
        let several = devices.len() > 1;
        let was_stopped = interrupter.should_stop();
        let own_reason = Mutex::new(interrupter.get_message());
        Self {
            run: Arc::new(Run {
                workers: if several { devices } else { Vec::new() },
                interrupter: Some(interrupter),
                was_stopped,
                own_reason,
                checked: AtomicBool::new(true),
                ..Run::default()
            }),
            turns: Turns::default(),
        }
    }

    /// The learner with a model that belongs to this training. Whatever else was cloned from the model stays out of it.
    ///
    /// Burn hands nobody the model inside a learner but by cloning it.
    pub(super) fn join<M: LearnerModel>(&self, learner: Learner<M>) -> Learner<M> {
        struct Leave;

        impl Drop for Leave {
            fn drop(&mut self) {
                JOINING.set(None);
            }
        }

        let _leave = Leave;
        JOINING.set(Some(self.run.clone()));
        learner.clone()
    }

    /// Whether a clone that is made on this thread now is the one that a training begins with.
    pub(super) fn is_joining() -> bool {
        JOINING.with_borrow(Option::is_some)
    }

    /// The devices of the training, one a worker; none if the training has one device.
    pub(super) fn workers(&self) -> &[Device] {
        &self.run.workers
    }

    /// Whether [`fit`](super::fit) launched the training.
    pub(super) fn is_launched(&self) -> bool {
        self.run.interrupter.is_some()
    }

    /// Runs `check` the first time.
    pub(super) fn check_once(&self, check: impl FnOnce()) {
        if !self.run.checked.load(Ordering::Relaxed) {
            check();
            self.run.checked.store(true, Ordering::Relaxed);
        }
    }

    /// Whether weights of the model are tied, as `ask` says the first time.
    pub(super) fn is_tied(&self, ask: impl FnOnce() -> bool) -> bool {
        *self.run.tied.get_or_init(ask)
    }

    /// Notes a loss of `examples`, before which the model has made `steps`.
    pub(super) fn saw_batch(&self, examples: usize, steps: u64) {
        let largest = &self.run.largest_batch;
        largest.fetch_max(examples as u64, Ordering::Relaxed);
        self.run.steps_before.get_or_init(|| steps);
    }

    /// Notes a step of so many losses.
    pub(super) fn saw_step(&self, losses: usize) {
        let most = &self.run.most_losses;
        most.fetch_max(losses as u64, Ordering::Relaxed);
    }

    /// The epoch, counted from 1, of the step with `steps` before it, where nobody knows but the counts: `examples` an
    /// epoch, in batches of which a step takes as many as it did.
    pub(super) fn epoch_by_counts(&self, steps: u64, examples: usize) -> u64 {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed).max(1);
        let batches = (examples as u64).div_ceil(count(&self.run.largest_batch));
        let steps_per_epoch = batches.div_ceil(count(&self.run.most_losses));
        steps / steps_per_epoch + 1
    }

    /// The epochs that Burn's loop has told of; none if it ran none.
    pub(super) fn epochs(&self) -> Option<Epochs> {
        *self.epochs_to_note()
    }

    /// Notes an epoch that trains.
    pub(super) fn heard_of(&self, epoch: usize) {
        let mut epochs = self.epochs_to_note();
        let first = epochs.map_or(epoch, |epochs| epochs.first);
        *epochs = Some(Epochs { first, last: epoch });
    }

    fn epochs_to_note(&self) -> MutexGuard<'_, Option<Epochs>> {
        let epochs = self.run.epochs.lock();
        epochs.unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that Burn's loop has begun: it moves the model to its device, or asks it for a step.
    pub(super) fn begin(&self) {
        self.run.begun.store(true, Ordering::Relaxed);
    }

    /// Whether the loop has begun.
    pub(super) fn has_begun(&self) -> bool {
        self.run.begun.load(Ordering::Relaxed)
    }

    /// Notes that a record is put into the model, if the loop has not begun: Burn loads a checkpoint then, and maps the
    /// model for nothing else. Says whether it is one.
    pub(super) fn is_mapped(&self) -> bool {
        let is_record = self.is_launched() && !self.has_begun();
        if is_record {
            self.run.loaded.store(true, Ordering::Relaxed);
        }
        is_record
    }

    /// Whether the training goes on from a record.
    pub(super) fn has_loaded(&self) -> bool {
        self.run.loaded.load(Ordering::Relaxed)
    }

    /// Waits for the losses, and stops the training if it has validated without one to train on, or with a weight that
    /// its last step has left not finite, whose path `not_finite` finds. Burn hears of all three before it writes a
    /// checkpoint.
    pub(super) fn validates(&self, not_finite: impl FnOnce() -> Option<String>) {
        self.reads_losses();
        let Some(interrupter) = &self.run.interrupter else {
            return;
        };
        if !self.has_begun() {
            return;
        }
        if self.has_nothing() {
            if !interrupter.should_stop() {
                self.run.stopped_for_nothing.store(true, Ordering::Relaxed);
                self.run.stop(interrupter, "there is nothing to train on");
            }
        } else if self.stopped_by().is_none()
            && let Some(path) = not_finite()
        {
            let error = FitError::NonFiniteWeight { path };
            self.run.fail(interrupter, error);
        }
    }

    /// Notes a stop or an error of which the interrupter knows. To be called between the loop and its end, when the
    /// interrupter may be cleared.
    pub(super) fn notes_end(&self) {
        if let Some(interrupter) = &self.run.interrupter {
            self.run.notes_end(interrupter);
        }
    }

    /// The first error that was noted.
    pub(super) fn error(&self) -> Option<FitError> {
        self.run.ended_by().error.clone()
    }

    /// The last stop that was noted.
    pub(super) fn interruption(&self) -> Option<Interruption> {
        self.run.ended_by().interruption.clone()
    }

    /// Takes the stop of [`validates`](Self::validates) back, and says whether there was one: Burn's last act looks
    /// like a validation, also if no epoch was left to run. The program may have other trainings for the interrupter.
    pub(super) fn goes_on(&self) -> bool {
        let stopped = &self.run.stopped_for_nothing;
        let was_stopped = stopped.swap(false, Ordering::Relaxed);
        if was_stopped && let Some(interrupter) = &self.run.interrupter {
            interrupter.reset();
        }
        was_stopped
    }

    /// Takes the stop of a training that failed back, unless the program asked for one too: it may have other trainings
    /// for the interrupter.
    pub(super) fn failed(&self) {
        if let Some(interrupter) = &self.run.interrupter {
            let own = self.run.own_reason.lock();
            let own = own.unwrap_or_else(PoisonError::into_inner);
            if !self.run.was_stopped && interrupter.get_message() == *own {
                interrupter.reset();
            }
        }
    }

    /// Whether there was no loss yet.
    pub(super) fn has_nothing(&self) -> bool {
        self.run.largest_batch.load(Ordering::Relaxed) == 0
    }

    /// Whether the training began after another epoch than it says, with a model that had made no step.
    pub(super) fn has_loaded_nothing(&self) -> bool {
        let goes_on = self.epochs().is_some_and(|epochs| epochs.first > 1);
        goes_on && !self.has_loaded() && self.run.steps_before.get() == Some(&0)
    }

    /// Another handle of the same training.
    pub(super) fn launched(&self) -> Self {
        Self {
            run: self.run.clone(),
            turns: Turns::default(),
        }
    }

    /// Hears of the training's epochs, until `open` is dropped.
    pub(super) fn watch(&self, interrupter: Interrupter, open: Sender<()>) -> Watch {
        Watch::new(self.launched(), interrupter, open)
    }

    /// Whether the training may step by the loss: if it is finite, or on a device that has not computed it yet. Of one
    /// that is not finite the training hears later then, but before it writes a checkpoint.
    ///
    /// # Panics
    ///
    /// Panics if nobody launched the training and the loss is not finite, or can't be read: better than to train on
    /// with NaN.
    pub(super) fn admits(&self, loss: StepLoss) -> bool {
        let Some(interrupter) = &self.run.interrupter else {
            match loss.read() {
                Ok(None) => return true,
                Ok(Some(not_finite)) => panic!("{not_finite}"),
                Err(reason) => panic!("the loss can't be read: {reason}"),
            }
        };
        if is_in_memory(&loss.loss.device()) {
            return self.run.takes(loss, interrupter);
        }
        let start = || {
            let (run, interrupter) = (Arc::downgrade(&self.run), interrupter.clone());
            LossReader::new(move |loss| {
                let run = run.upgrade();
                run.is_some_and(|run| run.takes(loss, &interrupter))
            })
        };
        self.run.reader.get_or_init(start).read(loss);
        true
    }

    /// Waits until it is known of all losses whether they are finite.
    pub(super) fn reads_losses(&self) {
        if let Some(reader) = self.run.reader.get() {
            reader.finish();
        }
    }

    /// The loss that stopped the training.
    pub(super) fn stopped_by(&self) -> Option<NonFiniteLoss> {
        let stopped_by = self.run.stopped_by.lock();
        *stopped_by.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Run {
    /// Stops the training, for a reason of its own.
    fn stop(&self, interrupter: &Interrupter, reason: &str) {
        // Somebody who asked before it keeps being heard.
        if interrupter.should_stop() {
            return;
        }
        interrupter.stop(Some(reason));
        let own = self.own_reason.lock();
        *own.unwrap_or_else(PoisonError::into_inner) = Some(reason.into());
    }

    /// Stops the training, with an error.
    fn fail(&self, interrupter: &Interrupter, error: FitError) {
        // One that came before it is the reason.
        self.notes_end(interrupter);
        self.ended_by().error.get_or_insert_with(|| error.clone());
        interrupter.fail(error.into_burns());
    }

    fn notes_end(&self, interrupter: &Interrupter) {
        // A stop for nothing is taken back.
        if !interrupter.should_stop() || self.stopped_for_nothing.load(Ordering::Relaxed) {
            return;
        }
        let mut ended_by = self.ended_by();
        if ended_by.error.is_none() {
            ended_by.error = interrupter.error().map(FitError::of_burns);
        }
        if let Some(interruption) = interrupter.interruption() {
            ended_by.interruption = Some(interruption);
        }
    }

    fn ended_by(&self) -> MutexGuard<'_, EndedBy> {
        let ended_by = self.ended_by.lock();
        ended_by.unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the loss is finite; stops the training if it is not.
    fn takes(&self, loss: StepLoss, interrupter: &Interrupter) -> bool {
        let step = loss.step;
        let failed = |reason: String| {
            self.fail(interrupter, FitError::Device { step, reason });
            false
        };
        // A reader that a panic ends would leave the losses after it unread, and nobody would know.
        let not_finite = match catch_unwind(AssertUnwindSafe(|| loss.read())) {
            Ok(Ok(None)) => return true,
            Ok(Ok(Some(not_finite))) => not_finite,
            Ok(Err(reason)) => return failed(reason.to_string()),
            Err(_) => return failed("its backend panicked".into()),
        };
        let NonFiniteLoss { nll, kl, .. } = not_finite;
        let reason = format!("the loss of step {step} is not finite: nll {nll}, kl {kl}");
        self.stop(interrupter, &reason);
        let stopped_by = self.stopped_by.lock();
        let mut stopped_by = stopped_by.unwrap_or_else(PoisonError::into_inner);
        stopped_by.get_or_insert(not_finite);
        false
    }
}

impl Clone for Training {
    fn clone(&self) -> Self {
        if let Some(run) = JOINING.with_borrow(Clone::clone) {
            return Self {
                run,
                turns: Turns::default(),
            };
        }
        if self.is_launched() {
            // Burn's loop ends with a clone of its model.
            self.notes_end();
            return Self {
                run: self.run.clone(),
                turns: self.turns.shared(),
            };
        }
        let Run {
            largest_batch,
            most_losses,
            checked,
            ..
        } = &*self.run;
        let copy = |counter: &AtomicU64| AtomicU64::new(counter.load(Ordering::Relaxed));
        Self {
            run: Arc::new(Run {
                largest_batch: copy(largest_batch),
                most_losses: copy(most_losses),
                checked: AtomicBool::new(checked.load(Ordering::Relaxed)),
                ..Run::default()
            }),
            turns: self.turns.copied(),
        }
    }
}

/// Burn's loop drops its model after it has waited for the last checkpoint, and before it tells the renderer of the
/// end.
impl Drop for Training {
    fn drop(&mut self) {
        self.notes_end();
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Run");
        debug.field("workers", &self.workers);
        debug.finish_non_exhaustive()
    }
}
