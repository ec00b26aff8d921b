//! Running a training to its end, or to a clear error.

use std::io::Write;
use std::panic::resume_unwind;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use blitz_layers::blitz_core::BayesianModule;
use burn::module::Module;
use burn::tensor::Device;
use burn::train::{
    ExecutionStrategy, Interruption, Learner, LearnerModel, LearningResult, SupervisedTraining,
    TrainingError, TrainingStrategy,
};

use super::training::Training;
use super::{ElboModel, loading};
use crate::error::FitError;
use crate::graph::Trained;
use crate::likelihood::Likelihood;
use crate::network::Network;

/// A training that ran to its last epoch, or was asked to stop.
#[derive(Debug)]
#[non_exhaustive]
pub struct Fitted<M> {
    /// The model, in validation mode.
    pub model: M,
    /// Set if the training was stopped through its `Interrupter` before the last epoch.
    pub interrupted: Option<Interruption>,
}

/// Launches `training`, on one device, and returns the model, or why there is none.
///
/// Beyond `SupervisedTraining::launch` it stops the training in order when the loss stops being finite, before a
/// checkpoint is written, and turns what the result reports into a typed error. What was saved before stays. Losses
/// that are not in the CPU's memory are read by a thread, so that the training does not wait for its device in each
/// step: it stops at most nine steps later then. An empty validation loader is a training without validation.
///
/// It writes no metrics but where it is told to, by [`MetricFiles`](crate::MetricFiles) or a logger of the program's
/// own: Burn's logger, which a training without one gets from `launch`, ends the program when its folder vanishes or
/// the disk is full. A program's renderer, progress logger and loggers of metrics are kept.
///
/// A model that is off the autodiff graph, as the one that a training returns is, is brought on it by its `train()`.
///
/// Each call is a training of its own: two of them from clones of one model, one after the other or at the same time,
/// end in the same weights to the bit.
///
/// # Errors
///
/// An error of a training that could not begin comes with "=== PANIC ===" on the terminal, from the hook of Burn's log;
/// `.with_application_logger(None)` is without it.
///
/// Returns an error if a loss is not finite, or a weight at the end of an epoch; without batches or epochs; if an
/// adapter such as LoRA is inside of posteriors; if nothing of the model trains, or something that `train()` does not
/// bring on the autodiff graph; if the checkpoint of `.checkpoint(epoch)` can't be loaded, is another model's, or there
/// are no checkpointers to load it with; if a checkpoint or a metric can't be written; if the training can't begin for
/// another reason, such as a folder that can't be written to ([`FitError::Start`]); if data or a device fails. A
/// training that goes on from its last epoch has nothing to do, and returns the model that it loaded.
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
/// Burn gives each of W devices a copy of the model and a part of the data. Each copy is a worker with draws of its
/// own, all from the one seed of the [`Elbo`](crate::Elbo). In a step, the n-th device of the strategy takes the draws
/// of the n-th of W accumulated batches on one device, whichever worker is faster. Each worker's loss has the KL of the
/// whole model with the same weight as on one device, so the average of the workers' gradients is the gradient of one
/// device's loss.
///
/// - Burn's `MultiDevice` strategies *sum* the gradients, as they do for accumulated ones: plain SGD takes a step W
///   times as long, Adam does not notice.
/// - A device that is listed twice is two workers who take their draws in the order in which they ask: no draw is used
///   twice, but which worker has which is not reproducible.
/// - A step uses W batches, so a schedule that counts batches
///   ([`BetaSchedule::Minibatches`](crate::BetaSchedule::Minibatches)) has a W-th of them in an epoch.
///
/// ```no_run
/// use blitz_train::prelude::*;
/// use blitz_train::{FitError, fit_on};
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
/// # Errors
///
/// As [`fit`].
///
/// # Panics
///
/// Panics without devices, and if a distributed data-parallel strategy lists one twice: its workers share nothing that
/// could tell them apart. And as [`fit`].
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
    assert!(
        !devices.is_empty(),
        "a training needs at least one device, got none"
    );
    let training = training.with_training_strategy(TrainingStrategy::Default(strategy));
    launch(training, learner, devices)
}

/// Refuses a model that trains nothing, or not what it seems to.
fn check<N, L>(model: &ElboModel<N, L>) -> Result<(), FitError>
where
    N: Network,
    L: Likelihood<Output = N::Output>,
    ElboModel<N, L>: LearnerModel,
{
    model.updates.check(model);
    let adapted = model.network.bayesian_summary().adapted_inside;
    if !adapted.is_empty() {
        return Err(FitError::InsidePosterior { weights: adapted });
    }
    let trained = Trained::of(model);
    if !trained.any {
        return Err(FitError::NothingTrains);
    }
    // The clone that the training begins with makes the same of it.
    if trained.off_graph.is_some()
        && let Some(path) = Trained::of(&model.clone().train()).off_graph
    {
        return Err(FitError::OffGraph { path });
    }
    Ok(())
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
    check(&model)?;
    let device = model.steps.lazy_device();
    let interrupter = training.interrupter();
    let run = Training::launch(devices, interrupter.clone());
    let learner = run.join(learner);
    let (open, closed) = mpsc::channel();
    let training = training.with_metric_logger(run.watch(interrupter, open));
    let result = match loading::catch(&run, || training.launch(learner)) {
        Ok(result) => result,
        Err(panic) => {
            // The thread of the events goes on until it has told of all of them, or a worker that waits for another
            // keeps it.
            let _ = closed.recv_timeout(Duration::from_secs(5));
            if !run.has_begun() {
                return Err(loading::error_of(
                    &*panic.payload,
                    run.has_loaded().then_some(&device),
                ));
            }
            if let Some(message) = panic.unsaid {
                // Standard error that takes nothing is no reason to panic with another payload.
                let _ = writeln!(std::io::stderr(), "{message}");
            }
            resume_unwind(panic.payload)
        }
    };
    let LearningResult {
        mut model,
        renderer,
        interrupted,
        error,
    } = result;
    drop(renderer);
    run.reads_losses();
    // Burn's dashboard has cleared the interrupter before Burn read it.
    let mut interrupted = run.interruption().or(interrupted);
    // Burn has told of all epochs: the thread that it does so on has ended.
    if run.epochs().is_none() && run.goes_on() {
        interrupted = None;
    }
    if let Err(error) = verdict(&run, error) {
        run.failed();
        return Err(error);
    }
    // What is trained next with this model is another training.
    model.training = Training::default();
    Ok(Fitted { model, interrupted })
}

/// Why a run that came to its end has no model, if it has none. Burn's own `error` is the reason where the run has
/// noted none.
fn verdict(run: &Training, error: Option<Arc<TrainingError>>) -> Result<(), FitError> {
    let epochs = run.epochs();
    if let Some(mut non_finite) = run.stopped_by() {
        if let Some(epochs) = epochs {
            non_finite.epoch = epochs.last as u64;
        }
        return Err(non_finite.into());
    }
    if let Some(error) = run.error().or(error.map(FitError::of_burns)) {
        return Err(error);
    }
    match epochs {
        Some(epochs) if run.has_loaded_nothing() => Err(FitError::NothingLoaded {
            epoch: epochs.first,
        }),
        Some(_) if run.has_nothing() => Err(FitError::NoExamples),
        // A strategy of the program's own may tell of nothing.
        None if run.has_begun() && run.has_nothing() && !run.has_loaded() => {
            Err(FitError::NoEpochs)
        }
        _ => Ok(()),
    }
}
