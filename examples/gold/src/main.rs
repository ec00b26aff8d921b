//! The posterior itself, by NUTS, for a curve, a table or digits: how far each faster way is from it.

mod curve;
mod digits;
mod report;
mod sampling;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use example_support::methods::Method;
use example_support::number::{at_least, deviation};
use example_support::tabular::TableFormat;
use example_support::{RunError, RunFolder, chosen_or_all, exit_code};

use sampling::Sampling;

// The system's allocator gives every large tensor back to the kernel, and page faults then double the time of a step.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The options of a table. clap takes what requires `--data` beside what conflicts with it.
const OF_A_TABLE: [&str; 7] = [
    "data",
    "split",
    "header",
    "separator",
    "decimal_comma",
    "missing",
    "skip_incomplete",
];

/// Samples the posterior of a small network, and compares each faster way to a posterior with it.
///
/// The network is that of `toy-1d`, for its curve; or one of 50 units for a table or for digits.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    /// A faster way to compare; may be repeated [default: all].
    #[arg(long, value_enum, value_name = "METHOD")]
    method: Vec<Method>,

    /// Instead of the curve: a folder with `data.csv`, the target last, and `test_splits.txt`, as `uci` reads them.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// How `data.csv` is written.
    #[command(flatten)]
    format: TableFormat,

    /// Which of its splits, from 0.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 0, value_parser = at_least::<0>, requires = "data")]
    split: usize,

    /// Instead of the curve: so many of the digits of 8×8 pixels that the examples carry, 500 of the others for the
    /// test.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = at_least::<10>, conflicts_with_all = OF_A_TABLE)]
    digits: Option<usize>,

    /// Points of the curve to learn from.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 80, value_parser = at_least::<4>, conflicts_with = "digits", conflicts_with_all = OF_A_TABLE)]
    points: usize,

    /// Deviation of the normal prior of every weight; with `--data` that of the weights of a layer times √inputs, while
    /// biases and the logarithm of the noise have 1.
    #[arg(long, value_name = "STD", allow_negative_numbers = true, default_value_t = 1.0, value_parser = deviation)]
    prior: f64,

    /// Sample the prior's deviation as well, log-normal around `--prior` with a deviation of 1: what the points say of
    /// it decides how far functions swing where there are none.
    #[arg(long, conflicts_with = "digits", conflicts_with_all = OF_A_TABLE)]
    learn_prior: bool,

    /// The chains.
    #[command(flatten)]
    sampling: Sampling,

    /// Folder that gets a numbered one for each run.
    #[arg(long, value_name = "DIR", default_value = "runs/gold")]
    out: PathBuf,

    /// End with one line of JSON instead of the table.
    #[arg(long)]
    json: bool,
}

impl Cli {
    fn methods(&self) -> Vec<Method> {
        chosen_or_all(&self.method, Method::value_variants())
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    exit_code("gold", run(&cli))
}

fn run(cli: &Cli) -> Result<String, RunError> {
    cli.sampling.check()?;
    // What is wrong with data is said before a folder is made, what is wrong with a folder before the chains, whose
    // minutes would be lost.
    let folder: MakeFolder<'_> = &|| RunFolder::next(&cli.out);
    match (&cli.data, cli.digits) {
        (Some(data), _) => {
            let rows = table::Rows::read(data, &cli.format, cli.split)?;
            table::run(cli, &rows, folder)
        }
        (_, Some(count)) => digits::run(cli, &digits::Division::of(count, cli)?, folder),
        _ => curve::run(cli, folder),
    }
}

/// Makes the folder of a run.
type MakeFolder<'a> = &'a dyn Fn() -> Result<RunFolder, RunError>;

fn failed(error: impl std::fmt::Display) -> RunError {
    RunError::Setting(error.to_string())
}
