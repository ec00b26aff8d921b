//! The methods whose networks are drawn: MC dropout, BLoB, IVON and TFB.

use std::time::Instant;

use blitz_train::prelude::*;
use blitz_train::{BlobConfig, Ivon, IvonConfig, TfbConfig, TfbError};
use example_support::{RunError, chosen, say};

use super::{Fitted, Lora, Study, likelihood, mean, said, start, training};
use crate::args::Method;
use crate::data::Sequences;
use crate::model::Classifier;

/// Passes over the examples that TFB makes.
const TFB_PASSES: f64 = 2.0;
/// Batches that TFB has the examples in: each has noise of its own, and a search needs eight.
const TFB_BATCHES: usize = 16;

/// IVON's learning rates: where Adam's best was its larger one, a hundred times that did not converge.
const IVON_RATES: [f64; 2] = [0.3, 1.0];

/// What the rule chooses among.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    /// The share that is dropped, the deviations at BLoB's start, IVON's effective examples for each example, TFB's
    /// tolerance.
    setting: f64,
    /// IVON's learning rate; that of the other methods is Adam's.
    rate: Option<f64>,
}

fn candidates(method: Method) -> Vec<Candidate> {
    let (settings, rates): (_, &[Option<f64>]) = match method {
        Method::McDropout => ([0.05, 0.1, 0.2], &[None]),
        Method::Blob => ([0.003, 0.01, 0.03], &[None]),
        Method::Ivon => ([10.0, 100.0, 1000.0], &IVON_RATES.map(Some)),
        Method::Tfb => ([0.01, 0.03, 0.1], &[None]),
        _ => unreachable!("{method:?} has no network to draw from"),
    };
    let of = |rate: &Option<f64>| {
        settings.map(|setting| Candidate {
            setting,
            rate: *rate,
        })
    };
    rates.iter().flat_map(of).collect()
}

impl Study<'_> {
    /// A method whose posterior is drawn from.
    pub fn drawn(&self, method: Method) -> Result<Fitted<'_>, RunError> {
        let nll = |candidate: Candidate| {
            let network = self.network(method, candidate, &self.fitting, &self.on_part)?;
            let predictions = self.draws(&network)(&self.held_out)?;
            let nll = mean(&predictions.nll(self.held_out.labels()));
            let Candidate { setting, rate } = candidate;
            let rate = rate.map_or_else(String::new, |rate| format!(" at a rate of {rate}"));
            say!("  {setting}{rate}: a held-out NLL of {nll:.3}");
            Ok::<f64, RunError>(nll)
        };
        let (candidate, _) = chosen(&candidates(method), nll, |a, b| a.total_cmp(b).is_lt())?;
        let start = Instant::now();
        let network = self.network(method, candidate, self.labelled, &self.on_all)?;
        let seconds = start.elapsed().as_secs_f64();
        let (before, trainable) = match method {
            // It trains nothing itself.
            Method::Tfb => (self.on_all.seconds, self.lora().trainable()),
            _ => (0.0, network.trainable()),
        };
        Ok(Fitted {
            setting: Some(candidate.setting),
            seconds: before + seconds,
            trainable,
            predict: self.draws(&network),
        })
    }

    /// The network of a method on some of the labelled examples; `lora` was trained on the same.
    fn network(
        &self,
        method: Method,
        Candidate { setting, rate }: Candidate,
        examples: &Sequences,
        lora: &Lora,
    ) -> Result<Classifier, RunError> {
        let (cli, task) = (self.cli, self.task);
        let device = self.device.clone().autodiff();
        let training = training(cli, task, examples, self.rate, self.seed, &device);
        let mut adam = FusedAdamConfig::new().init();
        let elbo = ElboConfig::new(examples.len()).with_seed(self.seed);
        match method {
            Method::McDropout => {
                let net = start(cli, task, &training, setting)?;
                let update = |rate, net, grads| adam.step(rate, net, grads);
                training.run(net, &elbo.init(), update)
            }
            Method::Blob => {
                let blob = BlobConfig::new().with_initial_std(setting);
                let net = blob.attach(start(cli, task, &training, 0.0)?);
                let net = net.map_err(said)?.by(Estimator::Flipout);
                let elbo = blob
                    .elbo(examples.len(), training.batches())
                    .with_seed(self.seed);
                let update = |rate, net, grads| adam.step(rate, net, grads);
                training.run(net, &elbo.init(), update)
            }
            Method::Ivon => {
                let factors = WeightFilter::path("**.lora.*");
                let net = IvonConfig::new(setting * examples.len() as f64)
                    .with_beta_2(0.999)
                    .with_weights(factors)
                    .attach(start(cli, task, &training, 0.0)?);
                let for_one_of_adams = rate.map_or(1.0, |rate| rate / self.rate);
                let update = |rate: f64, net, mut grads| {
                    let net = Ivon::step(for_one_of_adams * rate, net, &mut grads);
                    // What is left is the head's.
                    adam.step(rate, net, grads)
                };
                training.run(net, &elbo.init(), update)
            }
            Method::Tfb => {
                let size = (examples.len() / TFB_BATCHES).max(1);
                let batches = examples.in_random_order(size, self.seed, &self.device);
                let fit = |passes| {
                    let tfb = TfbConfig::new()
                        .with_tolerance(setting)
                        .with_passes(passes)
                        .with_seed(self.seed);
                    tfb.fit(&lora.network, &likelihood(task), &batches)
                };
                // Of a dozen labels two passes may be too few for a search.
                let tfb = match fit(TFB_PASSES) {
                    Err(TfbError::Budget { .. }) => fit(10.0 * TFB_PASSES),
                    other => other,
                };
                Ok(tfb.map_err(said)?.network)
            }
            _ => unreachable!("{method:?} has no network to draw from"),
        }
    }
}
