//! Kills at random moments. What was saved is whole, nothing earlier is lost, and the training that goes on ends as if
//! nothing had been.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use blitz_train::Checkpoints;

use crate::Limits;
use crate::folders::{Ended, Process, scratch, training};
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
    let (Ok(expected), true) = (expected, ended.by_itself(0)) else {
        return tally.miss(&format!("the uninterrupted training: {ended:?}"));
    };
    tally.progress(&format!("uninterrupted in {:.2} s", duration.as_secs_f64()));

    for signal in ["INT", "TERM"] {
        in_order(signal, tally);
    }
    two_in_one_folder(&expected, tally);
    for trial in limits.trials() {
        let mut random = Random::of_trial(limits.seed, trial);
        tally.trial();
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

/// Kills a program at random moments, and looks at what it left; then lets one end. `start` is told the last epoch that
/// was saved, and so is `look`, which returns it anew.
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
        let (killed, ended_before) = (ended.was_killed(), ended.by_itself(0));
        if killed {
            tally.count("kills");
        } else if ended_before {
            tally.count("ends_before_the_kill");
        }
        tally.goal(killed || ended_before, || {
            format!("{what}, before the kill: {ended:?}")
        });
        last = look(last, tally);
    }
    let ended = Process::start(&mut start(last)).end();
    tally.goal(ended.by_itself(0), || {
        format!("{what} does not go on: {ended:?}")
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
    process.wait_for(&out.join("checkpoint/model-2.bpk"));
    process.signal(signal);
    let ended = process.end();
    tally.count("signals");
    let in_order = ended.by_itself(130) && ended.said.contains("stopped") && !ended.panicked();
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
    first.wait_for(&out.join("checkpoint/scheduler-1.bpk"));
    let second = Process::start(&mut training(out, EPOCHS, true)).end();
    tally.count("trainings_in_one_folder");
    let refused = second.by_itself(2) && second.said.contains("another") && !second.panicked();
    tally.goal(refused, || {
        format!("the second training in a folder: {second:?}")
    });
    first.signal("INT");
    let first = first.end();
    tally.goal(first.by_itself(130), || {
        format!("the first training: {first:?}")
    });
    after_a_kill(out, Some(1), tally);

    // Both at once: whichever is refused, what is there in the end is right.
    let folder = scratch();
    let out = folder.path();
    let both = [(); 2].map(|()| Process::start(&mut training(out, EPOCHS, true)));
    let both = both.map(Process::end);
    tally.count("trainings_in_one_folder");
    let is_one = both.iter().any(|ended| ended.by_itself(0));
    let in_order = |ended: &Ended| ended.by_itself(0) || ended.by_itself(2) && !ended.panicked();
    tally.goal(is_one && both.iter().all(in_order), || {
        format!("two at once: {both:?}")
    });
    ends_as(out, expected, "one of two", tally);
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    /// What is missed of programs that do `script` where they should be killed, and end in order after that.
    fn missed(script: &str) -> u64 {
        const KILLS: usize = 3;
        let mut tally = Tally::new("kill", 1);
        let start = |killed: Option<usize>| {
            let mut bash = Command::new("bash");
            let is_last = killed == Some(KILLS);
            bash.args(["-c", if is_last { "exit 0" } else { script }]);
            bash
        };
        let count = |killed: Option<usize>, _: &mut Tally| Some(killed.unwrap_or(0) + 1);
        let mut random = Random::of_trial(1, 1);
        let second = Duration::from_secs(1);
        kill_and_let_end(KILLS, &mut random, second, &mut tally, "bash", start, count);
        tally.missed()
    }

    #[test]
    fn a_program_that_crashes_before_it_is_killed_is_a_miss() {
        assert_eq!(missed("exec sleep 60"), 0);
        assert_eq!(missed("exit 0"), 0);
        assert!(missed("kill -ABRT $$") > 0);
        assert!(missed("exit 1") > 0);
    }
}
