//! The training of a classifier, whichever method updates it.

use blitz_train::Elbo;
use blitz_train::prelude::*;
use burn::optim::GradientsParams;
use burn::tensor::Device;

use crate::data::{Sequences, shuffled};
use crate::model::Classifier;

/// Examples of a step.
pub const BATCH: usize = 32;

/// What a training goes by.
#[derive(Debug)]
pub struct Training<'a> {
    /// The labelled examples.
    pub examples: &'a Sequences,
    /// The classes.
    pub classes: usize,
    /// Passes over them.
    pub epochs: usize,
    /// The learning rate at the start.
    pub rate: f64,
    /// Decides the order of the examples.
    pub seed: u64,
    /// With autodiff.
    pub device: &'a Device,
}

impl Training<'_> {
    /// Trains by `update`, which is given the learning rate, the network and the gradients of a step's loss; ends off the autodiff graph.
    pub fn run(
        &self,
        mut net: Classifier,
        elbo: &Elbo,
        mut update: impl FnMut(f64, Classifier, GradientsParams) -> Classifier,
    ) -> Classifier {
        let likelihood = CategoricalLikelihoodConfig::new(self.classes).init();
        let all: Vec<usize> = (0..self.examples.len()).collect();
        let mut step = 0u64;
        for epoch in 0..self.epochs {
            let rate = falling(self.rate, epoch, self.epochs);
            let order = shuffled(&all, self.seed ^ ((epoch as u64) << 32));
            for places in order.chunks(BATCH) {
                let batch = self.examples.batch(places, self.device);
                let loss = elbo.loss(&net, step.into(), |net| {
                    likelihood.nll(net.forward(batch.inputs.clone()), batch.targets.clone())
                });
                let grads = GradientsParams::from_grads(loss.loss.backward(), &net);
                net = update(rate, net, grads);
                step += 1;
            }
        }
        burn::module::Module::valid(&net)
    }

    /// Steps of an epoch.
    pub fn steps(&self) -> usize {
        self.examples.len().div_ceil(BATCH)
    }
}

/// From `rate` to 0 along a cosine.
pub fn falling(rate: f64, epoch: usize, epochs: usize) -> f64 {
    let done = epoch as f64 / epochs as f64;
    rate * 0.5 * (1.0 + (std::f64::consts::PI * done).cos())
}
