//! Kills at random moments. What was saved is whole, nothing earlier is lost, and the training that goes on ends as if nothing
//! had been.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use blitz_train::Checkpoints;

use crate::Limits;
use crate::folders::{Process, scratch, training};
use crate::random::Random;
use crate::tally::Tally;
use crate::work::{self, MODEL, REPORT, checkpoints};

const EPOCHS: usize = 12;
/// More than an uninterrupted run by far.
const LONG: usize = 100_000;
/// Kills of one training before it may end.
const KILLS: u64 = 4;

pub(crate) fn run(limits: Limits, tally: &mut Tally) {
    let whole = scratch();
    let start = Instant::now();
    let ended = Process::start(&mut training(whole.path(), EPOCHS, false)).end();
    let duration = start.elapsed();
    let expected = std::fs::read_to_string(whole.path().join(REPORT));
    let Ok(expected) = expected else {
        return tally.miss(&format!("the uninterrupted training: {}", ended.said));
    };
    tally.progress(&format!("uninterrupted in {:.2} s", duration.as_secs_f64()));

    for signal in ["INT", "TERM"] {
        in_order(signal, tally);
    }
    two_in_one_folder(&expected, tally);
    for trial in limits.trials() {
        let mut random = Random::of_trial(limits.seed, trial);
        tally.count("trainings");
        killed(&mut random, duration, &expected, tally);
        if (trial + 1).is_multiple_of(10) {
            tally.progress(&format!("{} trainings", trial + 1));
        }
    }
}

/// One training, killed some times, then left to end.
fn killed(random: &mut Random, duration: Duration, expected: &str, tally: &mut Tally) {
    let folder = scratch();
    let out = folder.path();
    let start = |_| training(out, EPOCHS, true);
    let kills = random.below(KILLS as usize) + 1;
    let what = "a killed training";
    kill_and_let_end(
        kills,
        random,
        duration,
        tally,
        what,
        start,
        |last, tally| after_a_kill(out, last, tally),
    );
    ends_as(out, expected, what, tally);
}

/// Kills a program at random moments, and looks at what it left; then lets one end. `start` is told the last epoch that was saved, and so is `look`, which returns
/// it anew.
pub(crate) fn kill_and_let_end(
    kills: usize,
    random: &mut Random,
    duration: Duration,
    tally: &mut Tally,
    what: &str,
    start: impl Fn(Option<usize>) -> Command,
    look: impl Fn(Option<usize>, &mut Tally) -> Option<usize>,
) -> Option<usize> {
    let mut last = None;
    for _ in 0..kills {
        // Beyond the end, too: it may be at its prediction or its report.
        let moment = duration.mul_f64(1.1 * random.uniform());
        let mut process = Process::start(&mut start(last));
        std::thread::sleep(moment);
        process.kill();
        let ended = process.end();
        tally.count(match ended.code {
            None => "kills",
            Some(_) => "ends_before_the_kill",
        });
        tally.goal(matches!(ended.code, None | Some(0)), || ended.said.clone());
        last = look(last, tally);
    }
    let ended = Process::start(&mut start(last)).end();
    tally.goal(ended.code == Some(0), || {
        format!("{what} does not go on: {}", ended.said)
    });
    last
}

/// The epochs whose checkpoints are listed, each of which is whole.
pub(crate) fn listed(checkpoints: &Checkpoints, tally: &mut Tally) -> Vec<usize> {
    let listed = checkpoints.epochs().unwrap_or_default();
    for epoch in &listed {
        tally.count("checkpoints_checked");
        if let Err(error) = checkpoints.check(*epoch) {
            tally.miss(&format!("a listed checkpoint: {error}"));
        }
    }
    listed
}

/// Every checkpoint that is listed is whole, and the last is no earlier than `before`.
fn after_a_kill(out: &Path, before: Option<usize>, tally: &mut Tally) -> Option<usize> {
    let checkpoints = checkpoints(out);
    let listed = listed(&checkpoints, tally);
    let last = checkpoints.last_whole();
    tally.goal(last == Ok(listed.last().copied()), || {
        format!("{last:?} of {listed:?}")
    });
    let last = last.ok().flatten();
    tally.goal(last >= before, || format!("after {before:?} came {last:?}"));
    if out.join(MODEL).is_file() {
        tally.count("models_loaded");
        let loaded = work::model(1).load(out.join(MODEL));
        tally.goal(loaded.is_ok(), || {
            format!("the saved model: {:?}", loaded.err())
        });
    }
    last
}

fn ends_as(out: &Path, expected: &str, what: &str, tally: &mut Tally) -> bool {
    let report = std::fs::read_to_string(out.join(REPORT)).unwrap_or_default();
    tally.goal(report == expected, || {
        format!("{what} ends otherwise than an uninterrupted one: {report}")
    })
}

/// A signal ends a training in order: exit status 130, a sentence, and a checkpoint.
fn in_order(signal: &str, tally: &mut Tally) {
    let folder = scratch();
    let out = folder.path();
    let mut process = Process::start(&mut training(out, LONG, false));
    process.wait_for(&out.join("checkpoint/model-2.bpk.sha256"));
    process.signal(signal);
    let ended = process.end();
    tally.count("signals");
    let in_order = ended.code == Some(130) && ended.said.contains("stopped") && !ended.panicked();
    tally.goal(in_order, || format!("SIG{signal}: {ended:?}"));
    let last = checkpoints(out).last_whole();
    tally.goal(matches!(last, Ok(Some(_))), || {
        format!("SIG{signal}: {last:?}")
    });
}

/// Of two trainings in one folder, the second is refused and the first ends right.
fn two_in_one_folder(expected: &str, tally: &mut Tally) {
    let folder = scratch();
    let out = folder.path();
    let mut first = Process::start(&mut training(out, LONG, false));
    first.wait_for(&out.join("checkpoint/scheduler-1.bpk.sha256"));
    let second = Process::start(&mut training(out, EPOCHS, true)).end();
    tally.count("trainings_in_one_folder");
    let refused = second.code == Some(2) && second.said.contains("another") && !second.panicked();
    tally.goal(refused, || {
        format!("the second training in a folder: {second:?}")
    });
    first.signal("INT");
    let first = first.end();
    tally.goal(first.code == Some(130), || {
        format!("the first training: {first:?}")
    });
    after_a_kill(out, Some(1), tally);

    // Both at once: whichever is refused, what is there in the end is right.
    let folder = scratch();
    let out = folder.path();
    let both = [(); 2].map(|()| Process::start(&mut training(out, EPOCHS, true)));
    let codes = both.map(|process| process.end().code);
    tally.count("trainings_in_one_folder");
    tally.goal(codes.contains(&Some(0)), || {
        format!("two at once: {codes:?}")
    });
    ends_as(out, expected, "one of two", tally);
}
