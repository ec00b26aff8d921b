//! The posterior of a network for the Boston data by NUTS: `benches/peers/nuts.py` does the same with numpyro.

use std::error::Error;
use std::time::Instant;

use blitz_mcmc::{ChainLines, LogDensity, NutsConfig, Weight};
use blitz_train::HeteroscedasticLikelihoodConfig;
use blitz_train::metric::rmse;
use blitz_train::prelude::*;
use burn::tensor::Device;
use clap::{Parser, value_parser};
use example_support::methods::{Net, NoisyNet, Rows, Scales, prior};
use example_support::tabular::{Split, Table};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Times NUTS on 13 → 50 → 1, ReLUs, for the first published split of the Boston data; the noise is sampled as well.
///
/// Ends with a line of JSON: seconds, gradients, and how far the chains agree in their predictions of the test rows.
#[derive(Debug, Parser)]
struct Options {
    /// Chains, on two threads.
    #[arg(long, default_value_t = 4, value_parser = value_parser!(u16).range(1..))]
    chains: u16,
    /// Draws of a chain in which it adapts.
    #[arg(long, default_value_t = 1000)]
    warm_up: usize,
    /// Draws of a chain that are kept.
    #[arg(long, default_value_t = 1000)]
    draws: usize,
    /// The most doublings of a trajectory.
    #[arg(long, default_value_t = 10)]
    max_depth: usize,
    /// The seed of the chains.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Gradients that are timed before the chains.
    #[arg(long, default_value_t = 2000, value_parser = value_parser!(u32).range(1..))]
    gradients: u32,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let table = Table::boston();
    let split = Split::published(0)?;
    let scales = Scales::of(&table, &split.train)?;
    let device = Device::flex();
    device.seed(options.seed);
    let rows = |rows: &[usize]| Rows::of(&table, rows, &scales, &device);
    let (train, test) = (rows(&split.train), rows(&split.test));
    let network = NoisyNet::new(Net::new(train.features(), 1, &device), 0.3);
    let likelihood = HeteroscedasticLikelihoodConfig::new().init();
    let prior = |weight: &Weight| prior(&weight.path, &weight.shape, 1.0);
    let density = LogDensity::new(&network, &likelihood, prior, vec![train.batch()])?;

    // The same weights in both programs.
    let known = vec![0.1; density.len()];
    let mut gradient = vec![0.0; density.len()];
    let known_log_density = density.evaluate(&known, &mut gradient);
    let start = Instant::now();
    for _ in 0..options.gradients {
        density.evaluate(&known, &mut gradient);
    }
    let gradient_us = start.elapsed().as_secs_f64() * 1e6 / f64::from(options.gradients);
    eprintln!(
        "a gradient of {} weights: {gradient_us:.0} us",
        density.len()
    );

    let mut lines = ChainLines::every(200);
    let start = Instant::now();
    let posterior = NutsConfig::new()
        .with_chains(usize::from(options.chains))
        .with_warm_up(options.warm_up)
        .with_draws(options.draws)
        .with_max_depth(options.max_depth)
        .with_seed(options.seed)
        .init()
        .on_progress(|at| lines.show(at))
        .run(&density)?;
    let seconds = start.elapsed().as_secs_f64();
    let convergence = posterior.convergence_of(|network| network.forward(test.inputs.clone()))?;
    let stats = posterior.draws().chains().iter();
    let leapfrogs: u64 = stats
        .flat_map(|chain| chain.stats().iter().map(|draw| draw.leapfrogs))
        .sum();
    let predictor = PredictorConfig::new(posterior.networks()).init_with(&posterior, &likelihood);
    let predictive = scales.unscaled(predictor.predict(test.inputs)?);
    let targets = table.targets_of(&split.test);
    let log_density = predictive.log_density(&targets);
    println!(
        "{}",
        serde_json::json!({
            "seconds": seconds,
            "gradient_us": gradient_us,
            "known_log_density": known_log_density,
            "leapfrogs_of_draws": leapfrogs,
            "divergences": posterior.draws().divergences(),
            "largest_r_hat": convergence.largest_r_hat(),
            "least_ess": convergence.least_ess_bulk(),
            "rmse": rmse(&predictive.mean(), &targets),
            "log_density": log_density.iter().sum::<f64>() / log_density.len() as f64,
        })
    );
    Ok(())
}
