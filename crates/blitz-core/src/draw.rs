//! A draw: one joint sample of all weights of a model, and the other ways to read a Bayesian parameter.
//!
//! Burn hands a parameter's reparameterization nothing but the stored tensor, so what `Param::val` should return is
//! decided by a scope: a thread-local stack of frames that guards push and pop. The innermost frame decides.

use std::any::Any;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::Mutex;

use burn::module::{Flag, Module, ModuleVisitor, Param, ParamId};
use burn::tensor::{Device, Tensor};

use crate::kl::{KlSink, SharedScale};
use crate::noise::NoiseKey;
use crate::noise_source::Noise;
use crate::survey::{Attachment, Surveyed};
use crate::variational::NAME;

/// Streams of layer outputs (local reparameterization) are kept apart from streams of weights by this bit.
const ACTIVATION_STREAM: u32 = 1 << 31;

/// So are streams of what is added to weights by posterior sharpening.
pub(crate) const SHARPENING_STREAM: u32 = 1 << 30;

/// Keeps a draw, or the mean mode, open until it is dropped: also by a panic or an early return.
///
/// Obtained from [`BayesianModule::draw`](crate::BayesianModule::draw), [`Draw::sample`] or [`Draw::mean`]. Draws nest;
/// the innermost decides. A draw belongs to the thread that opened it.
#[derive(Debug)]
#[must_use = "the draw ends when its guard is dropped; bind it: `let _draw = ...`"]
pub struct Draw {
    id: u64,
    // A guard must be dropped by the thread that made it.
    not_send: PhantomData<*const ()>,
}

impl Draw {
    /// Opens draw `index` of `seed` for `model`: until the guard is dropped, every read of a weight of the model
    /// on this thread returns the same joint sample.
    ///
    /// The numbers depend on `seed`, `index` and the position of each Bayesian parameter in `model`'s traversal,
    /// on nothing else: they are the same in another process and on another backend. Weights of another module
    /// read inside the draw are numbered behind the model's, in the order of their first use. Copies of one model
    /// share its parameter identities and so its draw.
    pub fn sample<M: Module>(model: &M, seed: u64, index: u64) -> Self {
        let mut streams = StreamNumbering::default();
        model.visit(&mut streams);
        Self::push(Mode::Sample(Sample::new(seed, index, streams.streams)))
    }

    /// Opens draw `index` of `seed` for whatever is read inside it, numbered in the order of first use.
    ///
    /// What a recurrent layer opens when none is open, so that its time steps share their weights.
    pub fn anonymous(seed: u64, index: u64) -> Self {
        Self::push(Mode::Sample(Sample::new(seed, index, HashMap::new())))
    }

    /// Opens a fresh draw from the process-wide stream (see [`seed`](crate::seed)) unless a draw or the mean
    /// mode is already open on this thread.
    pub fn fresh_if_none() -> Option<Self> {
        (!is_open()).then(|| {
            let key = fresh_key();
            Self::anonymous(key.seed, key.index)
        })
    }

    /// Opens the mean mode: every Bayesian parameter reads as the mean of its posterior.
    pub fn mean() -> Self {
        Self::push(Mode::Mean)
    }

    /// Puts other weights in the place of this draw's, until it ends: `replacement` is asked for each weight of `model` that
    /// is sampled, in the order of the traversal, and gets the draw's own, also where a replacement stands already.
    ///
    /// A layer reads a replacement as it is, whatever its estimator: a sign flipped by flipout, say, would make another
    /// weight of it. The KL stays that of the draw's own weights.
    ///
    /// ```
    /// use blitz_core::prelude::*;
    /// use burn::nn::LinearConfig;
    /// use burn::tensor::Device;
    ///
    /// let net = LinearConfig::new(3, 2).init(&Device::flex()).bayesianize(&BayesianizeConfig::new());
    /// let draw = net.draw(1, 0);
    /// let own = net.weight.val();
    /// draw.replace_weights(&net, |weight| weight.value * 2.0);
    /// assert_eq!(net.weight.val().into_data(), (own * 2.0).into_data());
    /// ```
    ///
    /// # Panics
    ///
    /// Panics if the draw is not the innermost one, or if a replacement has another length.
    pub fn replace_weights<M: Module>(
        &self,
        model: &M,
        mut replacement: impl FnMut(DrawnWeight) -> Tensor<1>,
    ) {
        for (id, weight) in self.weights(model) {
            let Some(id) = id else { continue };
            let shape = weight.value.shape();
            let replacement = replacement(weight);
            assert!(
                replacement.shape() == shape,
                "a weight of shape {shape:?} was replaced by one of shape {:?}",
                replacement.shape()
            );
            let replaced = with_sample(|sample| sample.replacements.insert(id, replacement));
            drop(replaced);
        }
    }

    /// All Bayesian weights of a model in this draw, with their identities if they are sampled.
    pub(crate) fn weights<M: Module>(&self, model: &M) -> Vec<(Option<ParamId>, DrawnWeight)> {
        STACK.with_borrow(|stack| {
            assert!(
                stack.frames.last().is_some_and(|frame| frame.id == self.id),
                "the weights of a draw were asked for inside another draw or the mean mode"
            );
        });
        let scope = Self::push(Mode::Gather(Gathered::default()));
        // The one traversal that reaches an attached posterior together with its parameter.
        drop(model.clone().materialize());
        match scope.finish() {
            Some(Mode::Gather(gathered)) => gathered.weights,
            _ => unreachable!("a gather scope holds what was gathered"),
        }
    }

    pub(crate) fn parts(wanted: Parts) -> Self {
        Self::push(Mode::Parts(wanted, PartsSlot::Untouched))
    }

    /// Asks the next parameter that is read for some of its rows.
    pub(crate) fn rows(rows: &[usize]) -> Self {
        Self::push(Mode::Rows {
            rows: rows.into(),
            answered: false,
        })
    }

    pub(crate) fn kl(sink: KlSink) -> Self {
        Self::push(Mode::Kl(sink))
    }

    pub(crate) fn survey() -> Self {
        Self::push(Mode::Survey(Vec::new()))
    }

    fn push(mode: Mode) -> Self {
        STACK.with_borrow_mut(|stack| {
            let id = stack.next_id;
            stack.next_id += 1;
            stack.frames.push(Frame { id, mode });
            Self {
                id,
                not_send: PhantomData,
            }
        })
    }

    /// Closes the scope and returns what it gathered.
    fn finish(self) -> Option<Mode> {
        let mode = remove(self.id);
        std::mem::forget(self);
        mode
    }

    pub(crate) fn finish_parts(self) -> PartsSlot {
        match self.finish() {
            Some(Mode::Parts(_, slot)) => slot,
            _ => unreachable!("a parts scope holds a parts slot"),
        }
    }

    /// Whether the parameter returned those rows alone.
    pub(crate) fn finish_rows(self) -> bool {
        matches!(self.finish(), Some(Mode::Rows { answered: true, .. }))
    }

    pub(crate) fn finish_kl(self) -> KlSink {
        match self.finish() {
            Some(Mode::Kl(sink)) => sink,
            _ => unreachable!("a KL scope holds a KL sink"),
        }
    }

    pub(crate) fn finish_survey(self) -> Surveyed {
        match self.finish() {
            Some(Mode::Survey(surveyed)) => surveyed,
            _ => unreachable!("a survey scope holds a survey"),
        }
    }
}

impl Drop for Draw {
    fn drop(&mut self) {
        // The frame holds tensors, whose own drop must not run under the borrow.
        let frame = remove(self.id);
        drop(frame);
    }
}

/// One weight of a draw.
#[derive(Debug, Clone)]
pub struct DrawnWeight {
    /// Its place among all Bayesian parameters of the model, sampled or frozen, in the order of the traversal.
    pub position: usize,
    /// The draw's own sample, flat, in row-major order, with its gradient.
    pub value: Tensor<1>,
}

fn remove(id: u64) -> Option<Mode> {
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
    /// Its deviation, of independent normals.
    Deviation,
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

/// The noise of parameter `id`: in the innermost draw or, without one, the next of the process-wide stream.
pub(crate) fn noise_key(id: ParamId) -> NoiseKey {
    with_sample(|sample| sample.key(id)).unwrap_or_else(fresh_key)
}

/// The weight of parameter `id` in the innermost draw, if it was read before on the same device.
pub(crate) fn cached<const D: usize>(id: ParamId, device: &Device) -> Option<Tensor<D>> {
    with_sample(|sample| {
        let weight = sample.weights.get(&id)?.downcast_ref::<Tensor<D>>()?;
        // A copy of the model without autodiff, or on another device, has weights of its own in the same draw.
        (weight.device() == *device && weight.is_autodiff() == device.is_autodiff())
            .then(|| weight.clone())
    })
    .flatten()
}

/// What stands in the place of the weight of parameter `id` in the innermost draw.
pub(crate) fn replacement<const D: usize>(id: ParamId, mu: &Tensor<D>) -> Option<Tensor<D>> {
    let weight = with_sample(|sample| sample.replacements.get(&id).cloned()).flatten()?;
    // A copy of the model without autodiff reads the same values.
    let weight = match mu.is_autodiff() {
        true => weight,
        false => weight.without_autodiff(),
    };
    Some(weight.to_device(&mu.device()).reshape(mu.shape()))
}

/// Whether something stands in the place of the weight of parameter `id` in the innermost draw.
pub(crate) fn is_replaced(id: ParamId) -> bool {
    with_sample(|sample| sample.replacements.contains_key(&id)).unwrap_or(false)
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

/// Keeps the weight of parameter `id` for the rest of the innermost draw.
pub(crate) fn cache<const D: usize>(id: ParamId, weight: &Tensor<D>) {
    let replaced = with_sample(|sample| sample.weights.insert(id, Box::new(weight.clone())));
    drop(replaced);
}

/// Noise for a layer's output of `elements` values, taken from the stream that belongs to its parameter `id`: each
/// call of the layer in one draw reads further.
pub(crate) fn activation_noise(id: ParamId, elements: usize) -> Noise {
    let taken = with_sample(|sample| {
        let key = sample.key(id);
        let next = sample.activations.entry(id).or_default();
        let start = *next;
        *next += (elements as u64).next_multiple_of(4);
        (key, start)
    });
    let (key, start) = taken.unwrap_or_else(|| (fresh_key(), 0));
    Noise::starting_at(activation_key(key), start)
}

/// The same stream from its beginning, at each call.
pub(crate) fn repeated_activation_noise(id: ParamId) -> Noise {
    Noise::new(activation_key(noise_key(id)))
}

fn activation_key(key: NoiseKey) -> NoiseKey {
    NoiseKey::new(key.seed, key.index, key.stream | ACTIVATION_STREAM)
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

fn with_sample<R>(f: impl FnOnce(&mut Sample) -> R) -> Option<R> {
    STACK.with_borrow_mut(|stack| innermost_sample(&mut stack.frames).map(f))
}

fn innermost_sample(frames: &mut [Frame]) -> Option<&mut Sample> {
    frames
        .iter_mut()
        .rev()
        .find_map(|frame| match &mut frame.mode {
            Mode::Sample(sample) => Some(sample),
            _ => None,
        })
}

#[derive(Default)]
struct Stack {
    frames: Vec<Frame>,
    next_id: u64,
}

struct Frame {
    id: u64,
    mode: Mode,
}

enum Mode {
    Sample(Sample),
    Mean,
    Parts(Parts, PartsSlot),
    Rows { rows: Rc<[usize]>, answered: bool },
    Gather(Gathered),
    Kl(KlSink),
    Survey(Surveyed),
}

#[derive(Default)]
struct Gathered {
    weights: Vec<(Option<ParamId>, DrawnWeight)>,
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

struct Sample {
    seed: u64,
    index: u64,
    streams: HashMap<ParamId, u32>,
    weights: HashMap<ParamId, Box<dyn Any>>,
    /// What is read in the place of weights, flat.
    replacements: HashMap<ParamId, Tensor<1>>,
    activations: HashMap<ParamId, u64>,
}

impl Sample {
    fn new(seed: u64, index: u64, streams: HashMap<ParamId, u32>) -> Self {
        Self {
            seed,
            index,
            streams,
            weights: HashMap::new(),
            replacements: HashMap::new(),
            activations: HashMap::new(),
        }
    }

    fn key(&mut self, id: ParamId) -> NoiseKey {
        let next = self.streams.len() as u32;
        let stream = *self.streams.entry(id).or_insert(next);
        NoiseKey::new(self.seed, self.index, stream)
    }
}

thread_local! {
    static STACK: RefCell<Stack> = RefCell::default();
}

/// Numbers the Bayesian parameters of a module in the order of its traversal.
#[derive(Default)]
struct StreamNumbering {
    streams: HashMap<ParamId, u32>,
    inside: bool,
}

impl ModuleVisitor for StreamNumbering {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        if container_type == "Reparameterization" {
            self.inside = name == NAME;
        }
    }

    fn exit_module(&mut self, _name: &str, container_type: &str) {
        if container_type == "Reparameterization" {
            self.inside = false;
        }
    }

    fn visit_flag(&mut self, flag: &Param<Flag>) {
        // The flag inside a `Variational` is its identity. A tied weight is met twice and keeps its first number.
        if self.inside {
            let next = self.streams.len() as u32;
            self.streams.entry(flag.id).or_insert(next);
        }
    }
}

/// The process-wide stream that reads outside any draw take their noise from.
struct FreshStream {
    seed: Option<u64>,
    next: u64,
}

static FRESH: Mutex<FreshStream> = Mutex::new(FreshStream {
    seed: None,
    next: 0,
});

/// Seeds the process-wide stream that weights read outside any draw are sampled from, and starts it anew.
///
/// Unseeded, it starts from the operating system's randomness. Prefer draws with a seed of their own
/// ([`BayesianModule::draw`](crate::BayesianModule::draw)) where threads share a process: this stream is handed out in the
/// order in which threads ask.
///
/// ```standalone_crate
/// use blitz_core::prelude::*;
/// use burn::nn::LinearConfig;
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let net = LinearConfig::new(2, 2).init(&device).bayesianize(&BayesianizeConfig::new());
/// let x = Tensor::<2>::ones([1, 2], &device);
/// blitz_core::seed(42);
/// let (first, second) = (net.forward(x.clone()), net.forward(x.clone()));
/// blitz_core::seed(42);
/// assert_eq!(net.forward(x.clone()).into_data(), first.clone().into_data());
/// net.kl_cost(); // in closed form: takes nothing from the stream
/// assert_eq!(net.forward(x).into_data(), second.clone().into_data());
/// assert_ne!(first.into_data(), second.into_data());
/// ```
pub fn seed(seed: u64) {
    let mut fresh = FRESH
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    *fresh = FreshStream {
        seed: Some(seed),
        next: 0,
    };
}

/// The next key of the process-wide stream.
pub(crate) fn fresh_key() -> NoiseKey {
    use std::hash::{BuildHasher, Hasher, RandomState};

    let mut fresh = FRESH
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let seed = *fresh
        .seed
        .get_or_insert_with(|| RandomState::new().build_hasher().finish());
    let index = fresh.next;
    fresh.next += 1;
    NoiseKey::new(seed, index, 0)
}
