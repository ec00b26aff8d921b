//! Campaigns against what must not happen: something saved is lost, something read is silently wrong, a panic from
//! data, memory that grows, threads that disturb each other.
//!
//! Each campaign runs until its count or its time is up, tells its progress on standard error, and ends with one line
//! of JSON on standard output. The exit status is 1 if a goal was missed or nothing was tried, and 2 where a campaign
//! cannot go on.

mod damage;
mod disk;
mod folders;
#[cfg(feature = "fuzz")]
mod fuzz;
mod kill;
mod memory;
mod programs;
mod random;
mod tally;
mod threads;
mod work;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Args, Parser, Subcommand};
use example_support::say;

use folders::NoRoom;
use tally::Tally;

/// Campaigns against lost files, silent damage, panics, leaks and races.
///
/// A campaign ends when its count or its time is up, whichever is first. The last line of standard output is JSON with
/// what was tried and what was missed; the exit status is 1 if anything was missed, or nothing was tried.
#[derive(Debug, Parser)]
#[command(name = "campaigns", version)]
struct Cli {
    #[command(subcommand)]
    campaign: Campaign,
}

#[derive(Debug, Subcommand)]
enum Campaign {
    /// Kill trainings at random moments and go on from what they saved; stop them by SIGINT and SIGTERM; run two in one
    /// folder.
    Kill(Limits),
    /// Flip bits, cut off, extend and overwrite what every reader reads.
    Damage(Limits),
    /// Let libFuzzer change what every reader reads: see `fuzz.sh`, which builds this program for it.
    #[cfg(feature = "fuzz")]
    Fuzz(fuzz::FuzzArgs),
    /// One reader under libFuzzer.
    #[cfg(feature = "fuzz")]
    #[command(hide = true)]
    FuzzChild(fuzz::ChildArgs),
    /// Fill the disk, take folders away, write where nothing can be written.
    Disk(Limits),
    /// Kill the example `regression` at random moments of its training, its prediction, its plot and its report, and go
    /// on.
    Programs(Limits),
    /// Train and predict for long, and watch the resident memory.
    Memory(Limits),
    /// Predict, convert networks and ask for their KL for long, without a training, and watch the resident memory.
    Inference(Limits),
    /// Train, draw and predict in eight threads, and compare with the same work done alone.
    Threads(Limits),
    /// The training that other campaigns kill.
    #[command(hide = true)]
    Child(ChildArgs),
}

/// How long a campaign runs.
#[derive(Debug, Clone, Copy, Args)]
struct Limits {
    /// Stop after so many trials [default: 20, or no limit with `--seconds`].
    #[arg(long, value_name = "N")]
    count: Option<u64>,

    /// Begin no trial after so many seconds.
    #[arg(long, value_name = "S")]
    seconds: Option<u64>,

    /// Decides every trial, but for the moments at which the system runs what it is asked to.
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    seed: u64,
}

impl Limits {
    const DEFAULT_COUNT: u64 = 20;

    /// The numbers of the trials, until the limits are reached.
    fn trials(self) -> impl Iterator<Item = u64> {
        let count = match (self.count, self.seconds) {
            (Some(count), _) => count,
            (None, Some(_)) => u64::MAX,
            (None, None) => Self::DEFAULT_COUNT,
        };
        // A time that no clock reaches is none.
        let end = self
            .seconds
            .and_then(|seconds| Instant::now().checked_add(Duration::from_secs(seconds)));
        (0..count).take_while(move |_| end.is_none_or(|end| Instant::now() < end))
    }
}

/// A training with its checkpoints, its model and its report in one folder.
#[derive(Debug, Clone, Args)]
struct ChildArgs {
    /// Its folder.
    #[arg(long)]
    out: PathBuf,
    /// Passes over the data.
    #[arg(long)]
    epochs: usize,
    /// Go on from the last whole checkpoint, if there is one.
    #[arg(long)]
    resume: bool,
}

fn main() -> ExitCode {
    let (name, limits, run): (_, _, fn(Limits, &mut Tally)) = match Cli::parse().campaign {
        Campaign::Child(args) => return work::child(&args),
        #[cfg(feature = "fuzz")]
        Campaign::FuzzChild(args) => return fuzz::child(&args),
        #[cfg(feature = "fuzz")]
        Campaign::Fuzz(args) => {
            let mut tally = Tally::new("fuzz", args.seed.into());
            fuzz::run(&args, &mut tally);
            return tally.finish();
        }
        Campaign::Kill(limits) => ("kill", limits, kill::run),
        Campaign::Damage(limits) => ("damage", limits, damage::run),
        Campaign::Disk(limits) => ("disk", limits, disk::run),
        Campaign::Programs(limits) => ("programs", limits, programs::run),
        Campaign::Memory(limits) => ("memory", limits, memory::run),
        Campaign::Inference(limits) => ("inference", limits, memory::run_inference),
        Campaign::Threads(limits) => ("threads", limits, threads::run),
    };
    let mut tally = Tally::new(name, limits.seed);
    match catch_unwind(AssertUnwindSafe(|| run(limits, &mut tally))) {
        Ok(()) => tally.finish(),
        Err(payload) => match payload.downcast::<NoRoom>() {
            Ok(no_room) => {
                say!("campaigns: {}", no_room.0);
                ExitCode::from(2)
            }
            Err(payload) => resume_unwind(payload),
        },
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn command_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn trials_end_at_the_count_or_the_time() {
        let limits = |count, seconds| Limits {
            count,
            seconds,
            seed: 1,
        };
        assert_eq!(limits(Some(3), None).trials().count(), 3);
        assert_eq!(limits(None, None).trials().count(), 20);
        assert_eq!(limits(None, Some(0)).trials().count(), 0);
        assert_eq!(limits(Some(3), Some(60)).trials().count(), 3);
        assert_eq!(limits(Some(3), Some(u64::MAX)).trials().count(), 3);
    }
}
