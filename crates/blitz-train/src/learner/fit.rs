//! Running a training to its end, or to a clear error.

use burn::tensor::Device;
use burn::train::{
    ExecutionStrategy, Interruption, Learner, LearnerModel, LearningResult, SupervisedTraining,
    TrainingStrategy,
};

use super::ElboModel;
use super::training::Training;
use crate::error::FitError;
use crate::likelihood::Likelihood;
use crate::network::Network;

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
///
/// Each call is a training of its own: two of them from clones of one model, one after the other or at the same time, end in the same weights to the bit.
///
/// # Panics
///
/// Panics if a weight is trained by a [`WeightUpdate`](crate::WeightUpdate) that the model was not given.
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
/// all from the one seed of the [`Elbo`](crate::Elbo). In a step, the n-th device of the strategy takes the draws of the n-th of W
/// accumulated batches on one device, whichever worker is faster. Each worker's loss has the KL of the whole model with the same weight
/// as on one device, so the average of the workers' gradients is the gradient of one device's loss.
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
/// use blitz_train::{Likelihood, FitError, fit_on};
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
/// Panics if a distributed data-parallel strategy lists a device twice: its workers share nothing that could tell them apart. And as [`fit`].
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
    let model = learner.model();
    model.updates.check(&model);
    let run = Training::launch(devices, training.interrupter());
    let learner = run.join(learner);
    let LearningResult {
        mut model,
        renderer,
        interrupted,
        error,
    } = training.launch(learner);
    drop(renderer);

    if let Some(non_finite) = run.stopped_by() {
        return Err(non_finite.into());
    }
    if let Some(error) = error {
        return Err(FitError::Training(error));
    }
    // What is trained next with this model is another training.
    model.training = Training::default();
    Ok(Fitted { model, interrupted })
}
