//! The thread's stack of scopes, and what the innermost one asks.

use std::any::Any;
use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;

use burn::module::ParamId;
use burn::tensor::Tensor;

use super::DrawnWeight;
use super::sample::Sample;
use crate::kl::{KlSink, SharedScale};
use crate::survey::{Attachment, Surveyed};

#[derive(Default)]
struct Stack {
    frames: Vec<Frame>,
    next_id: u64,
}

struct Frame {
    id: u64,
    mode: Mode,
}

#[expect(
    clippy::large_enum_variant,
    reason = "there are a few frames at a time; a box would cost each draw an allocation"
)]
pub(super) enum Mode {
    Sample(Sample),
    Mean,
    Parts(Parts, PartsSlot),
    Rows { rows: Rc<[usize]>, answered: bool },
    Gather(Gathered),
    Kl(KlSink),
    Survey(Surveyed),
}

#[derive(Default)]
pub(super) struct Gathered {
    pub weights: Vec<(Option<ParamId>, DrawnWeight)>,
    seen: HashSet<ParamId>,
}

/// What a parameter answered to a parts scope.
pub(crate) enum PartsSlot {
    /// Nothing: it has no posterior, or is not sampled.
    Untouched,
    /// The parameter's identity and the `Tensor<D>` that was wanted.
    Part(ParamId, Box<dyn Any>),
    /// The posterior's structure does not allow it.
    Unavailable,
}

thread_local! {
    static STACK: RefCell<Stack> = RefCell::default();
}

/// Opens a scope; its identity closes it.
pub(super) fn push(mode: Mode) -> u64 {
    STACK.with_borrow_mut(|stack| {
        let id = stack.next_id;
        stack.next_id += 1;
        stack.frames.push(Frame { id, mode });
        id
    })
}

/// Closes a scope and returns what it gathered.
pub(super) fn remove(id: u64) -> Option<Mode> {
    STACK.with_borrow_mut(|stack| {
        // By identity: guards may be dropped in another order than they were made.
        let position = stack.frames.iter().rposition(|frame| frame.id == id)?;
        Some(stack.frames.remove(position).mode)
    })
}

/// Whether a draw or the mean mode is open on this thread.
pub fn is_open() -> bool {
    STACK.with_borrow(|stack| !stack.frames.is_empty())
}

/// Whether the scope is the innermost one.
pub(super) fn is_innermost(id: u64) -> bool {
    STACK.with_borrow(|stack| stack.frames.last().is_some_and(|frame| frame.id == id))
}

/// What the innermost scope asks of a Bayesian parameter.
pub(crate) enum Request {
    /// No scope: a sample of its own.
    Fresh,
    /// The draw's weight.
    Sample,
    Mean,
    Parts(Parts),
    /// These rows of a sample, or all.
    Rows(Rc<[usize]>),
    /// To hand over the draw's weight.
    Gather,
    Kl,
    /// The posterior itself; the parameter reads as its stored tensor.
    Survey,
}

/// The parts that an estimator wants of a weight in place of a sample, beside its mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parts {
    /// Its variance, of independent normals.
    Variance,
    /// The difference of the draw's sample from the mean, of a distribution that sign flips leave as it is.
    Perturbation,
}

/// What the innermost scope asks.
pub(crate) fn request() -> Request {
    STACK.with_borrow(|stack| {
        let Some((top, below)) = stack.frames.split_last() else {
            return Request::Fresh;
        };
        match &top.mode {
            Mode::Sample(_) => Request::Sample,
            Mode::Mean => Request::Mean,
            Mode::Parts(..) | Mode::Rows { .. } if is_mean(below) => Request::Mean,
            Mode::Parts(wanted, _) => Request::Parts(*wanted),
            Mode::Rows { rows, .. } => Request::Rows(rows.clone()),
            Mode::Gather(_) => Request::Gather,
            Mode::Kl(_) => Request::Kl,
            Mode::Survey(_) => Request::Survey,
        }
    })
}

fn is_mean(frames: &[Frame]) -> bool {
    frames
        .last()
        .is_some_and(|frame| matches!(frame.mode, Mode::Mean))
}

/// Hands the weight of parameter `id` to the innermost gather scope: once, if it is tied.
pub(crate) fn gather<const D: usize>(id: ParamId, is_sampled: bool, weight: Tensor<D>) {
    STACK.with_borrow_mut(|stack| {
        if let Some(Frame {
            mode: Mode::Gather(gathered),
            ..
        }) = stack.frames.last_mut()
            && gathered.seen.insert(id)
        {
            let elements = weight.shape().num_elements();
            let weight = DrawnWeight {
                position: gathered.weights.len(),
                value: weight.reshape([elements]),
            };
            gathered.weights.push((is_sampled.then_some(id), weight));
        }
    });
}

/// Answers the innermost parts scope.
pub(crate) fn put_parts(answer: PartsSlot) {
    let replaced = STACK.with_borrow_mut(|stack| match stack.frames.last_mut() {
        Some(Frame {
            mode: Mode::Parts(_, slot),
            ..
        }) => Some(std::mem::replace(slot, answer)),
        _ => None,
    });
    drop(replaced);
}

/// Answers the innermost survey.
pub(crate) fn put_survey(answer: Box<dyn Attachment>) {
    STACK.with_borrow_mut(|stack| match stack.frames.last_mut() {
        Some(Frame {
            mode: Mode::Survey(surveyed),
            ..
        }) => surveyed.push(answer),
        _ => unreachable!("a survey is answered inside it"),
    });
}

/// Tells the innermost rows scope that it gets its rows alone.
pub(crate) fn answer_rows() {
    STACK.with_borrow_mut(|stack| {
        if let Some(Frame {
            mode: Mode::Rows { answered, .. },
            ..
        }) = stack.frames.last_mut()
        {
            *answered = true;
        }
    });
}

/// Runs `f` on the innermost KL scope.
pub(crate) fn with_kl_sink<R>(f: impl FnOnce(&mut KlSink) -> R) -> R {
    STACK.with_borrow_mut(|stack| match stack.frames.last_mut() {
        Some(Frame {
            mode: Mode::Kl(sink),
            ..
        }) => f(sink),
        _ => unreachable!("a KL is computed inside a KL scope"),
    })
}

/// Hands a member of a group to the innermost KL scope; `false` without one.
pub(crate) fn share_scale(share: SharedScale) -> bool {
    STACK.with_borrow_mut(|stack| match stack.frames.last_mut() {
        Some(Frame {
            mode: Mode::Kl(sink),
            ..
        }) => {
            sink.share(share);
            true
        }
        _ => false,
    })
}

/// Runs `f` on the innermost draw, if one is open.
pub(super) fn with_sample<R>(f: impl FnOnce(&mut Sample) -> R) -> Option<R> {
    STACK.with_borrow_mut(|stack| {
        let frames = stack.frames.iter_mut().rev();
        let mut samples = frames.filter_map(|frame| match &mut frame.mode {
            Mode::Sample(sample) => Some(sample),
            _ => None,
        });
        samples.next().map(f)
    })
}
