//! Steps of one network in several ways, in turn: what antithetic pairs and variances of rank one are worth here.
//!
//! `cargo run --release -p blitz-benches --bin variants [ROUNDS]`
//!
//! A round runs each way once, so that a busy machine is busy for all of them. Medians and minima, in milliseconds.

#[path = "../../../crates/blitz-core/tests/suite/elementwise.rs"]
mod elementwise;

use blitz_benches::{Layers, Training, Workload, median, timed};
use blitz_train::Sampling::{self, Antithetic, Independent};
use blitz_train::blitz_core::NormalPrior;
use blitz_train::prelude::*;
use burn::tensor::Device;
use clap::Parser;
use elementwise::Elementwise;
use example_support::number::at_least;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Times steps of one network in several ways, in turn.
#[derive(Debug, Parser)]
struct Options {
    /// Rounds that are timed.
    #[arg(default_value_t = 41, value_parser = at_least::<1>)]
    rounds: usize,
}

/// A way to train a workload.
struct Way {
    name: &'static str,
    layers: Layers,
    samples: usize,
    sampling: Sampling,
    posterior: Family,
}

#[derive(Clone, Copy)]
enum Family {
    Normal,
    Matrix,
    MatrixElementwise,
}

impl Way {
    fn training(&self, workload: &Workload, device: &Device) -> Training {
        let net = workload.net(self.layers, device).with_known_means();
        let matrix = |weight: &blitz_train::blitz_core::WeightInfo<'_>| {
            PosteriorConfig::matrix_normal(0.02).init(weight.shape, weight.device)
        };
        let prior = || NormalPrior::new(1.0);
        let net = match self.posterior {
            Family::Normal => net,
            Family::Matrix => net.replace_posteriors(|w| Some((matrix(&w), prior()))),
            Family::MatrixElementwise => {
                net.replace_posteriors(|w| Some((Elementwise { inner: matrix(&w) }, prior())))
            }
        };
        let elbo = ElboConfig::new(workload.examples)
            .with_samples(self.samples)
            .with_sampling(self.sampling);
        let optimizer = FusedAdamConfig::new().init();
        Training::of(net, elbo.init(), optimizer, workload.batch(device))
    }
}

fn main() {
    let Options { rounds } = Options::parse();
    let shared = Layers::Bayesian(Estimator::SharedWeights);
    let local = Layers::Bayesian(Estimator::LocalReparameterization);
    let way = |name, layers, samples, sampling, posterior| Way {
        name,
        layers,
        samples,
        sampling,
        posterior,
    };
    let ways = [
        way(
            "deterministic",
            Layers::Deterministic,
            1,
            Independent,
            Family::Normal,
        ),
        way("1 draw", shared, 1, Independent, Family::Normal),
        way(
            "2 independent draws",
            shared,
            2,
            Independent,
            Family::Normal,
        ),
        way("an antithetic pair", shared, 2, Antithetic, Family::Normal),
        way("local, normal", local, 1, Independent, Family::Normal),
        way(
            "local, matrix normal, elementwise",
            local,
            1,
            Independent,
            Family::MatrixElementwise,
        ),
        way(
            "local, matrix normal, rank one",
            local,
            1,
            Independent,
            Family::Matrix,
        ),
    ];
    let device = Device::flex().autodiff();
    println!("| net | way | median | minimum | over deterministic, medians |");
    println!("|---|---|---|---|---|");
    for name in ["mlp-13-512-1", "mlp-784-400-400-10", "mlp-784-1200-1200-10"] {
        let Some(workload) = Workload::named(name) else {
            unreachable!("they are of the list")
        };
        let mut trainings = ways.each_ref().map(|way| way.training(&workload, &device));
        let mut times = ways.each_ref().map(|_| Vec::with_capacity(rounds));
        for round in 0..rounds + 3 {
            for (training, times) in trainings.iter_mut().zip(&mut times) {
                let time = timed(&device, || training.step());
                if round >= 3 {
                    times.push(time);
                }
            }
        }
        for (way, of_way) in ways.iter().zip(&times) {
            println!(
                "| {name} | {} | {:.2} | {:.2} | {:.2} |",
                way.name,
                median(of_way),
                of_way.iter().copied().fold(f64::INFINITY, f64::min),
                median(of_way) / median(&times[0])
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use blitz_benches::NO_ROUNDS;
    use example_support::program::assert_refused;

    use super::*;

    #[test]
    fn what_is_no_number_of_rounds_is_refused() {
        assert_refused::<Options>(&NO_ROUNDS);
    }
}
