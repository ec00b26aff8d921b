//! Which worker of a training on several devices computes a loss, and so which draws are its own.
//!
//! Burn forks the same model to every device and says nothing of a rank. What a copy does know is the device it is on.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};

use crate::elbo::TrainingStep;

/// The losses computed since the last optimizer step, for each worker.
#[derive(Debug, Default)]
pub(super) struct Turns {
    taken: Arc<Mutex<Vec<u16>>>,
}

impl Turns {
    /// The same counter, for a model that works on the same step.
    pub(super) fn shared(&self) -> Self {
        Self {
            taken: self.taken.clone(),
        }
    }

    /// A counter of its own that stands where this one does.
    pub(super) fn copied(&self) -> Self {
        let taken = lock(&self.taken).clone();
        Self {
            taken: Arc::new(Mutex::new(taken)),
        }
    }

    /// The number of losses computed in the step, whose gradients Burn sums.
    pub(super) fn losses(&self) -> usize {
        lock(&self.taken)
            .iter()
            .map(|taken| usize::from(*taken))
            .sum()
    }

    /// The step after `index` others of the next loss on `device`.
    ///
    /// A device that is listed more than once has as many workers, who take turns in the order in which they ask.
    ///
    /// # Panics
    ///
    /// Panics if there are several workers, and none on the device; and if a step has more than 65,535 losses of one.
    pub(super) fn take(
        &self,
        index: u64,
        workers: &[Device],
        device: impl FnOnce() -> Device,
    ) -> TrainingStep {
        let mut taken = lock(&self.taken);
        taken.resize(workers.len().max(1), 0);
        let worker = match workers {
            [] => 0,
            workers => {
                let device = device();
                (0..workers.len())
                    .filter(|worker| workers[*worker] == device)
                    .min_by_key(|worker| taken[*worker])
                    .unwrap_or_else(|| {
                        panic!("{device:?} is none of the training's devices: {workers:?}")
                    })
            }
        };
        let accumulated = taken[worker];
        let Some(next) = accumulated.checked_add(1) else {
            panic!("a step has more than {} losses of one worker", u16::MAX)
        };
        taken[worker] = next;
        let step = TrainingStep { index, accumulated };
        match workers {
            [] => step,
            workers => step.on_worker(worker, workers.len()),
        }
    }
}

/// Whether Burn sums or averages the model's gradients over devices inside the backward pass.
pub(super) fn is_distributed<M: Module>(model: &M) -> bool {
    #[derive(Default)]
    struct Distributed(bool);

    impl ModuleVisitor for Distributed {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if !self.0 {
                let base = param.base();
                // Asked first: whether a quantized tensor is distributed cannot be asked.
                self.0 = base.is_require_grad() && base.is_distributed();
            }
        }
    }

    let mut distributed = Distributed::default();
    model.visit(&mut distributed);
    distributed.0
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "more than 65535 losses of one worker")]
    fn draws_are_not_begun_again_where_their_numbers_end() {
        let turns = Turns::default();
        for _ in 0..=u32::from(u16::MAX) {
            turns.take(3, &[], Device::flex);
        }
    }

    #[allow(deprecated)] // ndarray stays supported here.
    fn devices() -> [Device; 2] {
        [Device::flex(), Device::ndarray()]
    }

    fn accumulated(turns: &Turns, workers: &[Device], device: &Device) -> u16 {
        let step = turns.take(5, workers, || device.clone());
        assert_eq!(step.index, 5);
        step.accumulated
    }

    #[test]
    fn a_worker_has_the_same_draws_whichever_worker_asks_first() {
        let devices = devices();
        let [first, second] = &devices;
        for order in [
            [first, second, first, second],
            [second, second, first, first],
        ] {
            let turns = Turns::default();
            let mut taken =
                order.map(|device| (device == second, accumulated(&turns, &devices, device)));
            taken.sort();
            assert_eq!(taken, [(false, 0), (false, 2), (true, 1), (true, 3)]);
        }
    }

    /// As in a distributed training, whose workers optimize copies of their own.
    #[test]
    fn workers_that_share_no_counter_share_no_draw() {
        let devices = devices();
        let taken = devices.clone().map(|device| {
            let turns = Turns::default();
            [(); 2].map(|()| accumulated(&turns, &devices, &device))
        });
        assert_eq!(taken, [[0, 2], [1, 3]]);
    }

    #[test]
    fn a_device_listed_twice_is_two_workers() {
        let [first, second] = devices();
        let workers = [first.clone(), second, first.clone()];
        let turns = Turns::default();
        let taken = [(); 4].map(|()| accumulated(&turns, &workers, &first));
        assert_eq!(taken, [0, 2, 3, 5]);
    }

    #[test]
    fn one_device_counts_on_whatever_it_is_called() {
        let turns = Turns::default();
        let taken = devices().map(|device| accumulated(&turns, &[], &device));
        assert_eq!(taken, [0, 1]);
    }

    #[test]
    #[should_panic(expected = "is none of the training's devices")]
    fn a_device_that_is_not_listed_is_refused() {
        let [first, second] = devices();
        accumulated(&Turns::default(), &[first.clone(), first], &second);
    }
}
