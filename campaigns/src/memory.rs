//! Training steps and predictions for long, and predictions alone: the resident memory stays where it was after the
//! first of them.
//!
//! They are campaigns of their own, since a backward pass takes away what Burn keeps of gradients that nobody asked
//! for, and a process that only predicts has none.

use blitz_train::prelude::*;
use burn::module::Module;
use burn::nn::LinearConfig;
use burn::tensor::Device;
use burn::train::Interrupter;

use crate::Limits;
use crate::folders::scratch;
use crate::tally::Tally;
use crate::work::{self, Steps, fingerprint};

/// Trials before the memory is taken for warmed up, at least.
const WARM_UP: usize = 3;
/// What may come on top, in MB: the allocator's own habits.
const FLAT: f64 = 16.0;
/// Optimizer steps of a trial.
const STEPS: usize = 40;
/// What a trial of predictions alone asks for, so many times each.
const REQUESTS: usize = 200;

pub(crate) fn run(limits: Limits, tally: &mut Tally) {
    let mut steps = Steps::new(limits.seed);
    watch(limits, tally, |trial, tally| {
        for _ in 0..STEPS {
            steps.step();
            tally.count("steps");
        }
        fingerprint(steps.model());
        // Burn's Learner now and then, with its threads and files.
        if trial.is_multiple_of(20) {
            let folder = scratch();
            let fitted = work::train(limits.seed, folder.path(), 2, None, &Interrupter::new());
            tally.goal(fitted.is_ok(), || "a training that fails".into());
            tally.count("trainings");
        }
    });
}

/// A process that predicts, converts networks and asks for their KL, and never trains.
pub(crate) fn run_inference(limits: Limits, tally: &mut Tally) {
    let model = work::model(limits.seed).valid();
    let device = Device::flex();
    watch(limits, tally, |_, tally| {
        for _ in 0..REQUESTS {
            work::kl(&model);
            model.network.weight_marginals();
            let network = LinearConfig::new(3, 2).init(&device);
            let network = network.bayesianize(&BayesianizeConfig::new());
            tally.goal(network.num_bayesian_weights() == 8, || {
                "weights are lost".into()
            });
            tally.count("requests");
        }
        fingerprint(&model);
    });
}

/// Runs trials, each with one prediction, and judges the resident memory after them.
fn watch(limits: Limits, tally: &mut Tally, mut trial: impl FnMut(u64, &mut Tally)) {
    if resident().is_none() {
        tally.progress("this system does not tell the resident memory in /proc/self/status: nothing was measured");
        return;
    }
    let mut readings = Vec::new();
    for number in limits.trials() {
        trial(number, tally);
        tally.trial();
        tally.count("predictions");
        let now = resident().unwrap_or_default();
        readings.push(now);
        if (number + 1).is_multiple_of(100) {
            tally.progress(&format!("{} trials, {now:.1} MB", number + 1));
        }
    }
    judge(&readings, tally);
}

/// Looks at the resident memory after each trial, in MB.
///
/// The first quarter of the trials warms up: of those that were made, since how many there will be is not known where
/// only the time is limited.
fn judge(readings: &[f64], tally: &mut Tally) {
    let most = |readings: &[f64]| readings.iter().copied().fold(0.0f64, f64::max);
    let warm_up = WARM_UP.max(readings.len() / 4);
    let Some((first, later @ [_, ..])) = readings.split_at_checked(warm_up) else {
        return tally.miss(&format!(
            "{} trials are too few: the first {WARM_UP} warm up, and the memory is watched after them",
            readings.len()
        ));
    };
    let (warm, most) = (most(first), most(later));
    let kb = |mb: f64| (1e3 * mb).round() as u64;
    tally.set("resident_kb_warm", kb(warm));
    tally.set("resident_kb_most", kb(warm.max(most)));
    tally.goal(most - warm < FLAT, || {
        format!("the resident memory grew from {warm:.1} to {most:.1} MB")
    });
}

/// The resident memory in MB, where Linux tells it.
fn resident() -> Option<f64> {
    resident_in(&std::fs::read_to_string("/proc/self/status").ok()?)
}

/// Not `statm`, which counts pages, of a size that differs between systems.
fn resident_in(status: &str) -> Option<f64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024.0 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missed(readings: &[f64]) -> u64 {
        let mut tally = Tally::new("memory", 1);
        judge(readings, &mut tally);
        tally.missed()
    }

    #[test]
    fn growth_after_the_first_quarter_is_a_miss_however_many_trials_there_were() {
        assert_eq!(missed(&[10.0, 10.0, 10.0, 200.0]), 1);
        assert_eq!(missed(&[10.0, 200.0, 200.0, 200.0]), 0);
        let leak: Vec<f64> = (0..150).map(|trial| 100.0 + f64::from(trial)).collect();
        assert_eq!(missed(&leak), 1);
        assert_eq!(missed(&[100.0; 150]), 0);
    }

    #[test]
    fn a_campaign_that_has_watched_nothing_has_missed_its_goal() {
        assert_eq!(missed(&[]), 1);
        assert_eq!(missed(&[10.0; 3]), 1);
    }

    #[test]
    fn the_memory_is_read_in_its_unit() {
        let status = "Name:\tcampaigns\nVmHWM:\t  90000 kB\nVmRSS:\t  50000 kB\nThreads:\t1\n";
        assert_eq!(resident_in(status), Some(51.2));
        assert_eq!(resident_in("Name:\tcampaigns\n"), None);
        if cfg!(target_os = "linux") {
            assert!(resident().is_some_and(|mb| mb > 1.0 && mb < 1e5));
        }
    }
}
