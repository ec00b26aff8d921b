//! Mean-field variational inference: the ELBO by Adam.

use blitz_train::prelude::*;
use burn::optim::ModuleOptimizer;
use burn::tensor::Tensor;

use super::{Astray, DRAWS, Prediction, Problem, Way, settling};
use crate::net::BayesianNet;
use crate::start::Start;

pub(crate) struct MeanField {
    net: BayesianNet,
    optimizer: ModuleOptimizer,
    steps: u64,
    since_change: u64,
}

impl MeanField {
    pub fn new(problem: &Problem, start: Start) -> Self {
        Self {
            net: BayesianNet::new(problem.settings.prior_std, start, &problem.device),
            optimizer: FusedAdamConfig::new().init(),
            steps: 0,
            since_change: 0,
        }
    }
}

impl Way for MeanField {
    fn adapt(&mut self, problem: &Problem) {
        self.net = self.net.clone().with_prior(problem.settings.prior_std);
        self.since_change = 0;
    }

    fn step(&mut self, problem: &Problem) {
        for _ in 0..2 {
            let gradients = problem.gradients(&self.net, self.steps);
            let rate = settling(0.02, self.since_change);
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
