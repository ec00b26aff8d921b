//! A deep ensemble: networks from different starts, each trained to its maximum a posteriori.

use blitz_train::Ensemble;
use blitz_train::prelude::*;
use burn::module::Module;
use burn::optim::ModuleOptimizer;
use burn::tensor::Tensor;

use super::{Astray, Prediction, Problem, Way, adam, settling};
use crate::net::Net;
use crate::start::Start;

const MEMBERS: usize = 5;

pub(crate) struct Members {
    members: Vec<(Net, ModuleOptimizer)>,
    since_change: u64,
}

impl Members {
    pub fn new(problem: &Problem, start: Start) -> Self {
        let member = |i| {
            let net = Net::new(start.member(i), &problem.device);
            (net, adam(problem.decay()))
        };
        Self {
            members: (0..MEMBERS).map(member).collect(),
            since_change: 0,
        }
    }
}

impl Way for Members {
    fn adapt(&mut self, problem: &Problem) {
        for (_, optimizer) in &mut self.members {
            *optimizer = adam(problem.decay());
        }
        self.since_change = 0;
    }

    fn step(&mut self, problem: &Problem) {
        let rate = settling(0.01, self.since_change);
        for (net, optimizer) in &mut self.members {
            let gradients = problem.gradients(net, 0);
            *net = optimizer.step(rate, net.clone(), gradients);
        }
        self.since_change += 1;
    }

    fn predict(&self, problem: &Problem, inputs: &Tensor<2>) -> Result<Prediction, Astray> {
        let members = self.members.iter().map(|(net, _)| net.valid()).collect();
        let predictor =
            PredictorConfig::new(MEMBERS).init_with(&Ensemble::new(members), &problem.likelihood);
        Ok(predictor.predict(inputs.clone())?.into())
    }
}
