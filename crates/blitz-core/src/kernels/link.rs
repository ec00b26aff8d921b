//! A KL and a draw of the same parameters, whose gradients are computed in one pass.
//!
//! Where both belong to one loss, a backward pass would walk the parameters twice and then add the two gradients: more memory
//! traffic than everything else a step does with a posterior. With a link between the two, each loss leaves its gradient of the
//! KL here, and the draw's backward pass takes their sum along. The KL's own pass, which comes later, has what was left since and
//! what came to it by other ways: nothing, as a rule. Where no loss reaches the draw, or none left anything, each does its own
//! work. The gradients are the same in every case.
//!
//! Burn runs backward steps by depth, deepest first. A loss is deeper than the draw that it depends on. The draw is deeper than
//! the KL since its parameters come to it through a step of their own. It is no child of the KL: Burn consumes the steps that a
//! backward pass walks, and a loss of the draw alone must leave those of the KL to another.

use std::any::Any;
use std::sync::{Arc, Mutex, MutexGuard};

/// What a loss left: a float tensor of the backend.
type Left = Box<dyn Any + Send>;

/// Shared by the backward steps of a draw, of a KL and of the losses that both belong to.
#[derive(Clone, Default)]
pub struct KlLink(Arc<Mutex<Option<Left>>>);

impl std::fmt::Debug for KlLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let is_left = self.lock().is_some();
        f.debug_struct("KlLink").field("is_left", &is_left).finish()
    }
}

impl KlLink {
    fn lock(&self) -> MutexGuard<'_, Option<Left>> {
        self.0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// A loss leaves its gradient of the KL, which `add` adds to that of the losses before.
    pub(super) fn leave<T: Send + 'static>(&self, gradient: T, add: impl FnOnce(T, T) -> T) {
        let mut left = self.lock();
        let sum = match left.take().map(of_backend::<T>) {
            Some(earlier) => add(earlier, gradient),
            None => gradient,
        };
        *left = Some(Box::new(sum));
    }

    /// Takes what was left, and with it the duty to compute the KL's gradients from it.
    pub(super) fn take<T: Send + 'static>(&self) -> Option<T> {
        self.lock().take().map(of_backend::<T>)
    }
}

fn of_backend<T: 'static>(gradient: Left) -> T {
    match gradient.downcast() {
        Ok(gradient) => *gradient,
        Err(_) => unreachable!("a loss and its draw are on one backend"),
    }
}
