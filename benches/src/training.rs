//! Training steps of a network, one after the other.

use blitz_train::prelude::*;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor};

use crate::Mlp;

/// A network in training, with a batch of ones and the mean square of its output as the likelihood.
#[derive(Debug)]
pub struct Training {
    model: Option<Mlp>,
    optimizer: Optimizer,
    elbo: Elbo,
    x: Tensor<2>,
    step: u64,
}

/// Burn's optimizer can't be printed.
struct Optimizer(ModuleOptimizer);

impl std::fmt::Debug for Optimizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ModuleOptimizer")
    }
}

impl Training {
    /// A training of the network of these widths; Bayesian, with that many draws a step, if `samples` says so.
    pub fn new(
        widths: &[usize],
        batch: usize,
        samples: Option<usize>,
        optimizer: ModuleOptimizer,
        device: &Device,
    ) -> Self {
        let mut model = Mlp::new(widths, device);
        if samples.is_some() {
            model = model.bayesianize(&BayesianizeConfig::new());
        }
        Self {
            model: Some(model),
            optimizer: Optimizer(optimizer),
            elbo: ElboConfig::new(60_000)
                .with_samples(samples.unwrap_or(1))
                .init(),
            x: Tensor::ones([batch, widths[0]], device),
            step: 0,
        }
    }

    /// Forward, backward and the optimizer.
    pub fn step(&mut self) {
        let Some(model) = self.model.take() else {
            unreachable!("every step puts the model back")
        };
        let loss = self.elbo.loss(&model, self.step.into(), |model| {
            let output = model.forward(self.x.clone());
            output.square().mean_dim(1).squeeze_dim(1)
        });
        let grads = GradientsParams::from_grads(loss.loss.backward(), &model);
        self.model = Some(self.optimizer.0.step(1e-3, model, grads));
        self.step += 1;
    }
}
