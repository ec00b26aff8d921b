//! Running a training to its end, or to a clear error.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use burn::tensor::Device;
use burn::train::{
    ExecutionStrategy, Interrupter, Interruption, Learner, LearnerModel, LearningResult,
    SupervisedTraining, TrainingStrategy,
};

use super::{ElboModel, Network, Settings};
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

/// Launches `training`, on one device, and returns the model, or why there is none.
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
    launch(training, learner, Vec::new())
}

/// Launches `training` as `strategy` says, on one device or on several: [`fit`] for a data-parallel training.
///
/// Burn gives each of W devices a copy of the model and a part of the data. Each copy is a worker with draws of its own,
/// all from the one seed of the [`Elbo`](crate::Elbo): in each step the W workers take the draws that one device would take
/// which accumulates the gradients of W batches, in the order in which the strategy lists the devices, whichever worker
/// is faster. Each worker's loss has the KL of the whole model at the weight it has on one device, so the
/// average of the workers' gradients is the gradient of one device's loss.
///
/// - Burn's `MultiDevice` strategies *sum* the gradients, as they do for accumulated ones: plain SGD takes a step W times as
///   long, Adam does not notice.
/// - A device that is listed twice is two workers who take their draws in the order in which they ask: no draw is used twice,
///   but which worker has which is not reproducible.
/// - A step uses W batches, so a schedule that counts batches
///   ([`BetaSchedule::Minibatches`](crate::BetaSchedule::Minibatches)) has a W-th of them in an epoch.
///
/// ```no_run
/// use blitz_train::prelude::*;
/// use burn::tensor::Device;
/// use burn::train::{ExecutionStrategy, Learner, LearnerModel, MultiDeviceOptim, SupervisedTraining};
///
/// # fn run<N: Network, L: Likelihood<Output = N::Output>>(
/// #     training: SupervisedTraining<ElboModel<N, L>>, learner: Learner<ElboModel<N, L>>, first: Device, second: Device,
/// # ) -> Result<(), FitError> where ElboModel<N, L>: LearnerModel {
/// let devices = vec![first, second];
/// let strategy = ExecutionStrategy::multi(devices, MultiDeviceOptim::OptimMainDevice);
/// let fitted = fit_on(training, learner, strategy)?;
/// # Ok(())
/// # }
/// ```
///
/// # Panics
///
/// Panics if a distributed data-parallel strategy lists a device twice: its workers share nothing that could tell them apart.
pub fn fit_on<N, L>(
    training: SupervisedTraining<ElboModel<N, L>>,
    learner: Learner<ElboModel<N, L>>,
    strategy: ExecutionStrategy,
) -> Result<Fitted<ElboModel<N, L>>, FitError>
where
    N: Network,
    L: Likelihood<Output = N::Output>,
    ElboModel<N, L>: LearnerModel,
{
    let devices = match &strategy {
        ExecutionStrategy::SingleDevice(device) => vec![device.clone()],
        ExecutionStrategy::MultiDevice(devices, _) => devices.clone(),
        ExecutionStrategy::DistributedDataParallel { devices, .. } => {
            for (i, device) in devices.iter().enumerate() {
                assert!(!devices[..i].contains(device), "{device:?} is listed twice");
            }
            devices.clone()
        }
    };
    let training = training.with_training_strategy(TrainingStrategy::Default(strategy));
    launch(training, learner, devices)
}

fn launch<N, L>(
    training: SupervisedTraining<ElboModel<N, L>>,
    learner: Learner<ElboModel<N, L>>,
    devices: Vec<Device>,
) -> Result<Fitted<ElboModel<N, L>>, FitError>
where
    N: Network,
    L: Likelihood<Output = N::Output>,
    ElboModel<N, L>: LearnerModel,
{
    // These are shared by all copies of the model, those inside the learner included.
    let Settings {
        turns,
        workers,
        guard,
        ..
    } = learner.model().settings;
    turns.restart();
    workers.install(devices);
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

    /// The epoch, counted from 1, of the step with `steps` before it, for a worker with `examples` an epoch.
    pub(super) fn epoch(&self, steps: u64, examples: usize) -> u64 {
        let batch = self.shared.largest_batch.load(Ordering::Relaxed).max(1);
        let steps_per_epoch = (examples as u64).div_ceil(batch);
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
