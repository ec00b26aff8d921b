//! The training of a classifier, whichever method updates it.

use blitz_train::Elbo;
use blitz_train::prelude::*;
use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Device;
use example_support::RunError;
use example_support::methods::Plan;

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
    /// Steps of the optimizer.
    pub steps: usize,
    /// The learning rate at the start.
    pub rate: f64,
    /// Decides the order of the examples.
    pub seed: u64,
    /// With autodiff.
    pub device: &'a Device,
}

impl Training<'_> {
    /// Trains by `update`, which is given the learning rate, the network and the gradients of a step's loss; ends off
    /// the autodiff graph, when the device has done it.
    ///
    /// # Errors
    ///
    /// That of a device that failed.
    pub fn run(
        &self,
        mut net: Classifier,
        elbo: &Elbo,
        mut update: impl FnMut(f64, Classifier, GradientsParams) -> Classifier,
    ) -> Result<Classifier, RunError> {
        let likelihood = CategoricalLikelihoodConfig::new(self.classes).init();
        let all: Vec<usize> = (0..self.examples.len()).collect();
        let mut order: Vec<usize> = Vec::new();
        let plan = Plan::falling(self.steps, self.rate);
        for step in 0..self.steps {
            if order.is_empty() {
                order = shuffled(&all, self.seed ^ ((step as u64) << 32));
            }
            let places: Vec<usize> = order.drain(..BATCH.min(order.len())).collect();
            let batch = self.examples.batch(&places, self.device);
            let loss = elbo.loss(&net, (step as u64).into(), |net| {
                likelihood.nll(net.forward(batch.inputs.clone()), batch.targets.clone())
            });
            let grads = GradientsParams::from_grads(loss.loss.backward(), &net);
            net = update(plan.rate_at(step), net, grads);
        }
        // A training is timed, and a GPU computes later.
        let done = self.device.sync();
        done.map_err(|error| RunError::Setting(error.to_string()))?;
        Ok(net.valid())
    }

    /// Batches of an epoch.
    pub fn batches(&self) -> usize {
        self.examples.len().div_ceil(BATCH)
    }
}
