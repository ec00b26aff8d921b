//! Training steps of a network, one after the other.

use blitz_train::prelude::*;
use blitz_train::{Ivon, IvonConfig};
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::Device;

use crate::net::{Layers, Net};
use crate::workload::{LabeledBatch, Workload};

/// The deviation that every weight starts with.
const STD: f64 = 0.02;

/// A network in training on one batch.
#[derive(Debug)]
pub struct Training {
    net: Option<Net>,
    optimizer: Optimizer,
    /// Whether IVON takes the steps.
    ivon: bool,
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
        let net = workload.net(layers, device).with_known_means();
        let elbo = ElboConfig::new(workload.examples).with_samples(match layers {
            Layers::Deterministic => 1,
            Layers::Ivon | Layers::Bayesian(_) => workload.samples,
        });
        let batch = workload.batch(device);
        let training = Self::of(net, elbo.init(), optimizer, batch);
        match layers {
            Layers::Ivon => training.by_ivon(workload.examples as f64),
            Layers::Deterministic | Layers::Bayesian(_) => training,
        }
    }

    /// A training of any network.
    pub fn of(net: Net, elbo: Elbo, optimizer: ModuleOptimizer, batch: LabeledBatch) -> Self {
        Self {
            net: Some(net),
            optimizer: Optimizer(optimizer),
            ivon: false,
            elbo,
            batch,
            step: 0,
        }
    }

    /// The same with the posteriors that IVON trains, for a data set of so many examples.
    fn by_ivon(self, examples: f64) -> Self {
        let weight_decay = 1.0 / examples;
        // 1 / √(λ (h + δ)) is the deviation.
        let hess = 1.0 / (examples * STD * STD) - weight_decay;
        let config = IvonConfig::new(examples)
            .with_weight_decay(weight_decay)
            .with_hess_init(hess);
        Self {
            net: self.net.map(|net| config.attach(net)),
            ivon: true,
            ..self
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
        let mut grads = GradientsParams::from_grads(loss.loss.backward(), &net);
        self.net = Some(match self.ivon {
            true => Ivon::step(1e-3, net, &mut grads),
            false => self.optimizer.0.step(1e-3, net, grads),
        });
        self.step += 1;
    }
}
