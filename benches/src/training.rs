//! Training steps of a network, one after the other.

use blitz_train::prelude::*;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::Device;

use crate::net::{Layers, Net};
use crate::workload::{LabeledBatch, Workload};

/// A network in training on one batch.
#[derive(Debug)]
pub struct Training {
    net: Option<Net>,
    optimizer: Optimizer,
    elbo: Elbo,
    batch: LabeledBatch,
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
    /// A training of the workload with these layers.
    pub fn new(
        workload: &Workload,
        layers: Layers,
        optimizer: ModuleOptimizer,
        device: &Device,
    ) -> Self {
        Self {
            net: Some(workload.net(layers, device).with_known_means()),
            optimizer: Optimizer(optimizer),
            elbo: ElboConfig::new(workload.examples)
                .with_samples(match layers {
                    Layers::Deterministic => 1,
                    Layers::Bayesian(_) => workload.samples,
                })
                .init(),
            batch: workload.batch(device),
            step: 0,
        }
    }

    /// The network as it is now.
    pub fn net(&self) -> &Net {
        let net = self.net.as_ref();
        net.unwrap_or_else(|| unreachable!("every step puts the network back"))
    }

    /// The batch.
    pub fn batch(&self) -> &LabeledBatch {
        &self.batch
    }

    /// Forward, backward and the optimizer.
    pub fn step(&mut self) {
        let Some(net) = self.net.take() else {
            unreachable!("every step puts the network back")
        };
        let loss = self
            .elbo
            .loss(&net, self.step.into(), |net| self.batch.nll(net));
        let grads = GradientsParams::from_grads(loss.loss.backward(), &net);
        self.net = Some(self.optimizer.0.step(1e-3, net, grads));
        self.step += 1;
    }
}
