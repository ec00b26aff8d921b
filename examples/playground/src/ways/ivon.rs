//! IVON: an optimizer whose preconditioner is a posterior.

use blitz_train::prelude::*;
use blitz_train::{Ivon, IvonConfig};
use burn::module::Module;
use burn::tensor::Tensor;

use super::{Astray, DRAWS, Prediction, Problem, Way, settling};
use crate::net::Net;
use crate::start::Start;

pub(crate) struct OnlineNewton {
    net: Net,
    steps: u64,
    since_change: u64,
}

impl OnlineNewton {
    pub fn new(problem: &Problem, start: Start) -> Self {
        Self {
            net: attach(problem, Net::new(start, &problem.device)),
            steps: 0,
            since_change: 0,
        }
    }
}

/// Its posterior around the weights of a network: of the tempered likelihood there are N / β points, and `N(0, s²)` is
/// the prior.
fn attach(problem: &Problem, net: Net) -> Net {
    let ess = problem.data.count() as f64 / problem.settings.kl_weight;
    // Curvatures are in units of 1 / σ².
    let curvature = 0.1 / problem.settings.noise.powi(2);
    IvonConfig::new(ess)
        .with_weight_decay(problem.decay())
        .with_hess_init(curvature)
        .with_beta_2(0.995)
        .with_rescale_lr(false)
        .with_clip_radius(Some(1.0))
        .attach(net)
}

impl Way for OnlineNewton {
    fn adapt(&mut self, problem: &Problem) {
        // Number of points and prior are the posterior's own: another one takes its place around the same means.
        let means = self.net.mean_network().valid().train();
        self.net = attach(problem, means);
        self.since_change = 0;
    }

    fn step(&mut self, problem: &Problem) {
        for _ in 0..2 {
            let mut gradients = problem.gradients(&self.net, self.steps);
            let rate = settling(0.1, self.since_change);
            self.net = Ivon::step(rate, self.net.clone(), &mut gradients);
            self.steps += 1;
            self.since_change += 1;
        }
    }

    fn predict(&self, problem: &Problem, inputs: &Tensor<2>) -> Result<Prediction, Astray> {
        let predictor = PredictorConfig::new(DRAWS).init(&self.net, &problem.likelihood);
        Ok(predictor.predict(inputs.clone())?.into())
    }
}
