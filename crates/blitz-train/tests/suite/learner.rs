//! Training on Burn's Learner.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};

use blitz_train::prelude::*;
use blitz_train::{BestEpoch, Checkpoints, CoverageMetric, FitError};
use burn::data::dataloader::DataLoader;
use burn::module::Module;
use burn::optim::{AdamConfig, SgdConfig};
use burn::tensor::{Device, Tensor};
use burn::train::checkpoint::KeepLastNCheckpoints;
use burn::train::metric::LossMetric;
use burn::train::{Interrupter, Learner, SupervisedTraining};

use crate::line::{Row, Rows, line, loader};
use crate::values;

#[derive(Module, Debug)]
pub(crate) struct Net {
    pub(crate) layer: BayesianLinear,
}

impl Network for Net {
    type Input = Tensor<2>;
    type Output = Tensor<2>;

    fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        self.layer.forward(input)
    }
}

pub(crate) type Model = ElboModel<Net, GaussianLikelihood>;

pub(crate) fn model() -> Model {
    let device = Device::flex().autodiff();
    let mut layer = BayesianLinearConfig::new(1, 1).init(&device);
    // Burn initializes at random; the tests compare runs.
    layer = layer.map(&mut Zero);
    let likelihood = GaussianLikelihoodConfig::new()
        .with_noise(LikelihoodParam::Fixed(0.2))
        .init(&device);
    ElboModel::new(
        Net { layer },
        likelihood,
        ElboConfig::new(40).with_samples(2).init(),
    )
}

struct Zero;

impl burn::module::ModuleMapper for Zero {
    fn enter_module(&mut self, _name: &str, _container_type: &str) {}

    fn map_float<const D: usize>(
        &mut self,
        param: burn::module::Param<Tensor<D>>,
    ) -> burn::module::Param<Tensor<D>> {
        param.map(|tensor| Tensor::full(tensor.shape(), -2.0, &tensor.device()).require_grad())
    }
}

pub(crate) fn training(folder: &Path, items: Vec<Row>, epochs: usize) -> SupervisedTraining<Model> {
    SupervisedTraining::new(folder, loader(items), loader(line()))
        .metrics((
            LossMetric::new(),
            NllMetric::new(),
            KlMetric::new(),
            RmseMetric::new(),
            CoverageMetric::new(0.95),
        ))
        .with_default_checkpointers()
        .with_checkpointing_strategy(KeepLastNCheckpoints::new(100))
        .with_application_logger(None)
        .renderer(Box::new(EpochLines::to(std::io::sink(), 1)))
        .num_epochs(epochs)
}

/// Without checkpointers, and with two metrics.
pub(crate) fn bare(
    folder: &Path,
    data: Arc<dyn DataLoader<Rows>>,
    epochs: usize,
) -> SupervisedTraining<Model> {
    SupervisedTraining::new(folder, data, loader(line()))
        .metrics((LossMetric::new(), NllMetric::new()))
        .with_application_logger(None)
        .renderer(Box::new(EpochLines::to(std::io::sink(), 1)))
        .num_epochs(epochs)
}

pub(crate) fn learner() -> Learner<Model> {
    Learner::new(model(), AdamConfig::new().init(), 0.05)
}

pub(crate) fn weights(model: &Model) -> Vec<f64> {
    let mut all = values(model.network.layer.weight.base());
    let variational = model
        .network
        .layer
        .weight
        .reparameterization::<blitz_train::blitz_core::BuiltinVariational>();
    all.extend(values(
        variational
            .unwrap()
            .posterior
            .as_normal()
            .unwrap()
            .rho
            .val(),
    ));
    all
}

/// The weights that forward passes have read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<Vec<u32>>>);

impl Seen {
    /// Those since the last call.
    pub(crate) fn take(&self) -> Vec<u32> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

/// Notes the weight of each forward pass.
#[derive(Module, Debug)]
pub(crate) struct Recorder {
    layer: BayesianLinear,
    #[module(skip)]
    seen: Seen,
}

impl Network for Recorder {
    type Input = Tensor<2>;
    type Output = Tensor<2>;

    fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        let output = self.layer.forward(input);
        let weight = values(self.layer.weight.val())[0] as f32;
        self.seen.0.lock().unwrap().push(weight.to_bits());
        output
    }
}

/// A model with two draws a loss and three a validation that notes them. As long as its parameters stay where they are,
/// equal weights are equal draws.
pub(crate) fn recording() -> (ElboModel<Recorder, GaussianLikelihood>, Seen) {
    let device = Device::flex().autodiff();
    let seen = Seen::default();
    let network = Recorder {
        layer: BayesianLinearConfig::new(1, 1).init(&device),
        seen: seen.clone(),
    };
    let likelihood = GaussianLikelihoodConfig::new().init(&device);
    let elbo = ElboConfig::new(40)
        .with_samples(2)
        .with_validation_samples(3);
    (ElboModel::new(network, likelihood, elbo.init()), seen)
}

/// The weights that a training of `epochs` reads, none of which moves.
fn draws_of_a_training(
    epochs: usize,
    set: impl FnOnce(
        SupervisedTraining<ElboModel<Recorder, GaussianLikelihood>>,
    ) -> SupervisedTraining<ElboModel<Recorder, GaussianLikelihood>>,
) -> (u64, Vec<u32>) {
    let (model, seen) = recording();
    let folder = tempfile::tempdir().unwrap();
    let training = SupervisedTraining::new(folder.path(), loader(line()), loader(Vec::new()))
        .with_application_logger(None)
        .renderer(Box::new(EpochLines::to(std::io::sink(), 1)))
        .num_epochs(epochs);
    let learner = Learner::new(model, SgdConfig::new().init(), 0.0);
    let steps = fit(set(training), learner).unwrap().model.steps();
    (steps, seen.take())
}

fn assert_all_differ(seen: &[u32]) {
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), seen.len());
}

#[test]
fn the_learner_trains_validates_and_predicts() {
    let folder = tempfile::tempdir().unwrap();
    let fitted = fit(training(folder.path(), line(), 60), learner()).unwrap();
    assert!(fitted.interrupted.is_none());
    assert_eq!(fitted.model.steps(), 60 * 5);

    let device = Device::flex();
    let x = Tensor::<2>::from_floats([[-1.0], [0.5]], &device);
    let predictive = fitted.model.predict(x.clone(), 200, 1);
    for (mean, truth) in predictive.mean().into_iter().zip([-1.0, 2.0]) {
        // At a constant rate Adam goes on walking about the minimum: by two steps of 0.05 in the weight and in the bias
        // at most.
        assert!((mean - truth).abs() < 0.2, "{mean} instead of {truth}");
    }
    assert!(predictive.epistemic_std().iter().all(|std| *std > 0.0));
    assert_eq!(predictive, fitted.model.predict(x, 200, 1));
}

#[test]
fn two_trainings_of_one_seed_are_the_same_to_the_bit() {
    let weights = [(); 2].map(|()| {
        let folder = tempfile::tempdir().unwrap();
        weights(
            &fit(training(folder.path(), line(), 3), learner())
                .unwrap()
                .model,
        )
    });
    assert_eq!(weights[0], weights[1]);
}

#[test]
fn a_resumed_training_ends_where_an_uninterrupted_one_does() {
    let (whole, halves) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let expected = fit(training(whole.path(), line(), 6), learner())
        .unwrap()
        .model;
    fit(training(halves.path(), line(), 3), learner()).unwrap();
    let resumed = fit(training(halves.path(), line(), 6).checkpoint(3), learner())
        .unwrap()
        .model;
    // Steps, draws, optimizer moments and weights all go on.
    assert_eq!(resumed.steps(), expected.steps());
    assert_eq!(weights(&resumed), weights(&expected));
}

#[test]
fn a_saved_model_predicts_the_same_after_loading() {
    let folder = tempfile::tempdir().unwrap();
    let model = fit(training(folder.path(), line(), 3), learner())
        .unwrap()
        .model;
    let file = folder.path().join("model.bpk");
    model.save(&file).unwrap();
    let loaded = crate::learner::model().valid().load_file(&file);
    let x = Tensor::<2>::from_floats([[0.3]], &Device::flex());
    assert_eq!(model.predict(x.clone(), 20, 7), loaded.predict(x, 20, 7));
    assert_eq!(loaded.steps(), model.steps());
}

#[test]
fn a_loss_that_is_not_finite_stops_the_training_and_keeps_the_last_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    fit(training(folder.path(), line(), 2), learner()).unwrap();
    let checkpoint = folder.path().join("checkpoint");
    let before = std::fs::read(checkpoint.join("model-2.bpk")).unwrap();

    // The 13th batch of the resumed run is the third of epoch 3.
    let mut items = line();
    items[20].1 = [f32::NAN];
    let training = training(folder.path(), items, 5).checkpoint(2);
    let Err(FitError::NonFiniteLoss(error)) = fit(training, learner()) else {
        panic!("the training went on");
    };
    assert_eq!((error.epoch, error.step), (3, 13));
    assert!(error.to_string().contains("epoch 3, step 13"), "{error}");
    assert!(error.nll.is_nan() && error.kl.is_finite());
    assert_eq!(
        before,
        std::fs::read(checkpoint.join("model-2.bpk")).unwrap()
    );
    assert!(!checkpoint.join("model-3.bpk").exists());
}

#[test]
fn an_interrupted_training_says_so_and_returns_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let interrupter = Interrupter::new();
    interrupter.stop(Some("enough"));
    let training = training(folder.path(), line(), 5).with_interrupter(interrupter);
    let fitted = fit(training, learner()).unwrap();
    assert_eq!(
        fitted.interrupted.unwrap().reason.as_deref(),
        Some("enough")
    );
    assert_eq!(fitted.model.steps(), 1);
}

#[test]
fn accumulated_gradients_count_as_one_step_with_draws_of_their_own() {
    // Five batches an epoch, two draws a loss.
    let (steps, seen) = draws_of_a_training(2, |training| training.grads_accumulation(5));
    assert_eq!((steps, seen.len()), (2, 2 * 5 * 2));
    assert_all_differ(&seen);
}

/// What is written, for a test to read.
#[derive(Clone, Default)]
struct Shared(Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn every_epoch_writes_one_line_with_all_metrics() {
    let folder = tempfile::tempdir().unwrap();
    let out = Shared::default();
    let training =
        training(folder.path(), line(), 3).renderer(Box::new(EpochLines::to(out.clone(), 2)));
    fit(training, learner()).unwrap();
    let text = String::from_utf8(out.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert!(
        lines[0].starts_with("epoch 2/3 ") && lines[1].starts_with("epoch 3/3 "),
        "{text}"
    );
    for part in [
        "train Loss ",
        "valid Loss ",
        " NLL ",
        " KL ",
        " RMSE ",
        " Coverage 95% ",
    ] {
        assert!(lines[1].contains(part), "{part} in {text}");
    }
}

#[test]
fn the_last_epoch_of_a_training_that_stops_early_has_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let out = Shared::default();
    let checkpoints = Checkpoints::new(folder.path().join("checkpoint"));
    // The first epoch's NLL is the highest, so that no later one is better.
    let best = BestEpoch::highest(&NllMetric::new()).with_patience(3);
    let lines = EpochLines::to(out.clone(), 3);
    let training = training(folder.path(), line(), 20).renderer(Box::new(lines));
    fit(best.watch(training, &checkpoints), learner()).unwrap();
    assert_eq!(best.stopped_in(), Some(4));
    let text = String::from_utf8(out.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert!(lines[0].starts_with("epoch 3/20 "), "{text}");
    assert!(lines[1].starts_with("epoch 4/20 "), "{text}");
}

#[test]
fn steps_are_counted_on_several_devices_too_each_with_draws_of_its_own() {
    use burn::train::{ExecutionStrategy, MultiDeviceOptim, TrainingStrategy};

    for optimizer in [
        MultiDeviceOptim::OptimMainDevice,
        MultiDeviceOptim::OptimSharded,
    ] {
        let devices = vec![Device::flex(), Device::flex()];
        let strategy = ExecutionStrategy::MultiDevice(devices, optimizer);
        let (steps, seen) = draws_of_a_training(2, |training| {
            training.with_training_strategy(TrainingStrategy::Default(strategy))
        });
        // Twenty points a device in batches of eight: three steps an epoch of two losses of two draws.
        assert_eq!((steps, seen.len()), (6, 6 * 2 * 2));
        assert_all_differ(&seen);
    }
}
