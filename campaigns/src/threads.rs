//! Eight threads that train, draw and predict at once: each has the result of the same work done alone, to the bit.

use std::path::Path;

use burn::train::Interrupter;

use crate::Limits;
use crate::folders::scratch;
use crate::random::Random;
use crate::tally::Tally;
use crate::work::{self, fingerprint};

const THREADS: usize = 8;
const EPOCHS: usize = 2;

pub(crate) fn run(limits: Limits, tally: &mut Tally) {
    for trial in limits.trials() {
        let mut random = Random::of_trial(limits.seed, trial);
        let seeds: Vec<u64> = (0..THREADS).map(|_| random.below(1 << 20) as u64).collect();
        let alone: Vec<_> = seeds.iter().map(|seed| result(*seed)).collect();
        let together: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = seeds
                .iter()
                .map(|seed| scope.spawn(move || result(*seed)))
                .collect();
            threads.into_iter().map(|thread| thread.join()).collect()
        });
        tally.trial();
        tally.count("rounds");
        for ((seed, alone), together) in seeds.iter().zip(&alone).zip(together) {
            tally.count("trainings");
            match together {
                Ok(together) => tally.goal(together == *alone, || {
                    format!("trial {trial}, seed {seed}: other values than alone")
                }),
                Err(_) => tally.goal(false, || format!("trial {trial}, seed {seed}: a panic")),
            };
        }
        tally.goal(alone[0] != alone[1], || {
            format!("trial {trial}: two seeds, one result")
        });
    }
}

/// What a seed's training, its draws and its predictions come to.
fn result(seed: u64) -> Vec<u64> {
    let folder = scratch();
    let folder: &Path = folder.path();
    let model = work::train(seed, folder, EPOCHS, None, &Interrupter::new());
    let model = model.unwrap_or_else(|error| panic!("{error}"));
    let mut values = fingerprint(&model);
    values.extend(work::drawn(&model, seed));
    values
}
