//! Kills of a whole program: the example `regression`, while it trains, saves, predicts, plots and reports.
//!
//! Its rows are shuffled anew after a resume, so that it does not end in the numbers of an uninterrupted run. Whether
//! it goes on, and whether what it saved is whole, can be told all the same.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use burn::store::ModuleRecord;

use crate::Limits;
use crate::folders::{Process, scratch};
use crate::kill::{kill_and_let_end, listed};
use crate::random::Random;
use crate::tally::Tally;
use crate::work::{MODEL, checkpoints};

const PLOT: &str = "intervals.png";
/// Kills of one run before it may end.
const KILLS: u64 = 3;

pub(crate) fn run(limits: Limits, tally: &mut Tally) {
    let Some(program) = beside_this() else {
        return tally.miss("no `regression` beside this program: build the workspace");
    };
    let whole = scratch();
    let start = Instant::now();
    let ended = Process::start(&mut regression(&program, whole.path(), false)).end();
    let duration = start.elapsed();
    if !tally.goal(ended.by_itself(0), || format!("undisturbed: {ended:?}")) {
        return;
    }
    for trial in limits.trials() {
        let mut random = Random::of_trial(limits.seed, trial);
        killed(&program, &mut random, duration, tally);
        tally.trial();
        tally.count("runs");
    }
}

/// The example that was built with this program; of a test's, one folder up.
fn beside_this() -> Option<PathBuf> {
    let this = std::env::current_exe().ok()?;
    let name = format!("regression{}", std::env::consts::EXE_SUFFIX);
    let mut folders = this.ancestors().skip(1).take(2);
    folders.find_map(|folder| Some(folder.join(&name)).filter(|program| program.is_file()))
}

fn regression(program: &Path, out: &Path, resume: bool) -> Command {
    let mut command = Command::new(program);
    // Little training, so that every third kill or so is during what comes after it.
    command
        .args(["--epochs", "3", "--hidden", "8", "--batch-size", "64"])
        .args(["--predict-samples", "200", "--json", "--out"])
        .arg(out);
    if resume {
        command.arg("--resume");
    }
    command
}

/// One run, killed some times, then left to end.
fn killed(program: &Path, random: &mut Random, duration: Duration, tally: &mut Tally) {
    let folder = scratch();
    let out = folder.path();
    let start = |last: Option<usize>| regression(program, out, last.is_some());
    let kills = random.below(KILLS as usize) + 1;
    let what = "a killed program";
    let last = kill_and_let_end(
        kills,
        random,
        duration,
        tally,
        what,
        start,
        |last, tally| after_a_kill(out, last, tally),
    );
    tally.goal(
        out.join(MODEL).is_file() && is_whole_plot(&out.join(PLOT)),
        || "a program that ended left no model or no plot".into(),
    );
    after_a_kill(out, last, tally);
}

/// What lies in the folder is whole, and no epoch is lost.
fn after_a_kill(out: &Path, before: Option<usize>, tally: &mut Tally) -> Option<usize> {
    let last = listed(&checkpoints(out), tally).last().copied();
    tally.goal(last >= before, || format!("after {before:?} came {last:?}"));
    let model = out.join(MODEL);
    if model.is_file() {
        tally.count("models_read");
        let read = ModuleRecord::load(&model);
        tally.goal(read.is_ok(), || format!("the model: {:?}", read.err()));
    }
    let plot = out.join(PLOT);
    if plot.is_file() {
        tally.count("plots_read");
        tally.goal(is_whole_plot(&plot), || "a part of a plot".into());
    }
    last
}

/// A PNG begins with its signature and ends with the chunk `IEND`.
fn is_whole_plot(path: &Path) -> bool {
    let bytes = std::fs::read(path).unwrap_or_default();
    bytes.starts_with(b"\x89PNG\r\n\x1a\n") && bytes.ends_with(b"IEND\xaeB`\x82")
}
