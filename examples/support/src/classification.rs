//! An image classifier trained by Burn's Learner on the ELBO, and how good its probabilities are.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use blitz_train::prelude::*;
use blitz_train::{NetworkPosterior, PredictError, predict_draws};
use burn::data::dataloader::DataLoader;
use burn::data::dataloader::batcher::Batcher;
use burn::optim::lr_scheduler::cosine::CosineAnnealingLrSchedulerConfig;
use burn::tensor::{Device, Int, Tensor};
use burn::train::checkpoint::KeepLastNCheckpoints;
use burn::train::metric::{AccuracyMetric, LossMetric};
use burn::train::{Interrupter, Learner, SupervisedTraining};
use serde::Serialize;

use crate::images::{ImageBatcher, ImageError, Images};
use crate::{RunError, fit_in, loader, mean};

/// A network from images to the logits of their classes.
pub trait Classifier: Network<Input = Tensor<4>, Output = Tensor<2>> {}

impl<N: Network<Input = Tensor<4>, Output = Tensor<2>>> Classifier for N {}

/// A classifier as the Learner trains it.
pub type Model<N> = ElboModel<N, CategoricalLikelihood>;

/// Rows that a prediction takes at a time.
const PREDICTED_AT_ONCE: usize = 500;

/// The seed of the draws of [`predictor`].
const SEED: u64 = 0x626c_6974_7a00_0002;

/// Images to train on and images to test on.
#[derive(Debug, Clone)]
pub struct Data {
    /// Where they are from, for the report.
    pub name: String,
    /// What the classes are called.
    pub classes: Vec<String>,
    /// Images to train on.
    pub train: Arc<Images>,
    /// Images to test on.
    pub test: Arc<Images>,
}

impl Data {
    /// Refuses an empty set.
    pub fn new(
        name: &str,
        classes: Vec<String>,
        train: Images,
        test: Images,
    ) -> Result<Self, RunError> {
        for (images, name) in [(&train, "training"), (&test, "test")] {
            if images.is_empty() {
                return Err(ImageError::None(name).into());
            }
        }
        Ok(Self {
            name: name.to_string(),
            classes,
            train: Arc::new(train),
            test: Arc::new(test),
        })
    }

    /// With the first `n` training images alone, or all.
    #[must_use]
    pub fn first(mut self, n: usize) -> Self {
        self.train = self.train.as_ref().clone().first(n).into();
        self
    }

    /// How many logits a draw has for all test images.
    pub fn logits(&self) -> usize {
        self.test.len() * self.classes.len()
    }
}

/// How long to train, and how.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Passes over the training images.
    pub epochs: usize,
    /// Images in one step.
    pub batch_size: usize,
    /// Learning rate at the start; it falls to 0 along a cosine.
    pub lr: f64,
    /// Draws of the weights in a step.
    pub samples: usize,
    /// The weight of the KL over the epochs.
    pub beta: BetaSchedule,
    /// Seed of the draws and the order of the images.
    pub seed: u64,
    /// Burn's dashboard instead of lines.
    pub dashboard: bool,
}

impl Settings {
    /// Steps of the optimizer for so many images.
    pub fn steps(&self, images: usize) -> usize {
        images.div_ceil(self.batch_size) * self.epochs
    }
}

/// Trains `network` in `folder` on `device`, where the network is; returns the model of the last epoch and the time it
/// took.
///
/// The test images are shown as validation and decide nothing.
///
/// # Errors
///
/// Returns an error if the training fails, or if it is stopped: what was half trained is compared with nothing.
pub fn train<N: Classifier>(
    network: N,
    data: &Data,
    settings: &Settings,
    device: &Device,
    folder: &Path,
    interrupter: &Interrupter,
) -> Result<(Model<N>, Duration), RunError> {
    let likelihood = CategoricalLikelihoodConfig::new(data.classes.len()).init();
    let elbo = ElboConfig::new(data.train.len())
        .with_samples(settings.samples)
        .with_validation_samples(4)
        .with_beta(settings.beta.clone())
        .with_seed(settings.seed);
    let model = ElboModel::new(network, likelihood, elbo.init());

    let steps = settings.steps(data.train.len());
    let learning_rate = CosineAnnealingLrSchedulerConfig::new(settings.lr, steps)
        .init()
        .map_err(RunError::Setting)?;
    let learner = Learner::new(model, FusedAdamConfig::new().init(), learning_rate);

    let (size, seed) = (settings.batch_size, settings.seed);
    let training = batches(&data.train, data, size, Some(seed), device);
    let validation = batches(&data.test, data, PREDICTED_AT_ONCE, None, device);
    let training = SupervisedTraining::new(folder, training, validation)
        .metrics((
            LossMetric::new(),
            NllMetric::new(),
            KlMetric::new(),
            AccuracyMetric::new(),
        ))
        .with_checkpointing_strategy(KeepLastNCheckpoints::new(2))
        .with_interrupter(interrupter.clone());
    fit_in(
        folder,
        training,
        learner,
        settings.epochs,
        settings.dashboard,
    )
}

/// Batches of `images` on `device`, which are scaled as the training images of `data` were.
fn batches(
    images: &Arc<Images>,
    data: &Data,
    batch_size: usize,
    shuffle: Option<u64>,
    device: &Device,
) -> Arc<dyn DataLoader<LabeledBatch<Tensor<4>, Tensor<1, Int>>>> {
    let batcher = ImageBatcher::new(images.clone(), &data.train);
    let numbers = (0..images.len()).collect();
    loader(batcher, numbers, batch_size, shuffle, device)
}

/// What `network` predicts for the test images, from `samples` draws of one seed.
///
/// Give it a network without autodiff, as `valid()` returns it.
///
/// # Errors
///
/// Returns an error if a network's output is not finite.
pub fn predict<N: Classifier>(
    network: &N,
    data: &Data,
    samples: usize,
    seed: u64,
    device: &Device,
) -> Result<CategoricalMixture, PredictError> {
    let likelihood = CategoricalLikelihoodConfig::new(data.classes.len()).init();
    let batcher = ImageBatcher::new(data.test.clone(), &data.train);
    let numbers: Vec<usize> = (0..data.test.len()).collect();
    let batches = numbers.chunks(PREDICTED_AT_ONCE);
    let batches: Vec<_> = batches
        .map(|chunk| batcher.batch(chunk.to_vec(), device).inputs)
        .collect();
    // A draw makes its weights once, for all images.
    let outputs = predict_draws(network, samples, seed, |network| {
        let logits = batches.iter().map(|images| network.forward(images.clone()));
        Tensor::cat(logits.collect(), 0)
    });
    likelihood.try_predictive(outputs)
}

/// What draws predict on `device`, where the network is, for images, which are scaled as the training images of `data`
/// were.
///
/// # Errors
///
/// Returns an error if a network's output is not finite.
pub fn predict_images<N: Classifier>(
    predictor: &Predictor<N, CategoricalLikelihood>,
    data: &Data,
    images: &Arc<Images>,
    device: &Device,
) -> Result<CategoricalMixture, PredictError> {
    let loader = batches(images, data, PREDICTED_AT_ONCE, None, device);
    Ok(predictor.predict_all(loader.as_ref(), |_| {})?.predictive)
}

/// Keeps draws of whole networks to predict several sets of images with.
pub fn predictor<N: Classifier>(
    posterior: &impl NetworkPosterior<N>,
    data: &Data,
    samples: usize,
) -> Predictor<N, CategoricalLikelihood> {
    let likelihood = CategoricalLikelihoodConfig::new(data.classes.len()).init();
    PredictorConfig::new(samples)
        .with_seed(SEED)
        .init_with(posterior, &likelihood)
}

/// The numbers of each draw of a [`predictor`]: its logits for the images that are predicted at a time, and its
/// weights, which are kept.
pub fn numbers_of_a_draw<N: Classifier>(network: &N, data: &Data) -> usize {
    PREDICTED_AT_ONCE * data.classes.len() + network.num_bayesian_weights()
}

/// How good predictions are.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Scores {
    /// The share of wrong predictions.
    pub error: f64,
    /// The mean negative log likelihood, in nats.
    pub nll: f64,
    /// The expected calibration error.
    pub ece: f64,
}

impl Scores {
    /// The scores of `predictions` of `labels`.
    pub fn of(predictions: &CategoricalMixture, labels: &[usize]) -> Self {
        let nll = predictions.nll(labels);
        Self {
            error: 1.0 - predictions.accuracy(labels),
            nll: mean(&nll),
            ece: predictions.ece(labels),
        }
    }
}

impl fmt::Display for Scores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { error, nll, ece } = self;
        write!(f, "{:6.2} %  {nll:7.4}  {ece:7.4}", 100.0 * error)
    }
}

#[cfg(test)]
mod tests {
    use blitz_train::blitz_layers::models::LeNetConfig;

    use super::*;
    use crate::{Failure, digits};

    #[test]
    fn a_training_that_was_stopped_is_compared_with_nothing() {
        let data = digits::load(None).unwrap().first(64);
        let settings = Settings {
            epochs: 2,
            batch_size: 32,
            lr: 1e-3,
            samples: 1,
            beta: BetaSchedule::Constant(0.1),
            seed: 1,
            dashboard: false,
        };
        let interrupter = Interrupter::new();
        interrupter.stop(Some("the test"));
        let folder = tempfile::tempdir().unwrap();
        let device = Device::flex().autodiff();
        let network = LeNetConfig::new(10).init(&device);
        let (path, stop) = (folder.path(), &interrupter);
        let error = match train(network, &data, &settings, &device, path, stop) {
            Ok(_) => panic!("a training of one step was taken for one of two epochs"),
            Err(error) => error,
        };
        assert!(error.was_stopped());
        assert!(error.to_string().contains("stopped (the test)"), "{error}");
    }
}
