//! How the Learner trains and validates an `ElboModel`.

use burn::optim::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::optim::{GradientsParams, ModuleOptimizer, MultiGradientsParams};
use burn::tensor::Tensor;
use burn::train::{InferenceStep, TrainOutput, TrainStep};

use super::losses::StepLoss;
use super::workers::{Turns, is_distributed};
use super::{ElboModel, ElboOutput};
use crate::batch::LabeledBatch;
use crate::elbo::{Elbo, ElboLoss};
use crate::graph::Trained;
use crate::likelihood::Likelihood;
use crate::network::Network;

impl<N, L> ElboModel<N, L>
where
    N: Network,
    L: Likelihood<Output = N::Output>,
{
    /// Counts an optimizer step: the next loss has draws and a KL weight of its own.
    fn advance(mut self) -> Self {
        self.training.turns = Turns::default();
        // Known before it is counted on: workers, whose forks are dropped, would read it from their devices in every
        // step.
        self.steps();
        self.steps = self.steps.map(|steps| steps.add_scalar(1));
        if let Some(known) = self.known_steps.get_mut() {
            *known += 1;
        }
        self
    }

    /// The model after `step`, which maps weights and leaves the count of steps as it is.
    fn stepped(self, step: impl FnOnce(Self) -> Self) -> Self {
        let known_steps = self.known_steps.clone();
        Self {
            known_steps,
            ..step(self).retied()
        }
    }

    /// The number of losses that the gradients of an optimizer step are the sum of.
    fn losses(&self, no_gradients: bool) -> usize {
        let losses = self.training.turns.losses();
        assert!(
            losses > 0 || no_gradients || self.training.is_launched(),
            "`step` has computed no loss with this model since its last optimizer step. If clones of it have, their draws are \
             the same: run a training on several devices with `fit_on`"
        );
        self.training.saw_step(losses);
        losses.max(1)
    }

    /// The loss by `estimate`, and what the metrics need of its draws.
    fn evaluate(
        &self,
        batch: LabeledBatch<N::Input, L::Target>,
        estimate: impl FnOnce(&Elbo, &N, &mut dyn FnMut(&N) -> Tensor<1>) -> ElboLoss,
    ) -> ElboOutput<L::Evaluation> {
        let mut outputs = Vec::new();
        let mut nlls = Vec::new();
        let predictive = self.likelihood.predictive_likelihood();
        let mut nll = |network: &N| {
            let output = network.forward(batch.inputs.clone());
            let nll = |likelihood: &L| likelihood.nll(output.clone(), batch.targets.clone());
            let loss = nll(&self.likelihood);
            // Most losses are the predictions' own.
            let scored = predictive.as_ref().map_or_else(|| loss.clone(), nll);
            outputs.push(output);
            nlls.push(scored.without_autodiff());
            loss
        };
        let loss = estimate(&self.elbo, &self.network, &mut nll);
        let evaluation = self.likelihood.evaluate(outputs, batch.targets);
        ElboOutput::new(loss, nlls, evaluation)
    }
}

impl<N, L> TrainStep for ElboModel<N, L>
where
    N: Network,
    L: Likelihood<Output = N::Output>,
{
    type Input = LabeledBatch<N::Input, L::Target>;
    type Output = ElboOutput<L::Evaluation>;

    /// # Panics
    ///
    /// Panics if the loss is not finite, unless the training runs through [`fit`](super::fit) or
    /// [`fit_on`](super::fit_on), which stop it in order; if the gradients are distributed over devices that `fit_on`
    /// was not told of, or would go to an update ([`ElboModel::with_update`]); if a weight is trained by an update that
    /// the model was not given; and if one that trains is off the autodiff graph, on which `fit` brings it.
    fn step(&self, batch: Self::Input) -> TrainOutput<Self::Output> {
        let training = &self.training;
        training.begin();
        training.check_once(|| {
            self.updates.check(self);
            Trained::check(self);
        });
        let distributed = is_distributed(&self.network);
        assert!(
            !distributed || !training.workers().is_empty(),
            "every worker would take the same draws: run a distributed training with `fit_on`"
        );
        assert!(
            !distributed || self.updates.is_empty(),
            "{ONE_DEVICE}, got {:?}",
            self.updates
        );
        let device = || self.steps.val().device();
        let step = training
            .turns
            .take(self.steps(), training.workers(), device);
        let output = self.evaluate(batch, |elbo, network, nll| elbo.loss(network, step, nll));
        let examples = output.examples();
        training.saw_batch(examples, step.index);

        let loss = output.loss.clone();
        let item = output.without_autodiff();
        let watched = StepLoss {
            loss: item.loss.clone(),
            nll: item.nll.clone(),
            kl: item.kl.clone(),
            epoch: training.epoch_by_counts(step.index, self.elbo().config().dataset_size),
            step: step.index + 1,
        };
        if !training.admits(watched) {
            if distributed {
                // The other workers wait inside their backward passes for this one's gradients.
                drop(loss.backward());
            }
            // Without gradients the optimizer leaves the weights as they are.
            return TrainOutput {
                grads: GradientsParams::new(),
                item,
            };
        }
        TrainOutput::new(self, loss.backward(), item)
    }

    /// # Panics
    ///
    /// Panics if `step` computed no loss of this optimizer step with this model itself, but clones did, unless
    /// [`fit_on`](super::fit_on) made them: they would all have taken the same draws.
    fn optimize(
        self,
        optimizer: &mut ModuleOptimizer,
        lr: ModuleLearningRate,
        mut grads: GradientsParams,
    ) -> Self {
        let losses = self.losses(grads.is_empty());
        let updates = self.updates.clone();
        self.advance().stepped(|model| {
            let model = updates.update(model, &mut grads, &lr, losses);
            optimizer.step(lr, model, grads)
        })
    }

    /// # Panics
    ///
    /// As `optimize`, and with an update ([`ElboModel::with_update`]).
    fn optimize_multi(
        self,
        optimizer: &mut ModuleOptimizer,
        lr: ModuleLearningRate,
        grads: MultiGradientsParams,
    ) -> Self {
        assert!(
            self.updates.is_empty(),
            "{ONE_DEVICE}, got {:?}",
            self.updates
        );
        self.losses(grads.grads.iter().all(|(grads, _)| grads.is_empty()));
        self.advance()
            .stepped(|model| optimizer.step_multi(lr, model, grads))
    }
}

/// The sum of several devices' gradients is not that of a mean loss.
const ONE_DEVICE: &str = "a model with updates of its own trains on one device";

impl<N, L> InferenceStep for ElboModel<N, L>
where
    N: Network,
    L: Likelihood<Output = N::Output>,
{
    type Input = LabeledBatch<N::Input, L::Target>;
    type Output = ElboOutput<L::Evaluation>;

    fn step(&self, batch: Self::Input) -> Self::Output {
        self.evaluate(batch, |elbo, network, nll| {
            elbo.validation_loss(network, nll)
        })
    }
}
