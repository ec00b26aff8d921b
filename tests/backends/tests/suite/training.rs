//! Trainings by the Learner on each device.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use blitz_train::blitz_core::device;
use blitz_train::prelude::*;
use blitz_train::{Checkpoints, FitError};
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataloader::{DataLoader, DataLoaderBuilder};
use burn::data::dataset::InMemDataset;
use burn::module::{Module, Param};
use burn::optim::AdamConfig;
use burn::tensor::{Device, Tensor};
use burn::train::checkpoint::KeepLastNCheckpoints;
use burn::train::{Learner, SupervisedTraining};

use crate::devices::others;

/// An input and a target.
type Row = ([f32; 1], [f32; 1]);
type Rows = LabeledBatch<Tensor<2>, Tensor<2>>;

/// `y = w x`, without a matrix product in it.
#[derive(Module, Debug)]
struct Slope {
    weight: Param<Tensor<2>>,
}

impl Network for Slope {
    type Input = Tensor<2>;
    type Output = Tensor<2>;

    fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        input * self.weight.val()
    }
}

/// Batches the `bad`th of which, counted from 1, has targets that are NaN.
struct BadBatcher {
    batches: AtomicUsize,
    bad: usize,
}

impl Batcher<Row, Rows> for BadBatcher {
    fn batch(&self, mut rows: Vec<Row>, device: &Device) -> Rows {
        if self.batches.fetch_add(1, Ordering::SeqCst) + 1 == self.bad {
            for (_, target) in &mut rows {
                *target = [f32::NAN];
            }
        }
        RowBatcher.batch(rows, device)
    }
}

/// Points of a line in batches of two.
fn line(len: usize, bad: usize) -> Arc<dyn DataLoader<Rows>> {
    let x = (0..len).map(|i| i as f32 / len as f32);
    let batches = AtomicUsize::new(0);
    DataLoaderBuilder::new(BadBatcher { batches, bad })
        .batch_size(2)
        .build(InMemDataset::new(x.map(|x| ([x], [2.0 * x])).collect()))
}

fn model(device: &Device) -> ElboModel<Slope, GaussianLikelihood> {
    let device = device.clone().autodiff();
    let weight = Param::from_tensor(Tensor::full([1, 1], 0.5, &device));
    let network = Slope { weight }.bayesianize(&BayesianizeConfig::new());
    let likelihood = GaussianLikelihoodConfig::new()
        .with_noise(LikelihoodParam::Fixed(0.2))
        .init(&device);
    ElboModel::new(network, likelihood, ElboConfig::new(8).init())
}

fn learner(device: &Device) -> Learner<ElboModel<Slope, GaussianLikelihood>> {
    Learner::new(model(device), AdamConfig::new().init(), 0.05)
}

/// Epochs of four steps.
fn training(
    folder: &Path,
    bad: usize,
    epochs: usize,
) -> SupervisedTraining<ElboModel<Slope, GaussianLikelihood>> {
    SupervisedTraining::new(folder, line(8, bad), line(2, 0))
        .with_default_checkpointers()
        .with_checkpointing_strategy(KeepLastNCheckpoints::new(100))
        .with_application_logger(None)
        .renderer(Box::new(EpochLines::to(std::io::sink(), 1)))
        .num_epochs(epochs)
}

#[test]
fn a_loss_that_is_not_finite_ends_a_training_before_its_checkpoint() {
    for device in others() {
        // The last step of an epoch, right before the checkpoint, and one in the middle.
        for bad in [12, 10] {
            let folder = tempfile::tempdir().unwrap();
            let error = fit(training(folder.path(), bad, 5), learner(&device)).unwrap_err();
            let FitError::NonFiniteLoss(error) = error else {
                panic!("{device:?}: {error}");
            };
            assert_eq!((error.epoch, error.step), (3, bad as u64), "{device:?}");
            assert!(
                error.nll.is_nan() && error.kl.is_finite(),
                "{device:?}: {error}"
            );
            let checkpoints = Checkpoints::new(folder.path().join("checkpoint"));
            assert_eq!(checkpoints.epochs().unwrap(), [1, 2], "{device:?}");
        }
    }
}

/// Burn reads an optimizer's record on its default device, which is CUDA in a build that has it.
#[test]
fn a_training_goes_on_or_says_how_where_burns_default_device_is_absent() {
    for device in others() {
        let folder = tempfile::tempdir().unwrap();
        let first = fit(training(folder.path(), 0, 2), learner(&device)).unwrap();
        assert_eq!(first.model.steps(), 8, "{device:?}");
        match fit(
            training(folder.path(), 0, 3).checkpoint(2),
            learner(&device),
        ) {
            Ok(fitted) => assert_eq!(fitted.model.steps(), 12, "{device:?}"),
            Err(error) => {
                let is_there = device::choose(Some("cuda")).is_ok();
                assert!(
                    !is_there && device != Device::default(),
                    "{device:?}: {error}"
                );
                assert!(
                    error.to_string().contains("BURN_DEVICE"),
                    "{device:?}: {error}"
                );
            }
        }
    }
}
