//! The work that is killed, damaged, repeated and done in threads: a small Bayesian regression.
//!
//! Its rows come in their order. Burn's shuffling loader would begin its order anew after a resume, and no resumed
//! training could equal an uninterrupted one.

use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use blitz_train::prelude::*;
use blitz_train::{
    CheckpointError, Checkpoints, FitError, MetricFiles, PredictError, TrainingStep,
};
use burn::data::dataloader::{DataLoader, DataLoaderBuilder};
use burn::data::dataset::InMemDataset;
use burn::module::Module;
use burn::nn::Relu;
use burn::optim::lr_scheduler::cosine::CosineAnnealingLrSchedulerConfig;
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor, TensorData};
use burn::train::checkpoint::KeepLastNCheckpoints;
use burn::train::metric::LossMetric;
use burn::train::{Interrupter, Learner, SupervisedTraining};
use example_support::{say, stop_on_ctrl_c};

use crate::ChildArgs;

/// The checkpoints that are kept: no more than a training needs to go on, so that nothing else makes up for one that is
/// lost.
pub(crate) const KEPT: usize = 1;
/// The name of the trained model in its folder.
pub(crate) const MODEL: &str = "model.bpk";
/// The name of the report.
pub(crate) const REPORT: &str = "report.json";

const ROWS: usize = 40;
const BATCH: usize = 8;

/// One hidden layer.
#[derive(Module, Debug)]
pub(crate) struct Net {
    hidden: BayesianLinear,
    activation: Relu,
    output: BayesianLinear,
}

impl Network for Net {
    type Input = Tensor<2>;
    type Output = Tensor<2>;

    fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        let hidden = self.activation.forward(self.hidden.forward(input));
        self.output.forward(hidden)
    }
}

pub(crate) type Model = ElboModel<Net, GaussianLikelihood>;

/// Why a training has no report.
#[derive(Debug)]
pub(crate) enum WorkError {
    Checkpoint(CheckpointError),
    Fit(FitError),
    /// It was stopped.
    Stopped(String),
    /// The report can't be written.
    Report(String),
}

impl std::fmt::Display for WorkError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Checkpoint(error) => error.fmt(f),
            Self::Fit(error) => error.fmt(f),
            Self::Stopped(reason) => write!(f, "stopped ({reason}): go on with --resume"),
            Self::Report(reason) => f.write_str(reason),
        }
    }
}

impl From<CheckpointError> for WorkError {
    fn from(error: CheckpointError) -> Self {
        Self::Checkpoint(error)
    }
}

impl From<FitError> for WorkError {
    fn from(error: FitError) -> Self {
        Self::Fit(error)
    }
}

/// An untrained model, the same for the same seed in any thread.
pub(crate) fn model(seed: u64) -> Model {
    // Burn's device has one generator for all threads, and Burn makes a weight when it is first read.
    static INITIAL: Mutex<()> = Mutex::new(());
    let _one_at_a_time = INITIAL.lock();
    let device = Device::flex();
    device.seed(seed);
    let device = device.autodiff();
    let network = Net {
        hidden: BayesianLinearConfig::new(1, 16).init(&device),
        activation: Relu::new(),
        output: BayesianLinearConfig::new(16, 1).init(&device),
    };
    let likelihood = GaussianLikelihoodConfig::new()
        .with_noise(LikelihoodParam::Learned(0.5))
        .init(&device);
    let elbo = ElboConfig::new(ROWS)
        .with_samples(2)
        .with_validation_samples(2)
        .with_seed(seed)
        .init();
    let model = ElboModel::new(network, likelihood, elbo);
    assert!(kl(&model).is_finite());
    model
}

/// The KL of the whole model, which reads every weight.
pub(crate) fn kl(model: &Model) -> f32 {
    model.network.kl_cost().into_scalar::<f32>()
}

/// y = sin 3x.
fn rows() -> Vec<(Vec<f32>, [f32; 1])> {
    let x = (0..ROWS).map(|i| 2.0 * i as f32 / ROWS as f32 - 1.0);
    x.map(|x| (vec![x], [(3.0 * x).sin()])).collect()
}

fn loader() -> Arc<dyn DataLoader<LabeledBatch<Tensor<2>, Tensor<2>>>> {
    DataLoaderBuilder::new(RowBatcher)
        .batch_size(BATCH)
        .set_device(Device::flex())
        .build(InMemDataset::new(rows()))
}

/// The checkpoints of the training in `folder`.
pub(crate) fn checkpoints(folder: &Path) -> Checkpoints {
    Checkpoints::new(folder.join("checkpoint"))
}

/// Trains in `folder`, after the checkpoint of `after` if there is one.
pub(crate) fn train(
    seed: u64,
    folder: &Path,
    epochs: usize,
    after: Option<usize>,
    interrupter: &Interrupter,
) -> Result<Model, WorkError> {
    let rate = CosineAnnealingLrSchedulerConfig::new(0.02, epochs * ROWS.div_ceil(BATCH))
        .init()
        .expect("a learning rate in its range");
    let learner = Learner::new(model(seed), AdamConfig::new().init(), rate);
    let mut training = SupervisedTraining::new(folder, loader(), loader())
        .metrics((LossMetric::new(), NllMetric::new(), KlMetric::new()))
        .with_checkpointing_strategy(KeepLastNCheckpoints::new(KEPT))
        .with_application_logger(None)
        .with_interrupter(interrupter.clone())
        .renderer(Box::new(EpochLines::to(std::io::sink(), 1)))
        .num_epochs(epochs);
    training = MetricFiles::new(folder).keep(training);
    training = checkpoints(folder).keep(training);
    if let Some(epoch) = after {
        training = training.checkpoint(epoch);
    }
    let fitted = fit(training, learner)?;
    match fitted.interrupted {
        None => Ok(fitted.model),
        Some(interruption) => Err(WorkError::Stopped(
            interruption.reason.unwrap_or_else(|| "unasked".into()),
        )),
    }
}

fn inputs(device: &Device) -> Tensor<2> {
    let x: Vec<f32> = rows().into_iter().map(|(x, _)| x[0]).collect();
    Tensor::from_data(TensorData::new(x, [ROWS, 1]), device)
}

/// A training loop by hand, one optimizer step at a time.
pub(crate) struct Steps {
    model: Model,
    optimizer: ModuleOptimizer,
    done: u64,
    inputs: Tensor<2>,
    targets: Tensor<2>,
}

impl Steps {
    pub(crate) fn new(seed: u64) -> Self {
        let device = Device::flex().autodiff();
        let y: Vec<f32> = rows().into_iter().map(|(_, [y])| y).collect();
        Self {
            model: model(seed),
            optimizer: AdamConfig::new().init(),
            done: 0,
            inputs: inputs(&device),
            targets: Tensor::from_data(TensorData::new(y, [ROWS, 1]), &device),
        }
    }

    pub(crate) fn model(&self) -> &Model {
        &self.model
    }

    pub(crate) fn step(&mut self) {
        let step = TrainingStep::from(self.done);
        let loss = self.model.elbo().loss(&self.model, step, |model| {
            let output = model.network.forward(self.inputs.clone());
            model.likelihood.nll(output, self.targets.clone())
        });
        let grads = GradientsParams::from_grads(loss.loss.backward(), &self.model);
        self.model = self.optimizer.step(0.01, self.model.clone(), grads);
        self.done += 1;
    }
}

/// What a few draws of the network say, each a sample of all its weights.
pub(crate) fn drawn(model: &Model, seed: u64) -> Vec<u64> {
    let network = model.network.valid();
    let inputs = inputs(&Device::flex());
    let draw = |index| {
        let output = network.with_draw(seed, index, |net| net.forward(inputs.clone()));
        let values = output.into_data().try_to_vec::<f32>();
        values.expect("numbers of f32")
    };
    let values = (0..5).flat_map(draw);
    values.map(|value| u64::from(value.to_bits())).collect()
}

/// The bits of the predictive means at the rows, and of the KL: equal if and only if the models are.
pub(crate) fn fingerprint(model: &Model) -> Vec<u64> {
    try_fingerprint(model).expect("a trained model predicts numbers")
}

/// As [`fingerprint`], of a model whose weights may be any bits.
pub(crate) fn try_fingerprint(model: &Model) -> Result<Vec<u64>, PredictError> {
    let model = model.valid();
    let predictive = model.try_predict(inputs(&Device::flex()), 50, 7)?;
    let mut bits: Vec<u64> = predictive.mean().iter().map(|y| y.to_bits()).collect();
    bits.push(u64::from(kl(&model).to_bits()));
    bits.push(model.steps());
    Ok(bits)
}

fn unwritten(path: &Path, error: std::io::Error) -> WorkError {
    WorkError::Report(format!("cannot write {}: {error}", path.display()))
}

/// The whole run: training, model, prediction, report.
fn run(args: &ChildArgs, interrupter: &Interrupter) -> Result<(), WorkError> {
    let after = match args.resume {
        true => checkpoints(&args.out).last_whole()?,
        false => None,
    };
    let model = train(1, &args.out, args.epochs, after, interrupter)?;
    model.save(args.out.join(MODEL))?;
    let report = args.out.join(REPORT);
    let text = serde_json::to_string(&fingerprint(&model)).expect("numbers");
    let part = args.out.join("report.part");
    std::fs::write(&part, text).map_err(|error| unwritten(&report, error))?;
    std::fs::rename(&part, &report).map_err(|error| unwritten(&report, error))
}

/// The training as a program of its own.
pub(crate) fn child(args: &ChildArgs) -> ExitCode {
    let interrupter = match stop_on_ctrl_c() {
        Ok(interrupter) => interrupter,
        Err(error) => {
            say!("child: {error}");
            return ExitCode::from(2);
        }
    };
    match run(args, &interrupter) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say!("child: {error}");
            ExitCode::from(match error {
                WorkError::Stopped(_) => 130,
                _ => 2,
            })
        }
    }
}
