//! Which digits to label next: how many labels a classifier needs, by how they are chosen.

mod data;
mod learning;
mod net;
mod plot;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use example_support::number::{at_least, draws_of_a_prediction, not_negative};
use example_support::{Kept, LeftOut, RunArgs, RunError, check_draws, exit_code, say, written};
use serde::Serialize;

use data::{CLASSES, Digits};
use learning::{Curve, Method, curve, stops};
use report::Report;

// The system's allocator gives every large tensor back to the kernel, and page faults then double the time of a step.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Labels digits in batches, each batch chosen by what a Bayesian perceptron predicts for those without a label.
///
/// Every seed divides the 1,797 digits of 8×8 pixels that the program carries into a pool and a test set, and every
/// method starts from the same few labels. The report says after how many labels each reaches the accuracy that is
/// asked for.
#[derive(Debug, Clone, Parser)]
#[command(name = "active", version, args_override_self = true)]
pub struct Cli {
    /// Divisions of the digits, each with initial weights and first labels of its own.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 5, value_parser = at_least::<1>)]
    pub seeds: usize,

    /// Seed of the first division.
    #[arg(
        long,
        value_name = "SEED",
        allow_negative_numbers = true,
        default_value_t = 0
    )]
    pub seed: u64,

    /// Digits kept for testing; the others are the pool.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 597, value_parser = at_least::<1>)]
    pub test: usize,

    /// Labels to start with, chosen at random.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 20, value_parser = at_least::<1>)]
    pub start: usize,

    /// Labels in a batch.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 10, value_parser = at_least::<1>)]
    pub batch: usize,

    /// Labels at the end.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 250, value_parser = at_least::<1>)]
    pub labels: usize,

    /// The accuracy to reach, in percent.
    #[arg(long, value_name = "PERCENT", allow_negative_numbers = true, default_value_t = 95.0, value_parser = not_negative)]
    pub target: f64,

    /// Training steps after each batch, from initial weights.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 300, value_parser = at_least::<1>)]
    pub steps: usize,

    /// Weight of the KL, relative to the ELBO's own.
    #[arg(long, value_name = "BETA", allow_negative_numbers = true, default_value_t = 0.01, value_parser = not_negative)]
    pub beta: f64,

    /// Draws of the weights for a prediction.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 50, value_parser = draws_of_a_prediction)]
    pub predict_samples: usize,

    /// Folder in which each finished course is kept, for a run that may be killed and go on [default: none].
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,

    /// Where it runs, and what of it stays.
    #[command(flatten)]
    pub run: RunArgs,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    exit_code("active", run(&cli))
}

fn run(cli: &Cli) -> Result<String, RunError> {
    let start = Instant::now();
    let digits = Digits::shipped();
    check(cli, digits.len())?;
    let device = cli.run.device()?;
    let kept = kept(cli)?;
    let folder = cli.run.folder("active")?;

    let (mut curves, mut left_out): (Vec<Curve>, Vec<LeftOut>) = Default::default();
    // After the largest seed comes 0.
    for seed in (0..cli.seeds as u64).map(|at| cli.seed.wrapping_add(at)) {
        let division = digits.divide(cli.test, seed);
        for method in Method::ALL {
            say!("seed {seed}, {}", method.name());
            let part = format!("{seed}-{}", method.name());
            let check = |curve: &Curve| curve.check(&stops(cli));
            if let Some(finished) = kept.finished_if(&part, check)? {
                curves.push(finished);
                continue;
            }
            match curve(cli, &division, method, seed, &device) {
                Ok(curve) => {
                    if let Err(error) = kept.keep(&part, &curve) {
                        left_out.push(LeftOut::new("what is kept", seed, error));
                    }
                    curves.push(curve);
                }
                Err(error) => left_out.push(LeftOut::new(method.name(), seed, error)),
            }
        }
    }
    LeftOut::unless_something_is_left(&left_out, curves.is_empty())?;
    let picture = folder.join("accuracy.png");
    let plot = written(picture, cli.seed, &mut left_out, |path| {
        plot::accuracies(path, &curves, cli.target)
    });
    let report = Report {
        pool: digits.len() - cli.test,
        test: cli.test,
        target: cli.target,
        seconds: start.elapsed().as_secs_f64(),
        methods: report::summaries(&curves, cli.target),
        curves,
        left_out,
        plot,
    };
    Ok(cli.run.present(&report))
}

fn kept(cli: &Cli) -> Result<Kept, RunError> {
    let Some(folder) = &cli.keep else {
        return Ok(Kept::default());
    };
    let settings = Settings {
        test: cli.test,
        start: cli.start,
        batch: cli.batch,
        labels: cli.labels,
        steps: cli.steps,
        beta: cli.beta,
        draws: cli.predict_samples,
    };
    Ok(Kept::in_folder(folder, &settings)?)
}

/// What the courses of a folder have in common.
#[derive(Debug, Serialize)]
struct Settings {
    test: usize,
    start: usize,
    batch: usize,
    labels: usize,
    steps: usize,
    beta: f64,
    draws: usize,
}

/// The largest weight of the KL: its gradients are numbers in `f32` still.
const LARGEST_BETA: f64 = 1e6;

fn check(cli: &Cli, digits: usize) -> Result<(), RunError> {
    if cli.beta > LARGEST_BETA {
        return Err(RunError::Setting(format!(
            "a weight of the KL is at most {LARGEST_BETA}, got {:e}",
            cli.beta
        )));
    }
    if cli.test + cli.labels > digits {
        return Err(RunError::Setting(format!(
            "there are {digits} digits, too few for {} of them as a test and {} labels",
            cli.test, cli.labels
        )));
    }
    let predicted = cli.test.max(digits - cli.test);
    check_draws(cli.predict_samples, predicted * CLASSES).map_err(RunError::Setting)?;
    if cli.start > cli.labels {
        return Err(RunError::Setting(format!(
            "a start of {} labels is beyond the end of {}",
            cli.start, cli.labels
        )));
    }
    if cli.target > 100.0 {
        return Err(RunError::Setting(format!(
            "no accuracy is above 100 %, got a target of {} %",
            cli.target
        )));
    }
    Ok(())
}
