//! The thread's stack of scopes, and what the innermost one asks.

use std::any::Any;
use std::cell::RefCell;
use std::rc::Rc;

use burn::module::ParamId;

use super::moments::Pass;
use super::sample::Sample;

#[derive(Default)]
struct Stack {
    frames: Vec<Frame>,
    next_id: u64,
}

struct Frame {
    id: u64,
    mode: Mode,
}

pub(super) enum Mode {
    Sample(Sample),
    Mean,
    Moments(Pass),
    Parts(Part, PartSlot),
    Rows { rows: Rc<[usize]>, answered: bool },
    Survey(Survey),
    Glance,
}

impl Mode {
    /// Whether it asks the next parameter that is read for something.
    fn is_question(&self) -> bool {
        matches!(self, Self::Parts(..) | Self::Rows { .. })
    }
}

/// What a walk over a module gathers of what is attached to its parameters.
#[derive(Default)]
pub(super) struct Survey {
    /// The parameter that was met last.
    param: Option<Box<dyn Any>>,
    pub surveyed: Vec<Box<dyn Any>>,
}

/// What an estimator wants of a weight beside its mean, in place of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Its variance, of independent normals.
    Variance,
    /// The factors of its variance, of independent normals whose variances have them.
    VarianceFactors,
    /// The difference of the draw's sample from the mean, of a distribution that sign flips leave as it is.
    Perturbation,
    /// Its variance, of weights without correlations, for a pass of moments.
    Moments,
    /// The factors of its columns' covariances, of columns that are independent normals, for a pass of moments.
    ColumnFactors,
    /// Nothing but its posterior's identity, for a pass of moments.
    Identity,
}

impl Part {
    /// Whether a pass of moments asks, for which no draw is made.
    fn is_of_moments(self) -> bool {
        matches!(self, Self::Moments | Self::ColumnFactors | Self::Identity)
    }
}

/// What a parameter answered when it was asked for a part.
pub(crate) enum PartSlot {
    /// Nothing: it has no posterior, or is not sampled.
    Untouched,
    /// The parameter's identity and what was wanted: a `Tensor<D>`, [factors](crate::VarianceFactors) of variances, or
    /// those of columns, a `Tensor<3>`.
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
    /// A sample: the draw's or, without a draw, one of its own.
    Sample,
    Mean,
    /// The mean, in a pass of moments, which remembers that it was read alone.
    MeanInPass,
    Part(Part),
    /// These rows of a sample, or all.
    Rows(Rc<[usize]>),
    /// Its stored tensor.
    Survey,
}

/// What the innermost scope asks.
pub(crate) fn request() -> Request {
    STACK.with_borrow(|stack| {
        let Some((top, below)) = stack.frames.split_last() else {
            return Request::Sample;
        };
        let inside = below.last().map(|frame| &frame.mode);
        match (&top.mode, inside) {
            (Mode::Parts(..) | Mode::Rows { .. }, Some(Mode::Mean)) => Request::Mean,
            (Mode::Parts(wanted, _), _) if wanted.is_of_moments() => Request::Part(*wanted),
            (Mode::Parts(..) | Mode::Rows { .. }, Some(Mode::Moments(_))) => Request::MeanInPass,
            (Mode::Sample(_), _) => Request::Sample,
            (Mode::Mean, _) => Request::Mean,
            (Mode::Moments(_), _) => Request::MeanInPass,
            (Mode::Parts(wanted, _), _) => Request::Part(*wanted),
            (Mode::Rows { rows, .. }, _) => Request::Rows(rows.clone()),
            (Mode::Survey(_) | Mode::Glance, _) => Request::Survey,
        }
    })
}

/// Runs `f` on the innermost scope's mode, if one is open.
fn with_top<R>(f: impl FnOnce(&mut Mode) -> R) -> Option<R> {
    STACK.with_borrow_mut(|stack| stack.frames.last_mut().map(|frame| f(&mut frame.mode)))
}

/// Runs `f` without the innermost scope if it is a question, which is asked again afterwards.
///
/// A kernel that waits for its threads may run a task of another reader on this one: that must not find the question
/// and answer it.
pub(crate) fn outside_question<R>(f: impl FnOnce() -> R) -> R {
    let question = STACK.with_borrow_mut(|stack| {
        let is_question = |frame: &mut Frame| frame.mode.is_question();
        stack.frames.pop_if(is_question)
    });
    let result = f();
    STACK.with_borrow_mut(|stack| stack.frames.extend(question));
    result
}

/// Answers the innermost scope, which asked for a part.
pub(crate) fn answer_part(answer: PartSlot) {
    let replaced = with_top(|mode| match mode {
        Mode::Parts(_, slot) => Some(std::mem::replace(slot, answer)),
        _ => None,
    });
    // What it held may have a drop of its own, which must not run under the borrow.
    drop(replaced);
}

/// Tells the innermost scope, which asked for rows, that it gets them alone.
pub(crate) fn answer_rows() {
    with_top(|mode| {
        if let Mode::Rows { answered, .. } = mode {
            *answered = true;
        }
    });
}

/// Hands what is attached to a parameter to the innermost scope, a survey.
pub(crate) fn hand_over(attachment: Box<dyn Any>) {
    with_top(|mode| {
        if let Mode::Survey(survey) = mode {
            survey.surveyed.push(attachment);
        }
    });
}

/// Tells the innermost scope, a survey, which parameter is met.
pub(crate) fn meet(param: Box<dyn Any>) {
    let before = with_top(|mode| match mode {
        Mode::Survey(survey) => survey.param.replace(param),
        _ => None,
    });
    drop(before);
}

/// The parameter that was met last, if the innermost scope is a survey.
pub(crate) fn met() -> Option<Box<dyn Any>> {
    with_top(|mode| match mode {
        Mode::Survey(survey) => survey.param.take(),
        _ => None,
    })
    .flatten()
}

/// Whether the innermost scope is a glance at a parameter, which wants the name alone of what is attached to it.
pub(crate) fn is_glance() -> bool {
    with_top(|mode| matches!(mode, Mode::Glance)).unwrap_or(false)
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

/// Runs `f` on each draw that is open.
pub(super) fn with_samples(mut f: impl FnMut(&mut Sample)) {
    STACK.with_borrow_mut(|stack| {
        for frame in &mut stack.frames {
            if let Mode::Sample(sample) = &mut frame.mode {
                f(sample);
            }
        }
    });
}

/// Runs `f` on the pass of moments that decides, if one does: a draw or the mean mode inside of it has its own rules.
pub(super) fn with_pass<R>(f: impl FnOnce(&mut Pass) -> R) -> Option<R> {
    STACK.with_borrow_mut(|stack| {
        let mut frames = stack.frames.iter_mut().rev();
        match &mut frames.find(|frame| !frame.mode.is_question())?.mode {
            Mode::Moments(pass) => Some(f(pass)),
            _ => None,
        }
    })
}
