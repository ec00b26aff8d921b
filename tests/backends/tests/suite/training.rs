//! Trainings on devices that compute while the host goes on.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use blitz_train::prelude::*;
use blitz_train::{Checkpoints, FitError};
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataloader::{DataLoader, DataLoaderBuilder};
use burn::data::dataset::InMemDataset;
use burn::module::{Module, Param};
use burn::optim::AdamConfig;
use burn::tensor::{Device, Distribution, Tensor};
use burn::train::checkpoint::KeepLastNCheckpoints;
use burn::train::{Learner, SupervisedTraining};

use crate::devices::{others, others_with_products};

type Pairs = LabeledBatch<Tensor<2>, Tensor<2>>;

/// `y = w x`, without a matrix product in it, and whatever else is to be done in a forward pass.
#[derive(Module, Debug)]
struct Slope {
    weight: Param<Tensor<2>>,
    #[module(skip)]
    work: Option<Work>,
}

impl Network for Slope {
    type Input = Tensor<2>;
    type Output = Tensor<2>;

    fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        let output = input * self.weight.val();
        match &self.work {
            Some(work) => work.after(output),
            None => output,
        }
    }
}

struct PairBatcher;

impl Batcher<(f32, f32), Pairs> for PairBatcher {
    fn batch(&self, items: Vec<(f32, f32)>, device: &Device) -> Pairs {
        let column = |values: Vec<f32>| {
            let n = values.len();
            Tensor::<1>::from_floats(values.as_slice(), device).reshape([n, 1])
        };
        LabeledBatch {
            inputs: column(items.iter().map(|item| item.0).collect()),
            targets: column(items.iter().map(|item| item.1).collect()),
        }
    }
}

/// Batches of two.
fn loader(items: Vec<(f32, f32)>) -> Arc<dyn DataLoader<Pairs>> {
    DataLoaderBuilder::new(PairBatcher)
        .batch_size(2)
        .build(InMemDataset::new(items))
}

fn line(len: usize) -> Vec<(f32, f32)> {
    let x = (0..len).map(|i| i as f32 / len as f32);
    x.map(|x| (x, 2.0 * x)).collect()
}

fn model(device: &Device, work: Option<Work>) -> ElboModel<Slope, GaussianLikelihood> {
    let device = device.clone().autodiff();
    let weight = Param::from_tensor(Tensor::full([1, 1], 0.5, &device));
    let network = Slope { weight, work }.bayesianize(&BayesianizeConfig::new());
    let likelihood = GaussianLikelihoodConfig::new()
        .with_noise(LikelihoodParam::Fixed(0.2))
        .init(&device);
    ElboModel::new(network, likelihood, ElboConfig::new(8).init())
}

#[test]
fn a_loss_that_is_not_finite_ends_a_training_before_its_checkpoint() {
    for device in others() {
        let folder = tempfile::tempdir().unwrap();
        let training = |items, epochs| {
            SupervisedTraining::new(folder.path(), loader(items), loader(line(2)))
                .with_default_checkpointers()
                .with_checkpointing_strategy(KeepLastNCheckpoints::new(100))
                .with_application_logger(None)
                .renderer(Box::new(EpochLines::to(std::io::sink(), 1)))
                .num_epochs(epochs)
        };
        let learner = || Learner::new(model(&device, None), AdamConfig::new().init(), 0.05);
        let fitted = fit(training(line(8), 2), learner()).unwrap();
        assert_eq!(fitted.model.steps(), 8, "{device:?}");

        // In the last batch of the third epoch, right before a checkpoint, and in the first of it.
        for (bad, step) in [(7, 12), (0, 9)] {
            let mut items = line(8);
            items[bad].1 = f32::NAN;
            let error = fit(training(items, 5).checkpoint(2), learner()).unwrap_err();
            let FitError::NonFiniteLoss(error) = error else {
                panic!("{device:?}: {error}");
            };
            assert_eq!((error.epoch, error.step), (3, step), "{device:?}");
            assert!(
                error.nll.is_nan() && error.kl.is_finite(),
                "{device:?}: {error}"
            );
            let checkpoints = Checkpoints::new(folder.path());
            assert_eq!(checkpoints.epochs().unwrap(), [1, 2], "{device:?}");
        }
    }
}

/// Products that keep a device busy, and what was seen of the passes in which they were done.
#[derive(Debug, Clone)]
struct Work {
    factor: Tensor<2>,
    products: usize,
    passes: Arc<AtomicUsize>,
    /// The number of passes begun at the time when the work of the first was read; sent once.
    begun: Arc<Mutex<Option<Receiver<usize>>>>,
}

impl Work {
    /// Work that takes the device about `time`.
    fn of(time: Duration, device: &Device) -> Self {
        let factor = Tensor::random([256, 256], Distribution::Uniform(-0.1, 0.1), device);
        let mut work = Self {
            factor,
            products: 4,
            passes: Arc::default(),
            begun: Arc::default(),
        };
        // The first time compiles.
        work.done().into_data();
        let start = Instant::now();
        work.done().into_data();
        let each = start.elapsed() / 4;
        work.products = time.div_duration_f64(each).ceil() as usize;
        work
    }

    fn done(&self) -> Tensor<2> {
        let product = |all: Tensor<2>, _| all.matmul(self.factor.clone()).tanh();
        (0..self.products).fold(self.factor.clone(), product)
    }

    /// `output`, after the work.
    fn after(&self, output: Tensor<2>) -> Tensor<2> {
        let result = self.done().slice([0..1, 0..1]);
        let pass = self.passes.fetch_add(1, Ordering::SeqCst);
        if pass == 0 {
            let (begun, passes) = (channel(), self.passes.clone());
            let first = result.clone();
            thread::spawn(move || {
                first.into_data();
                let _ = begun.0.send(passes.load(Ordering::SeqCst));
            });
            *self.begun.lock().unwrap() = Some(begun.1);
        }
        let dims = output.dims();
        output + Tensor::from_inner(result * 0.0).expand(dims)
    }
}

#[test]
fn a_training_runs_ahead_of_its_device() {
    for device in others_with_products() {
        let work = Work::of(Duration::from_millis(400), &device);
        let begun = work.begun.clone();
        // Validation, in which no thread reads, does without the work.
        let training = SupervisedTraining::new("unused", loader(line(12)), loader(Vec::new()))
            .with_application_logger(None)
            .renderer(Box::new(EpochLines::to(std::io::sink(), 1)))
            .num_epochs(1);
        let learner = Learner::new(model(&device, Some(work)), AdamConfig::new().init(), 0.05);
        fit(training, learner).unwrap();
        let begun = begun.lock().unwrap().take().unwrap().recv().unwrap();
        // Of six. A training that reads each loss has begun two at most.
        assert!(
            begun >= 4,
            "{device:?}: {begun} steps were begun when the device was done with the first"
        );
    }
}
