//! One curve, learnt from a few points by each way to a posterior: the bands that open away from the data.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use blitz_train::blitz_core::device;
use clap::{Parser, ValueEnum};
use example_support::methods::{Method, column};
use example_support::number::at_least;
use example_support::{LeftOut, RunError, RunFolder, exit_code, present, say, written};

use toy_1d::comparison::Comparison;
use toy_1d::curve::Points;
use toy_1d::grid;
use toy_1d::picture::save_bands;
use toy_1d::report::{Figures, Report};

// The system's allocator gives every large tensor back to the kernel, and page faults then double the time of a step.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Learns one curve from a few points by each way to a posterior, and plots their bands beside each other.
///
/// The points lie in two stretches with a gap between them. A method that knows what it does not know has a band that
/// opens in the gap and outside.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    /// What to compare.
    #[arg(long, value_enum, default_value_t = Comparison::Methods)]
    compare: Comparison,

    /// A way to a posterior, for the comparison of methods; may be repeated [default: all].
    #[arg(long, value_enum, value_name = "METHOD")]
    method: Vec<Method>,

    /// Points to learn from.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 80, value_parser = at_least::<4>)]
    points: usize,

    /// Seed of the points' noise, the weights, the batches and the draws.
    #[arg(
        long,
        value_name = "SEED",
        allow_negative_numbers = true,
        default_value_t = 42
    )]
    seed: u64,

    /// Folder that gets a numbered one for each run.
    #[arg(long, value_name = "DIR", default_value = "runs/toy-1d")]
    out: PathBuf,

    /// Burn device to compute on [default: `BURN_DEVICE`, else GPUs before CPUs].
    #[arg(long, value_name = "NAME")]
    device: Option<String>,

    /// End with one line of JSON instead of the table.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    exit_code("toy-1d", run(&cli))
}

fn check(cli: &Cli) -> Result<(), RunError> {
    match cli.compare.to_possible_value() {
        Some(other) if cli.compare != Comparison::Methods && !cli.method.is_empty() => {
            Err(RunError::Setting(format!(
                "--method chooses among the methods: leave it out with `--compare {}`",
                other.get_name()
            )))
        }
        _ => Ok(()),
    }
}

fn run(cli: &Cli) -> Result<String, RunError> {
    check(cli)?;
    let device = device::choose(cli.device.as_deref())?;
    let folder = RunFolder::next(&cli.out)?;
    let points = Points::new(cli.points, cli.seed);
    let mut figures = Vec::new();
    let (mut bands, mut left_out) = (Vec::new(), Vec::new());
    for candidate in cli.compare.candidates(&cli.method, cli.points) {
        let start = std::time::Instant::now();
        let fitted = candidate.fit(&points.rows(&device), cli.seed, &device);
        let predicted = fitted.and_then(|predict| Ok(predict(&column(&grid(), &device))?));
        let predictive = match predicted {
            Ok(predictive) => predictive,
            Err(error) => {
                left_out.push(LeftOut::new(candidate.name(), cli.seed, error));
                continue;
            }
        };
        let seconds = start.elapsed().as_secs_f64();
        let figure = Figures::of(candidate.name(), &predictive, seconds);
        say!("{}: {:.1} s", figure.name, figure.seconds);
        figures.push(figure);
        bands.push((candidate.name(), predictive));
    }
    LeftOut::unless_something_is_left(&left_out, figures.is_empty())?;
    let save = |path: &Path| save_bands(path, &points, &bands);
    let plot = written(folder.join("bands.png"), cli.seed, &mut left_out, save);
    written(folder.join("bands.svg"), cli.seed, &mut left_out, save);
    let report = Report {
        figures,
        left_out,
        plot,
    };
    Ok(present(&report, cli.json))
}
