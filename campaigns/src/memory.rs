//! Training steps and predictions for long: the resident memory stays where it was after the first of them.

use burn::train::Interrupter;

use crate::Limits;
use crate::folders::scratch;
use crate::tally::Tally;
use crate::work::{self, Steps, fingerprint};

/// Trials before the memory is taken for warmed up, at least.
const WARM_UP: u64 = 3;
/// What may come on top, in MB: the allocator's own habits.
const FLAT: f64 = 16.0;
/// Optimizer steps of a trial.
const STEPS: usize = 40;

pub(crate) fn run(limits: Limits, tally: &mut Tally) {
    if resident().is_none() {
        tally.progress("this system does not tell the resident memory in /proc/self/statm: nothing was measured");
        return;
    }
    let mut steps = Steps::new(limits.seed);
    let (mut warm, mut most) = (0.0f64, 0.0f64);
    for trial in limits.trials() {
        for _ in 0..STEPS {
            steps.step();
            tally.count("steps");
        }
        fingerprint(steps.model());
        tally.count("predictions");
        // Burn's Learner now and then, with its threads and files.
        if trial.is_multiple_of(20) {
            let folder = scratch();
            let fitted = work::train(limits.seed, folder.path(), 2, None, &Interrupter::new());
            tally.goal(fitted.is_ok(), || "a training that fails".into());
            tally.count("trainings");
        }
        let now = resident().unwrap_or_default();
        // A quarter of the trials, or the first 200 where only the time is limited.
        if trial < WARM_UP.max(limits.count.map_or(200, |count| count / 4)) {
            warm = warm.max(now);
        }
        most = most.max(now);
        if (trial + 1).is_multiple_of(100) {
            tally.progress(&format!("{} trials, {now:.1} MB", trial + 1));
        }
    }
    let kb = |mb: f64| (1e3 * mb).round() as u64;
    tally.set("resident_kb_warm", kb(warm));
    tally.set("resident_kb_most", kb(most));
    tally.goal(most - warm < FLAT, || {
        format!("the resident memory grew from {warm:.1} to {most:.1} MB")
    });
}

/// The resident memory in MB, where Linux tells it.
fn resident() -> Option<f64> {
    const PAGE: f64 = 4096.0;
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: f64 = text.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * PAGE / 1e6)
}
