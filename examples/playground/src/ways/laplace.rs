//! One network, and a Laplace approximation of its last layer that is made anew for each picture.

use blitz_train::laplace::GaussianLastLayer;
use blitz_train::prelude::*;
use burn::module::Module;
use burn::optim::ModuleOptimizer;
use burn::tensor::Tensor;

use super::{Astray, Prediction, Problem, Way, adam, settling};
use crate::net::Net;
use crate::start::Start;

pub(crate) struct LastLayer {
    net: Net,
    optimizer: ModuleOptimizer,
    since_change: u64,
}

impl LastLayer {
    pub fn new(problem: &Problem, start: Start) -> Self {
        Self {
            net: Net::new(start, &problem.device),
            optimizer: adam(problem.decay()),
            since_change: 0,
        }
    }
}

impl Way for LastLayer {
    fn adapt(&mut self, problem: &Problem) {
        self.optimizer = adam(problem.decay());
        self.since_change = 0;
    }

    fn step(&mut self, problem: &Problem) {
        for _ in 0..2 {
            let gradients = problem.gradients(&self.net, 0);
            let rate = settling(0.01, self.since_change);
            self.net = self.optimizer.step(rate, self.net.clone(), gradients);
            self.since_change += 1;
        }
    }

    fn predict(&self, problem: &Problem, inputs: &Tensor<2>) -> Result<Prediction, Astray> {
        let net = self.net.valid();
        let settings = problem.settings;
        // A normal likelihood to the power 1/β has the noise σ √β.
        let tempered = settings.noise * settings.kl_weight.sqrt();
        let posterior = GaussianLastLayer::fit(
            &*problem.data.loader(&inputs.device()),
            |inputs| net.features(inputs),
            &net.last,
            tempered,
            settings.prior_std.powi(-2),
        )?;
        let features = net.features(inputs.clone());
        let [_, width] = features.dims();
        let features: Vec<f64> = features.into_data().iter::<f64>().collect();
        let epistemic = features.chunks(width);
        let epistemic: Vec<f64> = epistemic
            .map(|row| posterior.epistemic_variance(row)[0])
            .collect();
        let total = epistemic.iter();
        let total = total.map(|variance| (variance + settings.noise.powi(2)).sqrt());
        Ok(Prediction {
            mean: net
                .forward(inputs.clone())
                .into_data()
                .iter::<f64>()
                .collect(),
            std_dev: total.collect(),
            epistemic_std: epistemic.into_iter().map(f64::sqrt).collect(),
        })
    }
}
