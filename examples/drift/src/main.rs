//! A curve that moves from day to day, followed by one posterior: how much of yesterday to keep.

mod learner;
mod report;
mod stream;

use std::process::ExitCode;
use std::time::Instant;

use blitz_train::plot::{Band, Bands, Plot, PlotError, TrainingCurves};
use clap::Parser;
use example_support::number::{at_least, draws_of_a_prediction, not_negative};
use example_support::{
    LeftOut, RunArgs, RunError, check_draws, chosen_or_all, exit_code, say, written,
};

use learner::{Keep, Learner, numbers_of_a_draw};
use report::{Figures, Report};
use stream::Stream;

// The system's allocator gives every large tensor back to the kernel, and page faults then double the time of a step.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Learns a curve that moves from day to day. Each day's points are predicted, then learnt from, then gone.
///
/// Yesterday's posterior is today's prior. With a discount of 1 nothing is forgotten, and the posterior gets ever surer
/// of a curve that has moved on; with less, its variances grow from day to day.
#[derive(Debug, Clone, Parser)]
#[command(name = "drift", version, args_override_self = true)]
pub struct Cli {
    /// Share of what is known that the next day still knows, 0 or from 0.01 to 1; may be repeated [default: 1, 0.9,
    /// 0.7, 0, which starts anew every day].
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true, value_parser = not_negative)]
    pub discount: Vec<f64>,

    /// Days.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 60, value_parser = at_least::<2>)]
    pub days: usize,

    /// Points of a day.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 12, value_parser = at_least::<1>)]
    pub points: usize,

    /// How far the curve moves in a day: the deviation of its phase, in radians.
    #[arg(long, value_name = "RADIANS", allow_negative_numbers = true, default_value_t = 0.1, value_parser = not_negative)]
    pub speed: f64,

    /// Training steps of a day.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 300, value_parser = at_least::<1>)]
    pub steps: usize,

    /// Draws of the weights for a prediction.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 100, value_parser = draws_of_a_prediction)]
    pub predict_samples: usize,

    /// Seed of the curve's way, the points, the initial weights and the draws of the training.
    #[arg(
        long,
        value_name = "SEED",
        allow_negative_numbers = true,
        default_value_t = 42
    )]
    pub seed: u64,

    /// Where it runs, and what of it stays.
    #[command(flatten)]
    pub run: RunArgs,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    exit_code("drift", run(&cli))
}

fn run(cli: &Cli) -> Result<String, RunError> {
    let start = Instant::now();
    check(cli)?;
    let keeps = keeps(cli)?;
    let device = cli.run.device()?;
    let folder = cli.run.folder("drift")?;
    let stream = Stream::new(cli);
    let (mut learners, mut left_out) = (Vec::new(), Vec::new());
    for keep in keeps {
        let mut learner = Learner::new(keep, cli, &device);
        match learner.live(stream.days()) {
            Ok(band) => {
                say!("{keep}: {} days", cli.days);
                learners.push((learner, band));
            }
            // The others are worth their report.
            Err(reason) => left_out.push(LeftOut::new(keep.to_string(), cli.seed, reason)),
        }
    }
    LeftOut::unless_something_is_left(&left_out, learners.is_empty())?;

    let figures = learners.iter().map(|(learner, _)| Figures::of(learner));
    let figures = figures.collect();
    let course = written(folder.join("days.png"), cli.seed, &mut left_out, |path| {
        course(&learners)?.save(path)
    });
    let last_day = folder.join("last-day.png");
    let bands = written(last_day, cli.seed, &mut left_out, |path| {
        let bands = learners.into_iter().map(|(_, band)| band);
        bands.fold(Bands::new("x", "y"), Bands::panel).save(path)
    });
    let report = Report {
        days: cli.days,
        points: cli.points,
        learners: figures,
        left_out,
        seconds: start.elapsed().as_secs_f64(),
        bands,
        course,
    };
    Ok(cli.run.present(&report))
}

/// NLL and KL by day.
fn course(learners: &[(Learner, Band)]) -> Result<TrainingCurves, PlotError> {
    // On the first day nobody knows anything, which would be all that one sees.
    let mut course = TrainingCurves::new("day, after the first")
        .with_title("Tomorrow's points, and what a day tells");
    for (learner, _) in learners {
        course = course.nll(learner.keep.to_string(), &learner.nll_by_day()[1..])?;
        if learner.keep != Keep::Nothing {
            course = course.kl(learner.keep.to_string(), &learner.kl_by_day[1..])?;
        }
    }
    Ok(course)
}

/// All points lie in memory.
const MOST_POINTS: usize = 10_000_000;
/// Beyond it the phase of a day would be rounding.
const LARGEST_SPEED: f64 = 1e6;
/// Below it a day's training does not bring the deviations back that a night makes wider, and those of a few days later
/// would be infinite in `f32`. Nothing at all is kept by 0.
const SMALLEST_DISCOUNT: f64 = 0.01;

fn check(cli: &Cli) -> Result<(), RunError> {
    let (days, points) = (cli.days, cli.points);
    if days.checked_mul(points).is_none_or(|all| all > MOST_POINTS) {
        return Err(RunError::Setting(format!(
            "{days} days of {points} points are more than {MOST_POINTS} points"
        )));
    }
    check_draws(cli.predict_samples, numbers_of_a_draw(points)).map_err(RunError::Setting)?;
    if cli.speed > LARGEST_SPEED {
        return Err(RunError::Setting(format!(
            "a speed is at most {LARGEST_SPEED} radians a day, got {:e}",
            cli.speed
        )));
    }
    Ok(())
}

/// The discounts to compare.
fn keeps(cli: &Cli) -> Result<Vec<Keep>, RunError> {
    let discounts = chosen_or_all(&cli.discount, &[1.0, 0.9, 0.7, 0.0]);
    let keep = |discount: &f64| match discount {
        0.0 => Ok(Keep::Nothing),
        SMALLEST_DISCOUNT..=1.0 => Ok(Keep::Share(*discount)),
        _ => Err(RunError::Setting(format!(
            "a discount is the share that is kept, from {SMALLEST_DISCOUNT:?} to 1, or 0, got {discount:?}"
        ))),
    };
    discounts.iter().map(keep).collect()
}
