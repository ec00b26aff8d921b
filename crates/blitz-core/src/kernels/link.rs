//! A KL and a draw of the same parameters, whose gradients are computed in one pass.
//!
//! Where both belong to one loss, a backward pass would walk the parameters twice and then add the two gradients: more memory
//! traffic than everything else a step does with a posterior. With a link between the two, the loss leaves the gradient of the KL
//! here, the draw's backward pass takes it along, and the KL's, which comes later, is left with what came to it by other ways: nothing,
//! as a rule. Where the loss does not reach the draw, or never left anything, each does its own work. The gradients are the same
//! in every case.
//!
//! Burn runs backward steps by depth, deepest first. The loss is deeper than the draw since it depends on it; the draw is deeper than
//! the KL since it takes the KL as a parent, without using it.

use std::any::Any;
use std::sync::{Arc, Mutex};

/// Shared by the backward steps of a draw, of a KL and of the loss that both belong to.
#[derive(Clone, Default)]
pub struct KlLink(Arc<Mutex<State>>);

#[derive(Default)]
enum State {
    /// No loss has left anything.
    #[default]
    Empty,
    /// The gradient of the KL, a float tensor of the backend.
    Left(Box<dyn Any + Send>),
    /// The draw, or the KL itself, took it.
    Taken,
}

impl std::fmt::Debug for KlLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = match *self.lock() {
            State::Empty => "empty",
            State::Left(_) => "left",
            State::Taken => "taken",
        };
        f.debug_tuple("KlLink").field(&state).finish()
    }
}

impl KlLink {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The loss leaves the gradient of the KL.
    pub(super) fn leave<T: Send + 'static>(&self, gradient: T) {
        *self.lock() = State::Left(Box::new(gradient));
    }

    /// Takes it, if it is there, and with it the duty to compute the KL's gradients.
    pub(super) fn take<T: Send + 'static>(&self) -> Option<T> {
        let mut state = self.lock();
        match std::mem::take(&mut *state) {
            State::Left(gradient) => {
                *state = State::Taken;
                match gradient.downcast() {
                    Ok(gradient) => Some(*gradient),
                    Err(_) => unreachable!("a loss and its draw are on one backend"),
                }
            }
            other => {
                *state = other;
                None
            }
        }
    }
}
