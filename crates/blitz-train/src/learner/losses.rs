//! Whether the losses of a training are finite, asked without waiting for a device.
//!
//! A loss in the CPU's memory is read at once. To read one from another device is to wait until that has done all it
//! was asked to, so a thread does that: the training runs on, and hears of a NaN a few steps later, at the latest
//! before it writes a checkpoint.

use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

use burn::tensor::{Tensor, TensorReadError};

use crate::error::NonFiniteLoss;

/// The losses that may wait while one is read: the training is at most one step more than that ahead of its device.
const AHEAD: usize = 8;

/// The loss of a step, off its graph, and where in the training it is.
pub(super) struct StepLoss {
    pub(super) loss: Tensor<1>,
    pub(super) nll: Tensor<1>,
    pub(super) kl: Tensor<1>,
    /// Counted from 1.
    pub(super) epoch: u64,
    /// Counted from 1.
    pub(super) step: u64,
}

impl StepLoss {
    /// What is to be said of the loss if it is not finite. Waits for its device.
    pub(super) fn read(self) -> Result<Option<NonFiniteLoss>, TensorReadError> {
        if self.loss.try_into_scalar::<f64>()?.is_finite() {
            return Ok(None);
        }
        Ok(Some(NonFiniteLoss {
            epoch: self.epoch,
            step: self.step,
            nll: self.nll.try_into_scalar()?,
            kl: self.kl.try_into_scalar()?,
        }))
    }
}

/// A thread that reads losses in the order in which they come. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct LossReader {
    orders: SyncSender<Order>,
}

enum Order {
    Read(Box<StepLoss>),
    /// Answers as soon as all losses before are read.
    Tell(Sender<()>),
}

impl LossReader {
    /// A reader that gives each loss to `read`, until that says that it wants no more.
    pub(super) fn new(read: impl FnMut(StepLoss) -> bool + Send + 'static) -> Self {
        let (orders, received) = sync_channel(AHEAD);
        let thread = thread::Builder::new().name("blitz-losses".into());
        let started = thread.spawn(move || follow(&received, read));
        started
            .unwrap_or_else(|reason| panic!("cannot start the thread that reads losses: {reason}"));
        Self { orders }
    }

    /// Has `loss` read. Waits only if too many others have not been.
    pub(super) fn read(&self, loss: StepLoss) {
        // A reader that wants no more has hung up.
        let _ = self.orders.send(Order::Read(Box::new(loss)));
    }

    /// Waits until all losses are read.
    pub(super) fn finish(&self) {
        let (tell, told) = channel();
        let _ = self.orders.send(Order::Tell(tell));
        // Hung up on if there is nothing to wait for.
        let _ = told.recv();
    }
}

fn follow(orders: &Receiver<Order>, mut read: impl FnMut(StepLoss) -> bool) {
    for order in orders {
        match order {
            Order::Read(loss) => {
                if !read(*loss) {
                    break;
                }
            }
            Order::Tell(tell) => {
                let _ = tell.send(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use burn::tensor::Device;

    use super::*;

    fn loss(step: u64, loss: f32) -> StepLoss {
        let tensor = |value| Tensor::from_floats([value], &Device::flex());
        StepLoss {
            loss: tensor(loss),
            nll: tensor(loss),
            kl: tensor(0.5),
            epoch: 2,
            step,
        }
    }

    #[test]
    fn a_loss_that_is_not_finite_is_told_with_its_parts() {
        assert_eq!(loss(3, 1.0).read().unwrap(), None);
        let told = loss(3, f32::INFINITY).read().unwrap().unwrap();
        assert_eq!((told.epoch, told.step, told.kl), (2, 3, 0.5));
        assert_eq!(told.nll, f64::INFINITY);
    }

    #[test]
    fn losses_are_read_in_turn_and_waited_for() {
        let steps = Arc::new(Mutex::new(Vec::new()));
        let reader = {
            let steps = steps.clone();
            LossReader::new(move |loss| {
                steps.lock().unwrap().push(loss.step);
                true
            })
        };
        for step in 0..3 * AHEAD as u64 {
            reader.read(loss(step, 1.0));
        }
        reader.finish();
        let expected: Vec<u64> = (0..3 * AHEAD as u64).collect();
        assert_eq!(*steps.lock().unwrap(), expected);
    }

    /// The training goes on while a device is busy: as far as there is room.
    #[test]
    fn nobody_waits_for_a_loss_that_takes_long() {
        let (begin, told_to_begin) = channel::<()>();
        let (tell, told) = channel();
        let reader = LossReader::new(move |loss| {
            // Ended by a hang-up.
            let _ = told_to_begin.recv();
            tell.send(loss.step).is_ok()
        });
        for step in 0..AHEAD as u64 {
            reader.read(loss(step, 1.0));
        }
        assert!(told.try_recv().is_err());
        drop(begin);
        reader.finish();
        assert_eq!(told.try_iter().count(), AHEAD);
    }

    #[test]
    fn a_reader_that_wants_no_more_keeps_nobody_waiting() {
        let reader = LossReader::new(|loss| loss.step < 2);
        for step in 0..3 * AHEAD as u64 {
            reader.read(loss(step, 1.0));
        }
        reader.finish();
    }
}
