//! SGLD: a chain of networks, each a draw.

use blitz_train::prelude::*;
use blitz_train::{Chain, ChainConfig, SgldConfig};
use burn::optim::ModuleOptimizer;
use burn::tensor::Tensor;

use super::{Astray, DRAWS, Prediction, Problem, Way, adam, settling};
use crate::net::Net;
use crate::start::Start;

/// Steps to the mode before the chain begins, which is slow from where the weights start.
const TO_THE_MODE: u64 = 600;
/// Steps of the chain from one problem to the next that are forgotten.
const BURN_IN: u64 = 200;

pub(crate) struct Langevin {
    net: Net,
    to_the_mode: ModuleOptimizer,
    optimizer: ModuleOptimizer,
    chain: Chain<Net>,
    since_change: u64,
    /// How many problems there were before: each has noise of its own.
    changes: u64,
}

impl Langevin {
    pub fn new(problem: &Problem, start: Start) -> Self {
        Self {
            net: Net::new(start, &problem.device),
            to_the_mode: adam(problem.decay()),
            optimizer: optimizer(problem, 0),
            chain: chain(),
            since_change: 0,
            changes: 0,
        }
    }
}

/// Of the posterior with the likelihood to the power 1/β: at the temperature β, the prior is wider to the same degree.
fn optimizer(problem: &Problem, seed: u64) -> ModuleOptimizer {
    let beta = problem.settings.kl_weight;
    SgldConfig::new(problem.data.count())
        .with_prior_std(problem.settings.prior_std / beta.sqrt())
        .with_temperature(beta)
        .with_seed(seed)
        .init()
}

fn chain() -> Chain<Net> {
    ChainConfig::new(BURN_IN, 20).with_capacity(DRAWS).init()
}

impl Way for Langevin {
    fn adapt(&mut self, problem: &Problem) {
        self.changes += 1;
        self.to_the_mode = adam(problem.decay());
        self.optimizer = optimizer(problem, self.changes);
        self.chain = chain();
        self.since_change = 0;
    }

    fn step(&mut self, problem: &Problem) {
        for _ in 0..6 {
            let gradients = problem.gradients(&self.net, 0);
            let net = self.net.clone();
            if self.since_change < TO_THE_MODE {
                let rate = settling(0.01, self.since_change);
                self.net = self.to_the_mode.step(rate, net, gradients);
            } else {
                // The curvature of the loss grows with 1 / σ², and the step has to stay below what it allows.
                let rate = 0.03 * problem.settings.noise.powi(2);
                self.net = self.optimizer.step(rate.min(0.01), net, gradients);
                self.chain.push(&self.net);
            }
            self.since_change += 1;
        }
    }

    fn predict(&self, problem: &Problem, inputs: &Tensor<2>) -> Result<Prediction, Astray> {
        let networks = self.chain.networks().len();
        let predictor = match networks {
            // Still on its way: one network.
            0 => PredictorConfig::new(1).init(&self.net, &problem.likelihood),
            _ => PredictorConfig::new(networks).init_with(&self.chain, &problem.likelihood),
        };
        Ok(predictor.predict(inputs.clone())?.into())
    }
}
