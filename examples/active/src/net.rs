//! A Bayesian perceptron, its training, and its draws for many digits.

use blitz_train::acquisition::{ClassDraws, random};
use blitz_train::predict_draws;
use blitz_train::prelude::*;
use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use example_support::RunError;
use example_support::methods::Plan;

use crate::Cli;
use crate::data::{CLASSES, Digits, PIXELS};

/// Units of the hidden layer.
const HIDDEN: usize = 100;
/// Digits in a training step.
const BATCH: usize = 64;
/// The learning rate at the start; it falls to 0 along a cosine.
const RATE: f64 = 0.01;

/// Pixels → rectified units → classes.
#[derive(Module, Debug)]
pub struct Net {
    hidden: BayesianLinear,
    output: BayesianLinear,
}

impl Net {
    fn new(device: &Device) -> Self {
        let layer = |inputs: usize, outputs: usize| {
            BayesianLinearConfig::new(inputs, outputs)
                .with_posterior(PosteriorConfig::normal(0.05))
                .with_prior(PriorConfig::learned_normal(0.3))
                .with_estimator(Estimator::LocalReparameterization)
                .init(device)
        };
        Self {
            hidden: layer(PIXELS, HIDDEN),
            output: layer(HIDDEN, CLASSES),
        }
    }

    fn forward(&self, digits: Tensor<2>) -> Tensor<2> {
        self.output.forward(relu(self.hidden.forward(digits)))
    }

    /// Trained on `labelled` digits, from initial weights of `seed`.
    pub fn trained(cli: &Cli, labelled: &Digits, seed: u64, device: &Device) -> Self {
        let device = device.clone().autodiff();
        device.seed(seed);
        let mut net = Self::new(&device);
        let likelihood = CategoricalLikelihoodConfig::new(CLASSES).init();
        let elbo = ElboConfig::new(labelled.len())
            .with_beta(BetaSchedule::Constant(cli.beta))
            .with_seed(seed)
            .init();
        let mut adam = FusedAdamConfig::new().init();
        let plan = Plan::falling(cli.steps, RATE);
        for step in 0..cli.steps {
            let count = BATCH.min(labelled.len());
            let batch = random(labelled.len(), count, seed ^ ((step as u64) << 32))
                .unwrap_or_else(|_| unreachable!("no more than there are"));
            let batch = labelled.of(&batch.indices);
            let (inputs, targets) = (batch.inputs(&device), batch.targets(&device));
            let loss = elbo.loss(&net, (step as u64).into(), |net| {
                likelihood.nll(net.forward(inputs.clone()), targets.clone())
            });
            let grads = GradientsParams::from_grads(loss.loss.backward(), &net);
            net = adam.step(plan.rate_at(step), net, grads);
        }
        net.valid()
    }

    /// What draws of the weights say of each digit.
    pub fn draws(
        &self,
        cli: &Cli,
        digits: &Digits,
        device: &Device,
    ) -> Result<ClassDraws, RunError> {
        let inputs = digits.inputs(device);
        let outputs = predict_draws(self, cli.predict_samples, 0, |net| {
            net.forward(inputs.clone())
        });
        let logits = outputs
            .into_iter()
            .map(|output| output.into_data().iter::<f64>().collect());
        ClassDraws::try_from_logits(logits, CLASSES)
            .map_err(|error| RunError::Setting(error.to_string()))
    }
}
