//! The regression benchmarks of the literature: one hidden layer of 50 units, twenty splits of a UCI data set, by
//! method.

mod error;
mod noise;
mod report;
mod study;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use blitz_train::blitz_core::device;
use clap::Parser;
use example_support::methods::{Method, MethodError, NoisyNumber, Number};
use example_support::number::at_least;
use example_support::tabular::{Split, Table, TableFormat};
use example_support::{Digest, Kept, LeftOut, exit_code, figure, present, say};
use serde::Serialize;

use error::RunError;
use noise::Noise;
use report::Report;
use study::Scores;

// The system's allocator gives every large tensor back to the kernel, and page faults then double the time of a step.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Test error and log likelihood of a method on the splits that the literature reports, by the protocol of
/// Hernández-Lobato & Adams (2015).
///
/// Settings are chosen for each split by a rule that sees its training rows alone. Each finished split is kept in the
/// output folder: the same command goes on where it was stopped. A split without a prediction, or with a score that is
/// not finite, is left out, and the report says why.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    /// Folder with `data.csv`, the target last, and `test_splits.txt`, the rows of one test set a line [default: the
    /// concrete data, which come with the example].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// How `data.csv` is written.
    #[command(flatten)]
    format: TableFormat,

    /// The way to a predictive distribution.
    #[arg(long, value_enum, default_value_t = Method::Mfvi)]
    method: Method,

    /// The noise on the targets: learned as one number, or as a function of the inputs beside the mean. `dvi` has the
    /// latter in any case, and `laplace` none of it.
    #[arg(long, value_enum, default_value_t = Noise::One)]
    noise: Noise,

    /// How many of the splits, from the first.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 1, value_parser = at_least::<1>)]
    splits: usize,

    /// Seed of weights, batches, draws and the rule's choice of rows.
    #[arg(
        long,
        value_name = "SEED",
        allow_negative_numbers = true,
        default_value_t = 42
    )]
    seed: u64,

    /// Folder for the finished splits [default: runs/uci/DATA-METHOD, with -noise where it depends on the inputs].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Burn device to compute on [default: `BURN_DEVICE`, else GPUs before CPUs].
    #[arg(long, value_name = "NAME")]
    device: Option<String>,

    /// End with one line of JSON instead of the table.
    #[arg(long)]
    json: bool,
}

/// What the splits of a folder have in common.
#[derive(Debug, Serialize)]
struct Run {
    method: Method,
    /// Left out where it is one number, as before there was a choice.
    #[serde(skip_serializing_if = "Noise::is_one")]
    noise: Noise,
    seed: u64,
    /// Of the table and its splits.
    data: String,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    exit_code("uci", run(&cli))
}

fn run(cli: &Cli) -> Result<String, RunError> {
    let shipped = || Path::new(env!("CARGO_MANIFEST_DIR")).join("data/concrete");
    let data = cli.data.clone().unwrap_or_else(shipped);
    let name = data.file_name().map_or_else(
        || "data".to_string(),
        |name| name.to_string_lossy().into_owned(),
    );
    let table = Table::read(&data.join("data.csv"), cli.format.clone())?;
    let splits_file = data.join("test_splits.txt");
    let splits = Split::read_all(&splits_file, table.n_rows())?;
    if splits.len() < cli.splits {
        return Err(RunError::TooFewSplits {
            path: splits_file,
            there: splits.len(),
            asked: cli.splits,
        });
    }
    let device = device::choose(cli.device.as_deref())?;
    let Cli {
        method,
        noise,
        seed,
        ..
    } = *cli;
    if method == Method::Laplace && noise == Noise::Inputs {
        return Err(MethodError::NoiseOfInputs.into());
    }
    let default_out = || {
        let noise = if noise.is_one() { "" } else { "-noise" };
        let folder = format!("{name}-{method:?}{noise}").to_lowercase();
        Path::new("runs/uci").join(folder)
    };
    let kept = Kept::in_folder(
        &cli.out.clone().unwrap_or_else(default_out),
        &Run {
            method,
            noise,
            seed,
            data: digest(&table, &splits),
        },
    )?;

    for split in splits.iter().take(cli.splits) {
        study::check(split, table.n_rows())?;
    }
    let score = |index, split| match noise {
        Noise::One => study::run(Number, &table, index, split, method, seed, &device),
        Noise::Inputs => study::run(NoisyNumber, &table, index, split, method, seed, &device),
    };
    let (mut scores, mut left_out) = (Vec::new(), Vec::new());
    for (index, split) in splits.iter().take(cli.splits).enumerate() {
        let part = format!("split-{index}");
        let split: Scores = match kept.finished(&part)? {
            Some(finished) => finished,
            None => match score(index, split) {
                Ok(scores) => {
                    if let Err(error) = kept.keep(&part, &scores) {
                        let name = format!("what is kept of split {index}");
                        left_out.push(LeftOut::new(name, seed, error));
                    }
                    scores
                }
                // The others are worth their means.
                Err(error) if error.is_of_one_split() => {
                    left_out.push(LeftOut::new(format!("split {index}"), seed, error));
                    continue;
                }
                Err(error) => return Err(error),
            },
        };
        say!(
            "split {} of {}: RMSE {}, log likelihood {:.3}, {:?}, {:.1} s",
            index + 1,
            cli.splits,
            figure(split.rmse),
            split.ll,
            split.setting,
            split.seconds
        );
        scores.push(split);
    }
    LeftOut::unless_something_is_left(&left_out, scores.is_empty())
        .map_err(|error| RunError::NoSplit(error.to_string()))?;
    let report = Report::new(name, method, noise, &scores, left_out);
    Ok(present(&report, cli.json))
}

/// Of every number and every split.
fn digest(table: &Table, splits: &[Split]) -> String {
    let data = Digest::default()
        .numbers(&table.features)
        .numbers(&table.targets);
    let all = splits
        .iter()
        .fold(data, |digest, split| digest.places(&split.test));
    all.text()
}
