//! The bridge to Burn's `Learner`: any network and likelihood as a model that trains on the ELBO.

mod fit;
mod output;
mod workers;

pub use fit::{Fitted, fit, fit_on};
pub use output::ElboOutput;

use blitz_layers::blitz_core::BayesianModule;
use burn::module::{Module, ModuleDisplay, Param};
use burn::optim::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::optim::{GradientsParams, ModuleOptimizer, MultiGradientsParams};
use burn::tensor::{Int, Tensor};
use burn::train::{InferenceStep, TrainOutput, TrainStep};

use crate::elbo::{Elbo, ElboLoss};
use crate::error::NonFiniteLoss;
use crate::likelihood::Likelihood;
use fit::Guard;
use workers::{Turns, Workers, is_distributed};

/// What the training needs to know of a network: how to run it.
///
/// ```
/// use blitz_train::prelude::*;
/// use burn::module::Module;
/// use burn::tensor::Tensor;
///
/// #[derive(Module, Debug)]
/// struct Net {
///     layer: BayesianLinear,
/// }
///
/// impl Network for Net {
///     type Input = Tensor<2>;
///     type Output = Tensor<2>;
///
///     fn forward(&self, input: Tensor<2>) -> Tensor<2> {
///         self.layer.forward(input)
///     }
/// }
/// ```
pub trait Network: Module + ModuleDisplay + 'static {
    /// A batch of inputs.
    type Input: Clone + Send + 'static;
    /// What the likelihood takes.
    type Output: Clone + Send + 'static;

    /// The output for a batch, under whatever draw is open.
    fn forward(&self, input: Self::Input) -> Self::Output;
}

/// A batch of examples.
#[derive(Debug, Clone)]
pub struct Batch<I, T> {
    /// The network's input.
    pub inputs: I,
    /// What was observed.
    pub targets: T,
}

/// A network and a likelihood that Burn's `Learner` trains on the ELBO.
///
/// Give it to `burn::train::Learner` and run the training with [`fit`]. Each training step averages over the
/// [`Elbo`]'s draws; validation uses draws that are the same in every epoch. The number of
/// steps made is part of the module's record, so a training resumed from a checkpoint goes on with the draws and the
/// KL weight it would have had. (Burn's shuffling data loader starts its order anew.) For several devices see
/// [`fit_on`].
///
/// ```no_run
/// use blitz_train::prelude::*;
/// use burn::data::dataloader::DataLoader;
/// use burn::optim::AdamConfig;
/// use burn::tensor::{Device, Tensor};
/// use burn::train::{Learner, SupervisedTraining};
/// use std::sync::Arc;
///
/// # fn run<Net: Network<Input = Tensor<2>, Output = Tensor<2>>>(
/// #     net: Net, device: Device,
/// #     train: Arc<dyn DataLoader<Batch<Tensor<2>, Tensor<2>>>>,
/// #     valid: Arc<dyn DataLoader<Batch<Tensor<2>, Tensor<2>>>>,
/// # ) -> Result<(), FitError> {
/// let likelihood = GaussianLikelihoodConfig::new().init(&device);
/// let elbo = ElboConfig::new(train.num_items()).with_samples(3).init();
/// let model = ElboModel::new(net, likelihood, elbo);
///
/// let training = SupervisedTraining::new("runs/mine", train, valid)
///     .metrics((NllMetric::new(), KlMetric::new(), RmseMetric::new(), CoverageMetric::new(0.95)))
///     .with_default_checkpointers()
///     .num_epochs(100);
/// let fitted = fit(training, Learner::new(model, AdamConfig::new().init(), 1e-3))?;
/// fitted.model.save("runs/mine/model.bpk").unwrap();
/// # Ok(())
/// # }
/// ```
#[derive(Module, Debug)]
pub struct ElboModel<N: Network, L: Likelihood> {
    /// The network.
    pub network: N,
    /// The likelihood.
    pub likelihood: L,
    /// The number of optimizer steps made, saved with the weights.
    steps: Param<Tensor<1, Int>>,
    #[module(skip)]
    settings: Settings,
}

/// What a training adds to a model that is not part of its record.
#[derive(Debug, Clone)]
struct Settings {
    elbo: Elbo,
    turns: Turns,
    workers: Workers,
    guard: Guard,
}

impl<N: Network, L: Likelihood> ElboModel<N, L> {
    /// A model that trains `network` under `likelihood`.
    pub fn new(network: N, likelihood: L, elbo: Elbo) -> Self {
        let devices = network.devices().into_iter().chain(likelihood.devices());
        let device = devices.into_iter().next().unwrap_or_default();
        Self {
            network,
            likelihood,
            steps: Param::initialized(
                burn::module::ParamId::new(),
                Tensor::zeros([1], &device.without_autodiff()),
            ),
            settings: Settings {
                elbo,
                turns: Turns::default(),
                workers: Workers::default(),
                guard: Guard::default(),
            },
        }
    }

    /// The objective.
    pub fn elbo(&self) -> &Elbo {
        &self.settings.elbo
    }

    /// The number of optimizer steps made.
    pub fn steps(&self) -> u64 {
        self.steps.val().into_scalar::<i64>().max(0) as u64
    }

    /// Saves network, likelihood and step count as a Burn record.
    pub fn save(&self, path: impl AsRef<std::path::Path>) -> Result<(), burn::store::RecordError> {
        self.clone().save_file(path)
    }

    /// The predictive distribution of `inputs` from draws `0 .. samples` of `seed`.
    ///
    /// Draw `i` of the prediction is `self.network.draw(seed, i)`, so any one of them can be made again. Runs without
    /// autodiff on a model that went through `valid()`, as a finished training's has.
    ///
    /// # Panics
    ///
    /// Panics if `samples` is zero.
    pub fn predict(&self, inputs: N::Input, samples: usize, seed: u64) -> L::Predictive
    where
        L: Likelihood<Output = N::Output>,
    {
        let outputs = predict_draws(&self.network, samples, seed, |network| {
            network.forward(inputs.clone())
        });
        self.likelihood.predictive(outputs)
    }
}

/// What `f` returns in each of the draws `0 .. samples` of `seed`.
///
/// ```
/// use blitz_train::prelude::*;
/// use burn::nn::LinearConfig;
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let net = LinearConfig::new(2, 1).init(&device).bayesianize(&BayesianizeConfig::new());
/// let x = Tensor::<2>::ones([3, 2], &device);
/// let likelihood = GaussianLikelihoodConfig::new().init(&device);
/// let outputs = predict_draws(&net, 20, 0, |net| net.forward(x.clone()));
/// let predictive = likelihood.predictive(outputs);
/// assert_eq!(predictive.interval(0.9).len(), 3);
/// ```
///
/// # Panics
///
/// Panics if `samples` is zero.
pub fn predict_draws<M: Module, O>(
    model: &M,
    samples: usize,
    seed: u64,
    mut f: impl FnMut(&M) -> O,
) -> Vec<O> {
    assert!(samples > 0, "a prediction needs at least one draw, got 0");
    (0..samples as u64)
        .map(|index| model.with_draw(seed, index, &mut f))
        .collect()
}

impl<N, L> ElboModel<N, L>
where
    N: Network,
    L: Likelihood<Output = N::Output>,
{
    /// Counts an optimizer step: the next loss has draws and a KL weight of its own.
    fn advance(mut self) -> Self {
        self.settings.turns = Turns::default();
        self.steps = self.steps.map(|steps| steps.add_scalar(1));
        self
    }

    /// The number of examples that the busiest worker of the training goes through in an epoch.
    fn shard_size(&self) -> usize {
        let examples = self.elbo().config().dataset_size;
        let workers = self.settings.workers.devices().len().max(1);
        // Burn's last worker takes the remainder of the division.
        examples - (workers - 1) * (examples / workers)
    }

    /// The loss by `estimate`, and what the metrics need of its draws.
    fn evaluate(
        &self,
        batch: Batch<N::Input, L::Target>,
        estimate: impl FnOnce(&Elbo, &N, &mut dyn FnMut(&N) -> Tensor<1>) -> ElboLoss,
    ) -> ElboOutput<L::Evaluation> {
        let mut outputs = Vec::new();
        let mut nlls = Vec::new();
        let mut nll = |network: &N| {
            let output = network.forward(batch.inputs.clone());
            let nll = self.likelihood.nll(output.clone(), batch.targets.clone());
            outputs.push(output);
            nlls.push(nll.clone().without_autodiff());
            nll
        };
        let loss = estimate(&self.settings.elbo, &self.network, &mut nll);
        let evaluation = self.likelihood.evaluate(outputs, batch.targets);
        ElboOutput::new(loss, nlls, evaluation)
    }
}

impl<N, L> TrainStep for ElboModel<N, L>
where
    N: Network,
    L: Likelihood<Output = N::Output>,
{
    type Input = Batch<N::Input, L::Target>;
    type Output = ElboOutput<L::Evaluation>;

    /// # Panics
    ///
    /// Panics if the loss is not finite, unless the training runs through [`fit`] or [`fit_on`], which stop it in order;
    /// and if the gradients are distributed over devices that [`fit_on`] was not told of.
    fn step(&self, batch: Self::Input) -> TrainOutput<Self::Output> {
        let workers = self.settings.workers.devices();
        let distributed = is_distributed(&self.network);
        assert!(
            !distributed || !workers.is_empty(),
            "every worker would take the same draws: run a distributed training with `fit_on`"
        );
        let device = || self.steps.val().device();
        let step = self.settings.turns.take(self.steps(), &workers, device);
        let output = self.evaluate(batch, |elbo, network, nll| elbo.loss(network, step, nll));
        let examples = output.examples();
        self.settings.guard.saw_batch(examples);

        let loss = output.loss.clone().into_scalar::<f64>();
        if !loss.is_finite() {
            self.settings.guard.stop(NonFiniteLoss {
                epoch: self.settings.guard.epoch(step.index, self.shard_size()),
                step: step.index + 1,
                nll: output.nll.clone().into_scalar::<f64>(),
                kl: output.kl.clone().into_scalar::<f64>(),
            });
            if distributed {
                // The other workers wait inside their backward passes for this one's gradients.
                drop(output.loss.backward());
            }
            // Without gradients the optimizer leaves the weights as they are.
            return TrainOutput {
                grads: GradientsParams::new(),
                item: output.without_autodiff(),
            };
        }
        let grads = output.loss.backward();
        TrainOutput::new(self, grads, output.without_autodiff())
    }

    fn optimize(
        self,
        optimizer: &mut ModuleOptimizer,
        lr: ModuleLearningRate,
        grads: GradientsParams,
    ) -> Self {
        optimizer.step(lr, self.advance(), grads)
    }

    fn optimize_multi(
        self,
        optimizer: &mut ModuleOptimizer,
        lr: ModuleLearningRate,
        grads: MultiGradientsParams,
    ) -> Self {
        optimizer.step_multi(lr, self.advance(), grads)
    }
}

impl<N, L> InferenceStep for ElboModel<N, L>
where
    N: Network,
    L: Likelihood<Output = N::Output>,
{
    type Input = Batch<N::Input, L::Target>;
    type Output = ElboOutput<L::Evaluation>;

    fn step(&self, batch: Self::Input) -> Self::Output {
        self.evaluate(batch, |elbo, network, nll| {
            elbo.validation_loss(network, nll)
        })
    }
}
