//! Training steps in a loop of our own: at a few hundred rows, Burn's Learner would take longer than the steps.

use blitz_train::distribution::Normal;
use blitz_train::prelude::*;
use blitz_train::{ElboLoss, TrainingStep};
use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use super::rows::{Batches, Rows, Targets};

/// Rows of a training step.
pub const BATCH: usize = 32;

/// A network with the noise on the targets, which is learned along, and the objective.
pub type Model<N, L = GaussianLikelihood> = ElboModel<N, L>;

/// How long, and at which learning rates: from `rate` along a cosine to `last_rate`.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Steps of the optimizer.
    pub steps: usize,
    /// The learning rate of the first step.
    pub rate: f64,
    /// That of the last.
    pub last_rate: f64,
}

impl Plan {
    /// Falling to zero.
    pub fn falling(steps: usize, rate: f64) -> Self {
        Self {
            steps,
            rate,
            last_rate: 0.0,
        }
    }

    /// At one rate.
    pub fn constant(steps: usize, rate: f64) -> Self {
        Self {
            steps,
            rate,
            last_rate: rate,
        }
    }

    /// The learning rate of a step, counted from 0; of an epoch where these are counted.
    pub fn rate_at(&self, step: usize) -> f64 {
        let done = step as f64 / self.steps as f64;
        let share = 0.5 * (1.0 + (std::f64::consts::PI * done).cos());
        self.last_rate + (self.rate - self.last_rate) * share
    }
}

/// A model under a likelihood, with so many examples.
pub fn model<N: Network, L: Likelihood>(
    network: N,
    likelihood: L,
    examples: usize,
    beta: BetaSchedule,
    seed: u64,
) -> Model<N, L> {
    let elbo = ElboConfig::new(examples)
        .with_beta(beta)
        .with_seed(seed)
        .init();
    ElboModel::new(network, likelihood, elbo)
}

/// Trains by `update`, which is given the learning rate, the model and the gradients of a step's loss; `seen` is shown
/// the model after each step.
pub fn train<N, L>(
    model: Model<N, L>,
    rows: &Rows<L::Target>,
    plan: Plan,
    seed: u64,
    update: impl FnMut(f64, Model<N, L>, GradientsParams) -> Model<N, L>,
    seen: impl FnMut(usize, &Model<N, L>),
) -> Model<N, L>
where
    N: Network<Input = Tensor<2>, Output = Tensor<2>>,
    L: Likelihood<Output = Tensor<2>, Target: Targets>,
{
    let loss = |model: &Model<N, L>, step: TrainingStep, batch: Batch<L::Target>| {
        model.elbo().loss(&model.network, step, |network| {
            let output = network.forward(batch.inputs.clone());
            model.likelihood.nll(output, batch.targets.clone())
        })
    };
    train_by(loss, model, rows, plan, seed, update, seen)
}

/// Rows of a step.
pub type Batch<T> = LabeledBatch<Tensor<2>, T>;

/// As [`train`], by a loss of one's own.
pub fn train_by<M: Module, T: Targets>(
    loss: impl Fn(&M, TrainingStep, Batch<T>) -> ElboLoss,
    mut model: M,
    rows: &Rows<T>,
    plan: Plan,
    seed: u64,
    mut update: impl FnMut(f64, M, GradientsParams) -> M,
    mut seen: impl FnMut(usize, &M),
) -> M {
    let mut batches = Batches::new(rows, BATCH, seed);
    for step in 0..plan.steps {
        let loss = loss(&model, (step as u64).into(), batches.draw());
        let grads = GradientsParams::from_grads(loss.loss.backward(), &model);
        model = update(plan.rate_at(step), model, grads);
        seen(step, &model);
    }
    model
}

/// What one network predicts: normals with the noise of its model.
pub fn normals<N: Network<Input = Tensor<2>, Output = Tensor<2>>>(
    model: &Model<N>,
    inputs: &Tensor<2>,
) -> Vec<Normal> {
    let std = model.likelihood.noise_std()[0];
    let means = model.network.forward(inputs.clone()).into_data();
    means.iter().map(|mean| Normal { mean, std }).collect()
}

/// A model without gradients.
pub fn finished<N: Network, L: Likelihood>(model: Model<N, L>) -> Model<N, L> {
    model.valid()
}
