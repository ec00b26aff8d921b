//! What the examples' trainings by Burn's Learner have in common.

use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use blitz_train::prelude::*;
use blitz_train::{Checkpoints, MetricFiles};
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataloader::{DataLoader, DataLoaderBuilder};
use burn::data::dataset::InMemDataset;
use burn::tensor::Device;
use burn::train::{Learner, LearnerModel, SupervisedTraining};

use crate::{RunError, stoppable};

/// Batches of the items on `device`, in their order, or in one that the seed draws anew for each epoch.
///
/// Without a device a loader asks for Burn's default one, which panics where `BURN_DEVICE` names none of the build.
pub fn loader<I, B>(
    batcher: impl Batcher<I, B> + 'static,
    items: Vec<I>,
    batch_size: usize,
    shuffle: Option<u64>,
    device: &Device,
) -> Arc<dyn DataLoader<B>>
where
    I: Send + Sync + Clone + Debug + 'static,
    B: Send + Sync + Clone + Debug + 'static,
{
    let mut builder = DataLoaderBuilder::new(batcher)
        .batch_size(batch_size)
        .set_device(device.clone());
    if let Some(seed) = shuffle {
        builder = builder.shuffle(seed);
    }
    builder.build(InMemDataset::new(items))
}

/// Trains with metrics and checkpoints in `folder`, and ten lines or Burn's dashboard to watch; returns the model of
/// the last epoch and the time it took.
///
/// # Errors
///
/// Returns an error if the training fails, or if it is stopped: what was half trained is compared with nothing.
pub fn fit_in<N, L>(
    folder: &Path,
    mut training: SupervisedTraining<ElboModel<N, L>>,
    learner: Learner<ElboModel<N, L>>,
    epochs: usize,
    dashboard: bool,
) -> Result<(ElboModel<N, L>, Duration), RunError>
where
    N: Network,
    L: Likelihood<Output = N::Output>,
    ElboModel<N, L>: LearnerModel,
{
    training = MetricFiles::new(folder).keep(training);
    training = Checkpoints::new(folder.join("checkpoint")).keep(training);
    training = training.num_epochs(epochs);
    if !dashboard {
        let lines = EpochLines::every((epochs / 10).max(1));
        training = training.renderer(Box::new(lines));
    }
    let start = Instant::now();
    let fitted = stoppable(|| fit(training, learner))?;
    match fitted.interrupted {
        None => Ok((fitted.model, start.elapsed())),
        Some(interruption) => Err(RunError::stopped(interruption, folder)),
    }
}
