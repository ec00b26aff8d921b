//! Trainings that can't be: what `fit` says of them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use blitz_train::prelude::*;
use blitz_train::{CheckpointError, Checkpoints, FitError, fit_on};
use burn::data::dataloader::{DataLoader, DataLoaderBuilder};
use burn::data::dataset::InMemDataset;
use burn::module::{
    Content, Lora, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor,
};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, SgdConfig};
use burn::tensor::{Device, Tensor};
use burn::train::{
    ExecutionStrategy, Interrupter, Learner, MultiDeviceOptim, SupervisedTraining, TrainStep,
};

use crate::learner::{Model, Net, learner, model, training, weights};
use crate::line::{Rows, line, loader, meanwhile};

/// Data of which one batch, counted from 1 over all epochs, has targets that are not numbers.
fn breaking(at: usize) -> Arc<dyn DataLoader<Rows>> {
    meanwhile(at, |rows| {
        for (_, target) in rows {
            *target = [f32::NAN];
        }
    })
}

fn training_with(
    folder: &Path,
    data: Arc<dyn DataLoader<Rows>>,
    epochs: usize,
) -> SupervisedTraining<Model> {
    SupervisedTraining::new(folder, data, loader(line()))
        .with_default_checkpointers()
        .with_application_logger(None)
        .renderer(Box::new(EpochLines::to(std::io::sink(), 1)))
        .num_epochs(epochs)
}

fn of_size(dataset_size: usize) -> Model {
    let Model {
        network,
        likelihood,
        ..
    } = model();
    ElboModel::new(network, likelihood, ElboConfig::new(dataset_size).init())
}

fn learner_of(model: Model) -> Learner<Model> {
    Learner::new(model, AdamConfig::new().init(), 0.01)
}

#[track_caller]
fn non_finite<M: std::fmt::Debug>(result: Result<M, FitError>) -> (u64, u64) {
    match result {
        Err(FitError::NonFiniteLoss(error)) => {
            let message = error.to_string();
            assert!(
                message.contains(&format!("epoch {}, step {}", error.epoch, error.step)),
                "{message}"
            );
            (error.epoch, error.step)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_epoch_of_an_error_is_the_learners_whatever_is_accumulated_and_whatever_size_was_said() {
    for dataset_size in [40, 7, 1000] {
        for accumulation in [1, 2, 5, 9] {
            // The first, the second and the last batch of epoch 3.
            for at in [11, 12, 15] {
                let folder = tempfile::tempdir().unwrap();
                let training = training_with(folder.path(), breaking(at), 4);
                let training = training.grads_accumulation(accumulation);
                let steps = 5usize.div_ceil(accumulation);
                let step = 2 * steps + (at - 11) / accumulation + 1;
                let error = fit(training, learner_of(of_size(dataset_size)));
                assert_eq!(
                    non_finite(error),
                    (3, step as u64),
                    "{dataset_size} {accumulation} {at}"
                );
            }
        }
    }
}

/// The loss of a step's own batch knows nothing of what the step leaves.
#[test]
fn weights_that_the_last_step_left_not_finite_are_an_error_and_no_checkpoint() {
    for epochs in [1, 3] {
        let folder = tempfile::tempdir().unwrap();
        let data = DataLoaderBuilder::new(RowBatcher)
            .batch_size(64)
            .build(InMemDataset::new(line()));
        let learner = Learner::new(model(), SgdConfig::new().init(), 1e39);
        let error = fit(training_with(folder.path(), data, epochs), learner);
        let error = error.expect_err("no weight is finite");
        assert!(
            matches!(&error, FitError::NonFiniteWeight { path } if path.contains("layer.weight")),
            "{error}"
        );
        let checkpoints = Checkpoints::new(folder.path().join("checkpoint"));
        assert_eq!(checkpoints.last_whole().unwrap_or_default(), None);
    }
}

#[test]
fn a_training_that_failed_leaves_the_programs_interrupter_to_the_next() {
    let interrupter = Interrupter::new();
    let run = |data| {
        let folder = tempfile::tempdir().unwrap();
        let training = training_with(folder.path(), data, 2);
        fit(training.with_interrupter(interrupter.clone()), learner())
    };
    let alone = run(breaking(0)).unwrap().model;
    non_finite(run(breaking(3)));
    assert!(!interrupter.should_stop());
    let after = run(breaking(0)).unwrap();
    assert!(after.interrupted.is_none());
    assert_eq!(weights(&after.model), weights(&alone));

    // Who asked before it is still heard.
    interrupter.stop(Some("Ctrl-C"));
    non_finite(run(breaking(1)));
    assert!(interrupter.should_stop());
    assert_eq!(interrupter.get_message().as_deref(), Some("Ctrl-C"));
}

#[test]
fn the_epoch_of_a_resumed_training_is_counted_from_its_checkpoint() {
    for dataset_size in [40, 3] {
        let folder = tempfile::tempdir().unwrap();
        let first = training_with(folder.path(), loader(line()), 2).grads_accumulation(5);
        fit(first, learner_of(of_size(dataset_size))).unwrap();
        let resumed = training_with(folder.path(), breaking(7), 9).grads_accumulation(5);
        let error = fit(resumed.checkpoint(2), learner_of(of_size(dataset_size)));
        assert_eq!(non_finite(error), (4, 4));
    }
}

#[test]
fn the_epoch_is_the_learners_on_two_devices_too() {
    #[allow(deprecated)] // ndarray stays supported here.
    let devices = || vec![Device::flex(), Device::ndarray()];
    for optimizer in [
        MultiDeviceOptim::OptimMainDevice,
        MultiDeviceOptim::OptimSharded,
    ] {
        for accumulation in [1, 2] {
            let folder = tempfile::tempdir().unwrap();
            let mut items = line();
            items[20].1 = [f32::NAN];
            let data = || loader(line());
            let first = training_with(folder.path(), data(), 2).grads_accumulation(accumulation);
            let strategy = || ExecutionStrategy::multi(devices(), optimizer);
            fit_on(first, learner_of(of_size(9)), strategy()).unwrap();
            let resumed = training_with(folder.path(), loader(items), 5)
                .grads_accumulation(accumulation)
                .checkpoint(2);
            let error = fit_on(resumed, learner_of(of_size(9)), strategy());
            assert_eq!(non_finite(error).0, 3);
        }
    }
}

#[test]
fn a_loop_by_hand_counts_epochs_by_the_losses_of_its_steps() {
    let device = Device::flex().autodiff();
    let batch = |target: f32| LabeledBatch {
        inputs: Tensor::<2>::ones([8, 1], &device),
        targets: Tensor::<2>::full([8, 1], target, &device),
    };
    let mut model = of_size(40);
    let mut adam = AdamConfig::new().init();
    for _ in 0..2 {
        let mut sum = burn::optim::GradientsAccumulator::new();
        for _ in 0..5 {
            sum.accumulate(&model, TrainStep::step(&model, batch(1.0)).grads);
        }
        model = model.optimize(&mut adam, 0.01.into(), sum.grads());
    }
    let panic = catch_unwind(AssertUnwindSafe(|| {
        TrainStep::step(&model, batch(f32::NAN))
    }));
    let message = *panic.err().unwrap().downcast::<String>().unwrap();
    assert!(message.contains("epoch 3, step 3"), "{message}");
}

fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder.join("checkpoint")).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_training_on_nothing_is_an_error_and_writes_no_checkpoint() {
    let empty = || loader(Vec::new());
    let folder = tempfile::tempdir().unwrap();
    let error = fit(training_with(folder.path(), empty(), 3), learner()).unwrap_err();
    assert!(matches!(error, FitError::NoExamples), "{error}");
    let devices = [vec![Device::flex()], vec![Device::flex(), Device::flex()]];
    for devices in devices {
        let strategy = ExecutionStrategy::multi(devices, MultiDeviceOptim::OptimMainDevice);
        let training = training_with(folder.path(), empty(), 3).grads_accumulation(2);
        let error = fit_on(training, learner(), strategy).unwrap_err();
        assert!(matches!(error, FitError::NoExamples), "{error}");
    }
    assert!(files(folder.path()).is_empty());
    // Also one that goes on, whose checkpoint stays what it was.
    fit(training_with(folder.path(), loader(line()), 1), learner()).unwrap();
    let before = files(folder.path());
    let resumed = training_with(folder.path(), empty(), 3).checkpoint(1);
    let error = fit(resumed, learner()).unwrap_err();
    assert!(matches!(error, FitError::NoExamples), "{error}");
    assert_eq!(files(folder.path()), before);
}

#[test]
fn a_training_without_validation_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let training = SupervisedTraining::new(folder.path(), loader(line()), loader(Vec::new()))
        .with_application_logger(None)
        .renderer(Box::new(EpochLines::to(std::io::sink(), 1)))
        .num_epochs(2);
    assert_eq!(fit(training, learner()).unwrap().model.steps(), 10);
}

#[test]
fn a_training_without_epochs_is_an_error_and_one_that_is_over_is_what_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let error = fit(training(folder.path(), line(), 0), learner()).unwrap_err();
    assert!(matches!(error, FitError::NoEpochs), "{error}");
    let model = fit(training(folder.path(), line(), 2), learner())
        .unwrap()
        .model;
    let over = training(folder.path(), line(), 2).checkpoint(2);
    let interrupter = over.interrupter();
    let again = fit(over, learner()).unwrap();
    // Neither this training was interrupted, nor is the next that has the interrupter.
    assert!(again.interrupted.is_none() && !interrupter.should_stop());
    let again = again.model;
    assert_eq!(weights(&again), weights(&model));
    assert_eq!(again.steps(), 10);
}

#[track_caller]
fn checkpoint_error<M: std::fmt::Debug>(result: Result<M, FitError>) -> CheckpointError {
    match result {
        Err(FitError::Checkpoint(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_checkpoint_that_is_not_there_is_named_with_those_that_are() {
    // By Burn's own checkpointers, and by those with digests.
    for sealed in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let checkpoint = folder.path().join("checkpoint");
        let training = |epochs| {
            let training = training(folder.path(), line(), epochs);
            match sealed {
                true => Checkpoints::new(&checkpoint).keep(training),
                false => training,
            }
        };
        let resume = |epoch| checkpoint_error(fit(training(99).checkpoint(epoch), learner()));
        let missing = |epoch, epochs: &[usize]| CheckpointError::Missing {
            folder: checkpoint.clone(),
            epoch,
            epochs: epochs.to_vec(),
        };
        assert_eq!(resume(98), missing(98, &[]));
        fit(training(3), learner()).unwrap();
        assert_eq!(resume(98), missing(98, &[1, 2, 3]));
        let message = resume(98).to_string();
        assert!(
            message.ends_with(
                "checkpoint has no checkpoint of epoch 98, only those of epochs 1, 2, 3"
            ),
            "{message}"
        );

        // A part of a checkpoint is none, nor is another file.
        std::fs::write(checkpoint.join("model-of-mine.txt"), "").unwrap();
        std::fs::remove_file(checkpoint.join("optim-2.bpk")).unwrap();
        assert_eq!(resume(2), missing(2, &[1, 3]));
        std::fs::remove_file(checkpoint.join("scheduler-3.bpk")).unwrap();
        assert_eq!(resume(3), missing(3, &[1]));
        // And what is whole is still good.
        let fitted = fit(training(2).checkpoint(1), learner()).unwrap();
        assert_eq!(fitted.model.steps(), 10);
    }
}

#[test]
fn a_checkpoint_that_is_damaged_or_of_another_model_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = folder.path().join("checkpoint");
    let sealed = || Checkpoints::new(&checkpoint).keep(training(folder.path(), line(), 3));
    let burns = || training(folder.path(), line(), 3);
    fit(sealed(), learner()).unwrap();
    let device = Device::flex().autodiff();
    let other = |outputs| {
        let layer = BayesianLinearConfig::new(1, outputs).init(&device);
        let likelihood = GaussianLikelihoodConfig::new()
            .with_noise(LikelihoodParam::Fixed(0.2))
            .with_targets(outputs)
            .init(&device);
        let network = Net { layer };
        ElboModel::new(network, likelihood, ElboConfig::new(40).init())
    };
    let resume = |training: SupervisedTraining<Model>, model| {
        checkpoint_error(fit(training.checkpoint(1), learner_of(model)))
    };
    for training in [sealed(), burns()] {
        let error = resume(training, other(2)).to_string();
        assert!(
            error.contains("the checkpoint's model: it is of another model, "),
            "{error}"
        );
        assert!(error.contains("weight: shape mismatch"), "{error}");
    }
    for kind in ["scheduler", "optim", "model"] {
        let path = checkpoint.join(format!("{kind}-1.bpk"));
        std::fs::write(&path, "no record at all, but long enough to have a header").unwrap();
        let error = resume(burns(), other(1));
        assert!(matches!(error, CheckpointError::Refused { .. }), "{error}");
        assert!(
            error.to_string().contains("Invalid magic number"),
            "{error}"
        );
        assert_eq!(
            resume(sealed(), other(1)),
            CheckpointError::Damaged { path }
        );
    }
}

#[test]
fn a_checkpoint_without_checkpointers_is_not_silently_a_fresh_start() {
    let folder = tempfile::tempdir().unwrap();
    let fresh = || {
        SupervisedTraining::new(folder.path(), loader(line()), loader(line()))
            .with_application_logger(None)
            .renderer(Box::new(EpochLines::to(std::io::sink(), 1)))
            .num_epochs(5)
            .checkpoint(3)
    };
    let error = fit(fresh(), learner()).unwrap_err();
    assert!(
        matches!(error, FitError::NothingLoaded { epoch: 4 }),
        "{error}"
    );
    // A model that has trained before goes on from where it is.
    let trained = fit(training(folder.path(), line(), 3), learner())
        .unwrap()
        .model;
    let fitted = fit(fresh(), learner_of(trained.train())).unwrap();
    assert_eq!(fitted.model.steps(), 25);
}

#[derive(Module, Debug)]
struct Panicking {
    layer: BayesianLinear,
}

impl Network for Panicking {
    type Input = Tensor<2>;
    type Output = Tensor<2>;

    fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        assert!(
            input.dims()[0] != 8,
            "a network of the program's own panics"
        );
        self.layer.forward(input)
    }
}

#[test]
fn a_log_that_cannot_be_written_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("experiment.log")).unwrap();
    let training = SupervisedTraining::new(folder.path(), loader(line()), loader(line()))
        .renderer(Box::new(EpochLines::to(std::io::sink(), 1)))
        .num_epochs(1);
    let error = fit(training, learner_of(model())).unwrap_err();
    assert!(matches!(error, FitError::Start { .. }), "{error}");
    assert!(
        error.to_string().contains("`experiment.log` in its folder"),
        "{error}"
    );
}

#[test]
fn a_panic_of_the_network_stays_a_panic() {
    let device = Device::flex().autodiff();
    let layer = BayesianLinearConfig::new(1, 1).init(&device);
    let likelihood = GaussianLikelihoodConfig::new().init(&device);
    let model = ElboModel::new(Panicking { layer }, likelihood, ElboConfig::new(40).init());
    let folder = tempfile::tempdir().unwrap();
    let training = SupervisedTraining::new(folder.path(), loader(line()), loader(line()))
        .with_application_logger(None)
        .renderer(Box::new(EpochLines::to(std::io::sink(), 1)));
    let learner = Learner::new(model, AdamConfig::new().init(), 0.01);
    let panic = catch_unwind(AssertUnwindSafe(|| fit(training, learner)));
    let payload = panic.err().unwrap();
    let message = payload.downcast_ref::<&str>().copied().map(str::to_string);
    let message = message.or_else(|| payload.downcast_ref::<String>().cloned());
    assert_eq!(
        message.as_deref(),
        Some("a network of the program's own panics")
    );
}

#[test]
#[should_panic(expected = "a training needs at least one device, got none")]
fn a_training_on_no_device_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let strategy = ExecutionStrategy::multi(Vec::new(), MultiDeviceOptim::OptimMainDevice);
    let _ = fit_on(training(folder.path(), line(), 1), learner(), strategy);
}

#[test]
fn a_model_of_which_nothing_trains_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let training = training_with(folder.path(), loader(line()), 2);
    let error = fit(training, learner_of(model().freeze())).unwrap_err();
    assert!(matches!(error, FitError::NothingTrains), "{error}");
}

/// A network whose `train()` leaves it as it is.
#[derive(Debug, Clone)]
struct Stays {
    layer: Linear,
}

impl Module for Stays {
    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        visitor.enter_module("layer", "Struct:Stays");
        self.layer.visit(visitor);
        visitor.exit_module("layer", "Struct:Stays");
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        let layer = self.layer.map(mapper);
        Self { layer }
    }

    fn collect_devices(&self, devices: Vec<Device>) -> Vec<Device> {
        self.layer.collect_devices(devices)
    }

    fn to_device(self, device: &Device) -> Self {
        let layer = self.layer.to_device(device);
        Self { layer }
    }

    fn fork(self, device: &Device) -> Self {
        let layer = self.layer.fork(device);
        Self { layer }
    }

    fn valid(&self) -> Self {
        let layer = self.layer.valid();
        Self { layer }
    }

    fn train(self) -> Self {
        self
    }

    fn materialize(self) -> Self {
        self
    }
}

impl ModuleDisplayDefault for Stays {
    fn content(&self, content: Content) -> Option<Content> {
        content.add("layer", &self.layer).optional()
    }

    fn num_params(&self) -> usize {
        Module::num_params(self)
    }
}

impl ModuleDisplay for Stays {}

impl Network for Stays {
    type Input = Tensor<2>;
    type Output = Tensor<2>;

    fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        self.layer.forward(input)
    }
}

#[test]
fn a_weight_that_does_not_come_on_the_autodiff_graph_is_an_error_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let layer = LinearConfig::new(1, 1).init(&Device::flex());
    let likelihood = GaussianLikelihoodConfig::new().init(&Device::flex().autodiff());
    let model = ElboModel::new(Stays { layer }, likelihood, ElboConfig::new(40).init());
    let learner = Learner::new(model, AdamConfig::new().init(), 0.01);
    let training = SupervisedTraining::new(folder.path(), loader(line()), loader(line()))
        .with_application_logger(None)
        .renderer(Box::new(EpochLines::to(std::io::sink(), 1)))
        .num_epochs(2);
    let error = fit(training, learner).unwrap_err();
    assert!(
        matches!(&error, FitError::OffGraph { path } if path == "network.layer.weight"),
        "{error}"
    );
}

#[test]
fn an_adapter_that_came_after_the_posteriors_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let error = |model: Model| {
        let training = training_with(folder.path(), loader(line()), 2);
        fit(training, learner_of(model)).unwrap_err()
    };
    let Model {
        network,
        likelihood,
        ..
    } = model();
    let elbo = ElboConfig::new(40).init();
    let adapted = |network: Net| {
        let network = network.apply_lora(Lora::new(1, 4.0));
        ElboModel::new(network, likelihood.clone(), elbo.clone())
    };
    // All is frozen.
    let nothing = error(adapted(network));
    assert!(matches!(nothing, FitError::NothingTrains), "{nothing}");
    // The posterior's own matrix has an adapter that trains.
    let layer = BayesianLinearConfig::new(1, 1)
        .with_posterior(PosteriorConfig::low_rank_normal(1, 0.1))
        .with_bias(false)
        .init(&Device::flex().autodiff());
    let error = error(adapted(Net { layer }));
    assert!(
        matches!(&error, FitError::InsidePosterior { weights } if *weights == ["layer.weight"]),
        "{error}"
    );
}
