//! What a draw holds: its noise, the weights made so far, and what stands in their place.
//!
//! The antithetic draw of a pair holds the noise and the weights of the first as well, of which its own are
//! reflections.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};

use blitz_noise::{NoiseKey, layout};
use burn::module::ParamId;
use burn::tensor::{DType, Device, Tensor};

use super::KeptDeviations;
use super::fresh::fresh_key;
use super::scope::{with_sample, with_samples};
use crate::family::{Noise, in_type_of};
use crate::kl::KlTerm;

/// In an order of their own, since they are dropped in it: Burn's Fusion records when a tensor goes, and finds a draw's
/// plan again only if the next one's go alike.
type Weights = BTreeMap<ParamId, Made<Box<dyn Any>>>;

/// What a draw has made of a parameter.
struct Made<T> {
    /// The type of the parameter, which that of its weight need not be.
    location: DType,
    value: T,
}

pub(super) struct Sample {
    seed: u64,
    index: u64,
    /// The index for layers that are random themselves: another than the weights' in an antithetic draw.
    layers_index: u64,
    /// The numbers of the parameters.
    numbers: HashMap<ParamId, u32>,
    weights: Weights,
    /// In the antithetic draw of a pair, the weights that the first has made.
    first: Option<Weights>,
    /// What is read in the place of weights, flat.
    pub replacements: BTreeMap<ParamId, Tensor<1>>,
    /// The next element of the stream of a parameter's layer.
    outputs: HashMap<ParamId, u64>,
    /// The number of each layer that is random itself, in the order of their first use, and the next element of its
    /// stream. They are not numbered with the weights: the network of one draw has no posteriors left, and its layers
    /// must keep their noise.
    layers: HashMap<ParamId, (u32, u64)>,
    /// Whether weights are made together with their KL.
    pub with_kl: bool,
    /// Whether layers read their weights, whatever their estimators.
    pub shares_weights: bool,
    /// The deviations that weights are made with.
    pub deviations: Option<KeptDeviations>,
    kl: BTreeMap<ParamId, Made<KlTerm>>,
}

impl Sample {
    pub fn new(seed: u64, index: u64, numbers: HashMap<ParamId, u32>) -> Self {
        Self {
            seed,
            index,
            layers_index: index,
            numbers,
            weights: BTreeMap::new(),
            first: None,
            replacements: BTreeMap::new(),
            outputs: HashMap::new(),
            layers: HashMap::new(),
            with_kl: false,
            shares_weights: false,
            deviations: None,
            kl: BTreeMap::new(),
        }
    }

    /// Goes over to the antithetic draw of the pair that this is the first of. Layers that are random themselves have
    /// the noise of draw `index`. Returns what is not needed any more, to be dropped where the stack isn't borrowed.
    ///
    /// The KL of a weight stays, which has a closed form if it was made with the weight.
    pub fn turn(&mut self, index: u64) -> impl Sized + use<> {
        assert!(
            self.first.is_none(),
            "the second draw of an antithetic pair was asked for an antithetic draw of its own"
        );
        self.layers_index = index;
        self.first = Some(std::mem::take(&mut self.weights));
        self.with_kl = false;
        // From their beginning again: what is sampled at a layer's output is reflected, and signs are those of the
        // first.
        self.outputs.clear();
        self.layers.clear();
        std::mem::take(&mut self.replacements)
    }

    /// The stream that `layout` gives to the number of parameter `id`.
    fn key(&mut self, id: ParamId, stream: impl Fn(u32) -> u32) -> NoiseKey {
        let next = self.numbers.len() as u32;
        let number = *self.numbers.entry(id).or_insert(next);
        NoiseKey::new(self.seed, self.index, stream(number))
    }
}

/// What a draw has for a parameter that is about to be read.
pub(crate) struct Site<const D: usize> {
    /// The parameter's noise: in the innermost draw or, without one, the next of the process-wide stream.
    pub key: NoiseKey,
    /// The weight, if the draw has made it on the same device and in the same type.
    pub weight: Option<Tensor<D>>,
    /// Whether the draw wants the weight together with its KL.
    pub wants_kl: bool,
    /// Whether the draw is the antithetic one of a pair. The key is that of the first.
    pub is_antithetic: bool,
    /// The weight of the pair's first draw, if that has made it on the same device and in the same type.
    pub first: Option<Tensor<D>>,
    /// The deviations that the draw makes weights with.
    pub deviations: Option<KeptDeviations>,
}

/// What the innermost draw has for parameter `id`, whose location is `mu`.
pub(crate) fn site<const D: usize>(id: ParamId, mu: &Tensor<D>) -> Site<D> {
    let at = Location::of(mu);
    let in_draw = with_sample(|sample| Site {
        key: sample.key(id, layout::weight),
        weight: made(&sample.weights, id, &at).cloned(),
        wants_kl: sample.with_kl,
        is_antithetic: sample.first.is_some(),
        first: sample
            .first
            .as_ref()
            .and_then(|weights| made(weights, id, &at).cloned()),
        deviations: sample.deviations.clone(),
    });
    in_draw.unwrap_or_else(|| Site {
        key: fresh_key(),
        weight: None,
        wants_kl: false,
        is_antithetic: false,
        first: None,
        deviations: None,
    })
}

/// Whether the innermost draw has made the weight of parameter `id` on the device and in the type of `mu`.
pub(crate) fn is_made<const D: usize>(id: ParamId, mu: &Tensor<D>) -> bool {
    let at = Location::of(mu);
    with_sample(|sample| made::<D>(&sample.weights, id, &at).is_some()).unwrap_or(false)
}

/// Whether the innermost draw is the antithetic one of a pair.
pub(crate) fn is_antithetic() -> bool {
    with_sample(|sample| sample.first.is_some()).unwrap_or(false)
}

/// Whether layers read the weights of the innermost draw, whatever their estimators.
pub(super) fn shares_weights() -> bool {
    with_sample(|sample| sample.shares_weights).unwrap_or(false)
}

fn made<'a, const D: usize>(
    weights: &'a Weights,
    id: ParamId,
    at: &Location,
) -> Option<&'a Tensor<D>> {
    let made = weights.get(&id)?;
    let weight = made.value.downcast_ref::<Tensor<D>>()?;
    at.has(made.location, weight).then_some(weight)
}

/// Where a parameter lies, and in which type. A copy of the model without autodiff, on another device or in another
/// type has weights of its own in the same draw.
struct Location {
    device: Device,
    dtype: DType,
}

impl Location {
    fn of<const D: usize>(mu: &Tensor<D>) -> Self {
        Self {
            device: mu.device(),
            dtype: mu.dtype(),
        }
    }

    /// Whether `made`, of a parameter in this type, is of the parameter here.
    fn has<const D: usize>(&self, location: DType, made: &Tensor<D>) -> bool {
        location == self.dtype
            && made.device() == self.device
            && made.is_autodiff() == self.device.is_autodiff()
    }
}

/// Keeps the weight of parameter `id`, whose location is `mu`, and its KL if it came with one, for the rest of the
/// innermost draw.
pub(crate) fn keep<const D: usize>(
    id: ParamId,
    mu: &Tensor<D>,
    weight: &Tensor<D>,
    kl: Option<KlTerm>,
) {
    let location = mu.dtype();
    let weight: Made<Box<dyn Any>> = Made {
        location,
        value: Box::new(weight.clone()),
    };
    let replaced = with_sample(|sample| {
        let kl = kl.and_then(|value| sample.kl.insert(id, Made { location, value }));
        (kl, sample.weights.insert(id, weight))
    });
    drop(replaced);
}

/// The KL that was made together with the weight of parameter `id` in the innermost draw, on the device and in the type
/// of `mu`.
pub(crate) fn kept_kl<const D: usize>(id: ParamId, mu: &Tensor<D>) -> Option<KlTerm> {
    let at = Location::of(mu);
    with_sample(|sample| {
        let Made { location, value } = sample.kl.get(&id)?;
        at.has(*location, &value.value).then(|| value.clone())
    })
    .flatten()
}

/// Drops the weight of parameter `id` and the KL that was made together with it, in each draw that is open: what they
/// are of has changed. Made again, the weight is of the same noise.
pub(crate) fn forget(id: ParamId) {
    let mut forgotten = Vec::new();
    with_samples(|sample| {
        let first = sample.first.as_mut().and_then(|first| first.remove(&id));
        if let Some(deviations) = &sample.deviations {
            deviations.forget(id);
        }
        forgotten.push((sample.weights.remove(&id), first, sample.kl.remove(&id)));
    });
    drop(forgotten);
}

/// What stands in the place of the weight of parameter `id` in the innermost draw.
pub(crate) fn replacement<const D: usize>(id: ParamId, mu: &Tensor<D>) -> Option<Tensor<D>> {
    let weight = with_sample(|sample| sample.replacements.get(&id).cloned()).flatten()?;
    // A copy of the model without autodiff, or in another type, reads the same values.
    let weight = match mu.is_autodiff() {
        true => weight,
        false => weight.without_autodiff(),
    };
    let weight = weight.to_device(&mu.device()).reshape(mu.shape());
    Some(in_type_of(weight, mu))
}

/// Whether something stands in the place of the weight of parameter `id` in the innermost draw.
pub(crate) fn is_replaced(id: ParamId) -> bool {
    with_sample(|sample| sample.replacements.contains_key(&id)).unwrap_or(false)
}

/// Noise for a layer's output of `elements` values, taken from the stream that belongs to its parameter `id`: each
/// call of the layer in one draw reads further.
pub(crate) fn output_noise(id: ParamId, elements: usize) -> Noise {
    let taken = with_sample(|sample| {
        let key = sample.key(id, layout::outputs);
        (key, take(sample.outputs.entry(id).or_default(), elements))
    });
    let (key, start) = taken.unwrap_or_else(|| (fresh(layout::outputs), 0));
    Noise::starting_at(key, start)
}

/// The same stream from its beginning, at each call.
pub(crate) fn repeated_output_noise(id: ParamId) -> Noise {
    let key = with_sample(|sample| sample.key(id, layout::outputs));
    Noise::new(key.unwrap_or_else(|| fresh(layout::outputs)))
}

/// Noise of `elements` values for the layer whose identity is `id`: each call of the layer in one draw reads further.
pub(crate) fn layer_noise(id: ParamId, elements: usize) -> Noise {
    let taken = with_sample(|sample| {
        let new = sample.layers.len() as u32;
        let (number, next) = sample.layers.entry(id).or_insert((new, 0));
        let key = NoiseKey::new(sample.seed, sample.layers_index, layout::layer(*number));
        (key, take(next, elements))
    });
    let (key, start) = taken.unwrap_or_else(|| (fresh(layout::layer), 0));
    Noise::starting_at(key, start)
}

/// The next key of the process-wide stream, in the streams of a kind.
fn fresh(stream: impl Fn(u32) -> u32) -> NoiseKey {
    let key = fresh_key();
    NoiseKey::new(key.seed, key.index, stream(key.stream))
}

/// Where so many elements begin; the next ones begin on fresh words.
fn take(next: &mut u64, elements: usize) -> u64 {
    let start = *next;
    *next += (elements as u64).next_multiple_of(4);
    start
}
