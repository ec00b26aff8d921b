//! Which worker of a training on several devices computes a loss, and so which draws are its own.
//!
//! Burn forks the same model to every device and says nothing of a rank. What a copy does know is the device it is on.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};

use crate::elbo::Step;

/// The devices of the training, one a worker; none if the training has one device. Shared by all copies of a model.
#[derive(Debug, Clone, Default)]
pub(super) struct Workers {
    devices: Arc<Mutex<Arc<[Device]>>>,
}

impl Workers {
    pub(super) fn install(&self, devices: Vec<Device>) {
        let several = devices.len() > 1;
        *lock(&self.devices) = if several { devices.into() } else { [].into() };
    }

    pub(super) fn devices(&self) -> Arc<[Device]> {
        lock(&self.devices).clone()
    }
}

/// The losses computed since the last optimizer step, for each worker. Shared by the copies of a model that work on one
/// step.
#[derive(Debug, Clone, Default)]
pub(super) struct Turns {
    taken: Arc<Mutex<Vec<u16>>>,
}

impl Turns {
    /// The step after `index` others of the next loss on `device`.
    ///
    /// A device that is listed more than once has as many workers, who take turns in the order in which they ask.
    ///
    /// # Panics
    ///
    /// Panics if there are several workers, and none on the device.
    pub(super) fn take(
        &self,
        index: u64,
        workers: &[Device],
        device: impl FnOnce() -> Device,
    ) -> Step {
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
        taken[worker] = accumulated.wrapping_add(1);
        let step = Step { index, accumulated };
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
