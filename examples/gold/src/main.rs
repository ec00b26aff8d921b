//! The posterior itself, by NUTS, for the curve and the network of `toy-1d`: how far each faster way is from it.

mod report;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use blitz_mcmc::{ChainLines, LogDensity, McmcPosterior, NutsConfig};
use blitz_train::plot::{Band, Bands, Plot, RankPlot, TracePlot};
use blitz_train::prelude::*;
use burn::tensor::Device;
use clap::{Parser, ValueEnum};
use example_support::methods::{Method, Net, column};
use example_support::number::{at_least, positive};
use example_support::{LeftOut, RunError, RunFolder, exit_code, present};
use toy_1d::comparison::Candidate;
use toy_1d::curve::{NOISE, Points, truth};
use toy_1d::grid;
use toy_1d::report::Figures;

use report::{Distance, Report};

// The system's allocator gives every large tensor back to the kernel, and page faults then double the time of a step.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The largest number of chains, each with all its draws in memory.
const MOST_CHAINS: usize = 1000;

/// Samples the posterior of a small network on the curve of `toy-1d`, and compares each faster way to a posterior with it.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    /// A faster way to compare; may be repeated [default: all].
    #[arg(long, value_enum, value_name = "METHOD")]
    method: Vec<Method>,

    /// Chains of NUTS.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 4, value_parser = at_least::<1>)]
    chains: usize,

    /// Draws of a chain in which it adapts.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 500, value_parser = at_least::<10>)]
    warm_up: usize,

    /// Draws of a chain that are kept.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 500, value_parser = at_least::<4>)]
    draws: usize,

    /// Deviation of the normal prior of every weight.
    #[arg(long, value_name = "STD", allow_negative_numbers = true, default_value_t = 1.0, value_parser = positive)]
    prior: f64,

    /// Points to learn from.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 80, value_parser = at_least::<4>)]
    points: usize,

    /// Seed of the points' noise, the chains, and the other ways.
    #[arg(
        long,
        value_name = "SEED",
        allow_negative_numbers = true,
        default_value_t = 42
    )]
    seed: u64,

    /// Folder in which chains are kept, for a run that may be killed and go on [default: none].
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,

    /// Folder that gets a numbered one for each run.
    #[arg(long, value_name = "DIR", default_value = "runs/gold")]
    out: PathBuf,

    /// End with one line of JSON instead of the table.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    exit_code("gold", run(&cli))
}

fn run(cli: &Cli) -> Result<String, RunError> {
    if cli.chains > MOST_CHAINS {
        let message = format!(
            "at most {MOST_CHAINS} chains are compared, got {}",
            cli.chains
        );
        return Err(RunError::Setting(message));
    }
    // Before the chains, whose minutes would be lost with a folder that can't be made.
    let folder = RunFolder::next(&cli.out)?;
    let points = Points::new(cli.points, cli.seed);
    let start = Instant::now();
    let posterior = sample(cli, &points).map_err(failed)?;
    let seconds = start.elapsed().as_secs_f64();
    // Whatever becomes of the other ways.
    let draws = posterior.draws();
    let draws = draws.write_arviz(folder.join("draws.json"));
    draws.map_err(failed)?;

    let device = Device::flex();
    let at = column(&grid(), &device);
    let noise = LikelihoodParam::Fixed(NOISE);
    let likelihood = GaussianLikelihoodConfig::new()
        .with_noise(noise)
        .init(&device);
    // As many draws as there are, up to a number whose mean is known to 3 %.
    let draws = posterior.networks().min(1_000);
    let predictor = PredictorConfig::new(draws).init_with(&posterior, &likelihood);
    let gold = predictor.predict(at.clone()).map_err(failed)?;
    let convergence = posterior
        .convergence_of(|net| net.forward(at.clone()))
        .map_err(failed)?;
    let figures = Figures::of("nuts".into(), &gold, seconds);
    eprintln!("nuts: {seconds:.1} s, predictions: {convergence}");

    let mut distances = vec![Distance::of(figures, &gold, &gold, cli.seed)];
    let mut bands = vec![("nuts".to_string(), gold.clone())];
    let mut left_out = Vec::new();
    let methods = match cli.method.as_slice() {
        [] => Method::value_variants(),
        chosen => chosen,
    };
    for candidate in methods.iter().copied().map(Candidate::Method) {
        let start = Instant::now();
        let predict = candidate.fit(&points.rows(&device), cli.seed, &device);
        let predictive = match predict(&at) {
            Ok(predictive) => predictive,
            Err(error) => {
                left_out.push(LeftOut::new(candidate.name(), cli.seed, error));
                continue;
            }
        };
        let figures = Figures::of(candidate.name(), &predictive, start.elapsed().as_secs_f64());
        eprintln!("{}: {:.1} s", figures.name, figures.seconds);
        distances.push(Distance::of(figures, &predictive, &gold, cli.seed));
        bands.push((candidate.name(), predictive));
    }

    let picture = bands
        .iter()
        .try_fold(Bands::new("x", "y"), |picture, (name, predictive)| {
            let band = Band::of(name.clone(), &grid(), predictive)?
                .with_points(points.pairs())
                .with_truth(grid().into_iter().map(|x| (x, truth(x))));
            Ok::<_, RunError>(picture.panel(band))
        })?;
    picture
        .with_range(-4.0, 4.0)
        .save(folder.join("bands.png"))?;
    let middle = of_middle(&posterior);
    TracePlot::new("f(0)", &middle)?.save(folder.join("trace.png"))?;
    RankPlot::new("f(0)", &middle)?.save(folder.join("ranks.png"))?;

    let report = Report {
        distances,
        left_out,
        chains: cli.chains,
        draws: cli.draws,
        divergences: posterior.draws().divergences(),
        largest_r_hat: convergence.largest_r_hat(),
        least_ess: convergence.least_ess_bulk(),
        folder: folder.path().into(),
    };
    Ok(present(&report, cli.json))
}

fn sample(cli: &Cli, points: &Points) -> Result<McmcPosterior<Net>, blitz_mcmc::McmcError> {
    let device = Device::flex();
    device.seed(cli.seed);
    let rows = points.rows(&device);
    let data = LabeledBatch {
        inputs: rows.inputs,
        targets: rows.targets,
    };
    let noise = LikelihoodParam::Fixed(NOISE);
    let likelihood = GaussianLikelihoodConfig::new()
        .with_noise(noise)
        .init(&device);
    let network = Net::new(1, &device);
    let prior = cli.prior;
    let density = LogDensity::new(
        &network,
        &likelihood,
        |_| PriorConfig::normal(prior),
        vec![data],
    )?;
    let mut lines = ChainLines::every(100);
    let config = NutsConfig::new()
        .with_chains(cli.chains)
        .with_warm_up(cli.warm_up)
        .with_draws(cli.draws)
        .with_seed(cli.seed);
    let nuts = config.init().on_progress(|at| lines.show(at));
    match &cli.keep {
        None => nuts.run(&density),
        Some(folder) => nuts.in_folder(folder).run(&density),
    }
}

/// The predictions in the middle of the gap, of each chain.
fn of_middle(posterior: &McmcPosterior<Net>) -> Vec<Vec<f64>> {
    let at = column(&[0.0], &Device::flex());
    let draws = posterior.draws();
    let value = |chain, draw| {
        posterior
            .network(chain, draw)
            .forward(at.clone())
            .into_scalar::<f32>()
    };
    (0..draws.chains().len())
        .map(|chain| {
            (0..draws.draws())
                .map(|draw| f64::from(value(chain, draw)))
                .collect()
        })
        .collect()
}

fn failed(error: impl std::fmt::Display) -> RunError {
    RunError::Setting(error.to_string())
}
