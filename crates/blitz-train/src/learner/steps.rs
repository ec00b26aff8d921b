//! How the Learner trains and validates an `ElboModel`.

use blitz_layers::blitz_core::BayesianModule;
use burn::optim::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::optim::{GradientsParams, ModuleOptimizer, MultiGradientsParams};
use burn::tensor::Tensor;
use burn::train::{InferenceStep, TrainOutput, TrainStep};

use super::workers::{Turns, is_distributed};
use super::{Batch, ElboModel, ElboOutput, Network};
use crate::elbo::{Elbo, ElboLoss};
use crate::error::NonFiniteLoss;
use crate::likelihood::Likelihood;
use crate::optim::{Ivon, IvonPosterior};

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
    /// Panics if the loss is not finite, unless the training runs through [`fit`](super::fit) or [`fit_on`](super::fit_on), which stop it in order;
    /// and if the gradients are distributed over devices that `fit_on` was not told of.
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
        mut grads: GradientsParams,
    ) -> Self {
        // Burn sums the gradients of accumulated losses; a Hessian has a scale of its own and needs their mean.
        let losses = self.settings.turns.losses().max(1);
        let model = Ivon::step_of_sum(lr.clone(), self.advance(), &mut grads, losses);
        optimizer.step(lr, model, grads)
    }

    fn optimize_multi(
        self,
        optimizer: &mut ModuleOptimizer,
        lr: ModuleLearningRate,
        grads: MultiGradientsParams,
    ) -> Self {
        assert!(
            self.network.posteriors::<IvonPosterior>().is_empty(),
            "IVON trains on one device: the sum of several devices' gradients is not that of a mean loss"
        );
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
