//! Running a training to its end, or to a clear error.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use burn::train::{
    Interrupter, Interruption, Learner, LearnerModel, LearningResult, SupervisedTraining,
};

use super::{ElboModel, Network};
use crate::error::{FitError, NonFiniteLoss};
use crate::likelihood::Likelihood;

/// A training that ran to its last epoch, or was asked to stop.
#[derive(Debug)]
pub struct Fitted<M> {
    /// The model, in validation mode.
    pub model: M,
    /// Set if the training was stopped through its `Interrupter` before the last epoch.
    pub interrupted: Option<Interruption>,
}

/// Launches `training` and returns the model, or why there is none.
///
/// Beyond `SupervisedTraining::launch` it stops the training in order when the loss stops being finite, before the
/// weights or a checkpoint are touched, and turns what the result reports into a typed error. What was saved
/// before stays.
pub fn fit<N, L>(
    training: SupervisedTraining<ElboModel<N, L>>,
    learner: Learner<ElboModel<N, L>>,
) -> Result<Fitted<ElboModel<N, L>>, FitError>
where
    N: Network,
    L: Likelihood<Output = N::Output>,
    ElboModel<N, L>: LearnerModel,
{
    // The guard is shared by all copies of the model, those inside the learner included.
    let guard = learner.model().settings.guard.clone();
    guard.install(training.interrupter());
    let LearningResult {
        model,
        renderer,
        interrupted,
        error,
    } = training.launch(learner);
    drop(renderer);

    if let Some(non_finite) = guard.take() {
        return Err(non_finite.into());
    }
    if let Some(error) = error {
        return Err(FitError::Training(error));
    }
    Ok(Fitted { model, interrupted })
}

/// Stops the training at a loss that is not finite.
#[derive(Debug, Clone, Default)]
pub(super) struct Guard {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    largest_batch: AtomicU64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    interrupter: Option<Interrupter>,
    stopped_by: Option<NonFiniteLoss>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Guard {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        let state = self.shared.state.lock();
        state.unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn install(&self, interrupter: Interrupter) {
        *self.state() = State {
            interrupter: Some(interrupter),
            stopped_by: None,
        };
    }

    fn take(&self) -> Option<NonFiniteLoss> {
        std::mem::take(&mut *self.state()).stopped_by
    }

    pub(super) fn saw_batch(&self, examples: usize) {
        let largest = &self.shared.largest_batch;
        largest.fetch_max(examples as u64, Ordering::Relaxed);
    }

    /// The epoch, counted from 1, of the step with `steps` before it.
    pub(super) fn epoch(&self, steps: u64, dataset_size: usize) -> u64 {
        let batch = self.shared.largest_batch.load(Ordering::Relaxed).max(1);
        let steps_per_epoch = (dataset_size as u64).div_ceil(batch);
        steps / steps_per_epoch + 1
    }

    /// # Panics
    ///
    /// Panics with the message if nobody installed an interrupter: better than to train on with NaN.
    pub(super) fn stop(&self, loss: NonFiniteLoss) {
        let mut state = self.state();
        match &state.interrupter {
            Some(interrupter) => interrupter.stop(Some(&loss.to_string())),
            None => {
                drop(state);
                panic!("{loss}");
            }
        }
        state.stopped_by.get_or_insert(loss);
    }
}
