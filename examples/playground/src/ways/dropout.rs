//! Monte Carlo dropout.

use blitz_train::prelude::*;
use burn::optim::ModuleOptimizer;
use burn::tensor::Tensor;

use super::{Astray, DRAWS, Prediction, Problem, Way, adam, settling};
use crate::net::{DROPPED, DropoutNet};
use crate::start::Start;

pub(crate) struct Dropout {
    net: DropoutNet,
    optimizer: ModuleOptimizer,
    steps: u64,
    since_change: u64,
}

impl Dropout {
    pub fn new(problem: &Problem, start: Start) -> Self {
        Self {
            net: DropoutNet::new(start, &problem.device),
            optimizer: optimizer(problem),
            steps: 0,
            since_change: 0,
        }
    }
}

/// With the decay of Gal & Ghahramani (2016), of weights that are dropped with their units.
fn optimizer(problem: &Problem) -> ModuleOptimizer {
    adam((1.0 - DROPPED) * problem.decay())
}

impl Way for Dropout {
    fn adapt(&mut self, problem: &Problem) {
        self.optimizer = optimizer(problem);
        self.since_change = 0;
    }

    fn step(&mut self, problem: &Problem) {
        for _ in 0..2 {
            let gradients = problem.gradients(&self.net, self.steps);
            let rate = settling(0.01, self.since_change);
            self.net = self.optimizer.step(rate, self.net.clone(), gradients);
            self.steps += 1;
            self.since_change += 1;
        }
    }

    fn predict(&self, problem: &Problem, inputs: &Tensor<2>) -> Result<Prediction, Astray> {
        let predictor = PredictorConfig::new(DRAWS).init(&self.net, &problem.likelihood);
        Ok(predictor.predict(inputs.clone())?.into())
    }
}
