//! What a draw holds: its noise, the weights made so far, and what stands in their place.

use std::any::Any;
use std::collections::HashMap;

use burn::module::ParamId;
use burn::tensor::{Device, Tensor};

use super::fresh::fresh_key;
use super::scope::with_sample;
use crate::kl::KlTerm;
use crate::noise_source::Noise;
use blitz_noise::NoiseKey;

/// Streams of layer outputs (local reparameterization) are kept apart from streams of weights by this bit.
const ACTIVATION_STREAM: u32 = 1 << 31;

/// And streams of layers that are random themselves by this one: they are numbered apart, in the order of their first use, so that
/// a drawn network whose weights have no posterior any more has the same.
const LAYER_STREAM: u32 = 1 << 29;

/// So are streams of what is added to weights by posterior sharpening.
pub(crate) const SHARPENING_STREAM: u32 = 1 << 30;

pub(super) struct Sample {
    seed: u64,
    index: u64,
    streams: HashMap<ParamId, u32>,
    weights: HashMap<ParamId, Box<dyn Any>>,
    /// What is read in the place of weights, flat.
    pub replacements: HashMap<ParamId, Tensor<1>>,
    activations: HashMap<ParamId, u64>,
    /// The number of each layer that is random itself, and the next element of its stream.
    layers: HashMap<ParamId, (u32, u64)>,
    /// Whether weights are made together with their KL.
    pub with_kl: bool,
    kl: HashMap<ParamId, KlTerm>,
}

impl Sample {
    pub fn new(seed: u64, index: u64, streams: HashMap<ParamId, u32>) -> Self {
        Self {
            seed,
            index,
            streams,
            weights: HashMap::new(),
            replacements: HashMap::new(),
            activations: HashMap::new(),
            layers: HashMap::new(),
            with_kl: false,
            kl: HashMap::new(),
        }
    }

    fn key(&mut self, id: ParamId) -> NoiseKey {
        let next = self.streams.len() as u32;
        let stream = *self.streams.entry(id).or_insert(next);
        NoiseKey::new(self.seed, self.index, stream)
    }
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

/// Keeps the weight of parameter `id` for the rest of the innermost draw.
pub(crate) fn cache<const D: usize>(id: ParamId, weight: &Tensor<D>) {
    let replaced = with_sample(|sample| sample.weights.insert(id, Box::new(weight.clone())));
    drop(replaced);
}

/// Whether the innermost draw wants weights together with their KL.
pub(crate) fn wants_kl() -> bool {
    with_sample(|sample| sample.with_kl).unwrap_or(false)
}

/// Keeps the KL of parameter `id` for the rest of the innermost draw.
pub(crate) fn keep_kl(id: ParamId, term: KlTerm) {
    let replaced = with_sample(|sample| sample.kl.insert(id, term));
    drop(replaced);
}

/// The KL that was made together with the weight of parameter `id` in the innermost draw, on the same device.
pub(crate) fn kept_kl(id: ParamId, device: &Device) -> Option<KlTerm> {
    with_sample(|sample| {
        let term = sample.kl.get(&id)?;
        // A copy of the model without autodiff, or on another device, has a KL of its own.
        let value = &term.value;
        (value.device() == *device && value.is_autodiff() == device.is_autodiff())
            .then(|| term.clone())
    })
    .flatten()
}

/// Noise for a layer's output of `elements` values, taken from the stream that belongs to its parameter `id`: each
/// call of the layer in one draw reads further.
pub(crate) fn activation_noise(id: ParamId, elements: usize) -> Noise {
    let taken = with_sample(|sample| {
        let key = sample.key(id);
        (
            key,
            take(sample.activations.entry(id).or_default(), elements),
        )
    });
    apart(taken, ACTIVATION_STREAM)
}

/// Noise of `elements` values for the layer whose identity is `id`: each call of the layer in one draw reads further.
pub(crate) fn layer_noise(id: ParamId, elements: usize) -> Noise {
    let taken = with_sample(|sample| {
        let new = sample.layers.len() as u32;
        let (number, next) = sample.layers.entry(id).or_insert((new, 0));
        let key = NoiseKey::new(sample.seed, sample.index, *number);
        (key, take(next, elements))
    });
    apart(taken, LAYER_STREAM)
}

/// Where so many elements begin; the next ones begin on fresh words.
fn take(next: &mut u64, elements: usize) -> u64 {
    let start = *next;
    *next += (elements as u64).next_multiple_of(4);
    start
}

/// What was taken of a draw or, without one, the next of the process-wide stream, in the streams that this bit keeps apart.
fn apart(taken: Option<(NoiseKey, u64)>, bit: u32) -> Noise {
    let (key, start) = taken.unwrap_or_else(|| (fresh_key(), 0));
    Noise::starting_at(NoiseKey::new(key.seed, key.index, key.stream | bit), start)
}

/// The same stream from its beginning, at each call.
pub(crate) fn repeated_activation_noise(id: ParamId) -> Noise {
    apart(Some((noise_key(id), 0)), ACTIVATION_STREAM)
}
