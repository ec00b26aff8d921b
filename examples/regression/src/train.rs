//! One split, trained by Burn's Learner on the ELBO.

use std::time::{Duration, Instant};

use blitz_train::CoverageMetric;
use blitz_train::prelude::*;
use burn::optim::AdamConfig;
use burn::optim::lr_scheduler::cosine::CosineAnnealingLrSchedulerConfig;
use burn::tensor::Device;
use burn::train::checkpoint::KeepLastNCheckpoints;
use burn::train::metric::LossMetric;
use burn::train::{Interrupter, Learner, SupervisedTraining};
use example_support::{loader, stoppable};

use crate::config::RunConfig;
use crate::error::RunError;
use crate::folder::Folder;
use crate::model::Regressor;

/// What is trained: a network under a Gaussian likelihood.
pub type Model = ElboModel<Regressor, GaussianLikelihood>;

/// A standardized row: the features and the target.
pub type Example = (Vec<f32>, [f32; 1]);

/// How a training shows and ends.
#[derive(Clone, Copy)]
pub struct Session<'a> {
    /// Where the checkpoints go.
    pub folder: &'a Folder,
    /// The epoch whose checkpoint to go on from.
    pub resume_from: Option<usize>,
    /// Burn's dashboard instead of a line now and then.
    pub dashboard: bool,
    /// Stops the training when asked to.
    pub interrupter: &'a Interrupter,
}

/// What a training ended with.
pub struct Trained {
    /// The model of the last epoch.
    pub model: Model,
    /// The time it took.
    pub time: Duration,
    /// Whether the posterior of any layer left its start.
    pub posterior_moved: bool,
}

/// Trains on `train`, showing how `valid` goes.
///
/// The validation decides nothing, so that showing the test rows is fair.
pub fn train(
    config: &RunConfig,
    train: Vec<Example>,
    valid: Vec<Example>,
    device: &Device,
    session: Session<'_>,
) -> Result<Trained, RunError> {
    // Burn draws the initial weights from the device's own generator.
    device.seed(config.elbo.seed);
    let device = device.clone().autodiff();
    let model = ElboModel::new(
        config.model.init(&device),
        config.likelihood.init(&device),
        config.elbo.init(),
    );

    let begun_at = model.network.weight_marginals();
    let steps = train.len().div_ceil(config.batch_size) * config.epochs;
    let learning_rate = CosineAnnealingLrSchedulerConfig::new(config.lr, steps)
        .init()
        .map_err(RunError::Setting)?;
    let learner = Learner::new(model, AdamConfig::new().init(), learning_rate);

    let valid_batch = valid.len();
    let mut training = SupervisedTraining::new(
        session.folder.path(),
        loader(
            RowBatcher,
            train,
            config.batch_size,
            Some(config.elbo.seed),
            &device,
        ),
        loader(RowBatcher, valid, valid_batch, None, &device),
    )
    .metrics((
        LossMetric::new(),
        NllMetric::new(),
        KlMetric::new(),
        RmseMetric::new().with_scale(config.target.std[0]),
        CoverageMetric::new(0.95),
    ))
    .with_checkpointing_strategy(KeepLastNCheckpoints::new(2))
    .with_interrupter(session.interrupter.clone())
    .num_epochs(config.epochs);
    training = session.folder.metrics().keep(training);
    training = session.folder.checkpoints().keep(training);
    if !session.dashboard {
        let lines = EpochLines::every((config.epochs / 20).max(1));
        training = training.renderer(Box::new(lines));
    }
    if let Some(epoch) = session.resume_from {
        training = training.checkpoint(epoch);
    }

    let start = Instant::now();
    let fitted = stoppable(|| fit(training, learner))?;
    let Some(interruption) = fitted.interrupted else {
        let time = start.elapsed();
        let movements = fitted.model.network.weight_movements(Some(&begun_at));
        return Ok(Trained {
            model: fitted.model,
            time,
            posterior_moved: movements
                .iter()
                .any(|moved| moved.has_stayed() == Some(false)),
        });
    };
    let reason = interruption
        .reason
        .unwrap_or_else(|| "without a reason".into());
    Err(match session.folder.last_checkpoint() {
        Some(epoch) => RunError::Interrupted {
            reason,
            path: session.folder.path().to_path_buf(),
            epoch,
        },
        None => RunError::InterruptedEarly { reason },
    })
}
