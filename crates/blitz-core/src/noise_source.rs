//! The noise of one parameter in one draw, as tensors on any device.

use burn::tensor::{Device, Shape, Tensor, TensorData};

use rand_core::Rng;

use crate::noise::{NoiseKey, PhiloxRng};

/// The randomness a [`Posterior`](crate::Posterior) draws from: one stream of counter-based noise, read in order.
///
/// Two sources with the same key give the same values, on every backend, in every process. Each call takes the next
/// elements, so that a posterior may ask more than once.
#[derive(Debug, Clone)]
pub struct Noise {
    key: NoiseKey,
    next: u64,
}

impl Noise {
    /// The stream of `key` from its beginning.
    pub fn new(key: NoiseKey) -> Self {
        Self { key, next: 0 }
    }

    /// The stream of `key` from element `next` on.
    pub fn starting_at(key: NoiseKey, next: u64) -> Self {
        Self { key, next }
    }

    /// The key of the stream.
    pub fn key(&self) -> NoiseKey {
        self.key
    }

    /// The next element that will be drawn.
    pub fn position(&self) -> u64 {
        self.next
    }

    /// Independent standard normals in the shape, element type and on the device of `like`.
    ///
    /// The values are those of [`NoiseKey::fill_standard_normal`], computed in `f32` for every element type.
    pub fn standard_normal<const D: usize>(&mut self, like: &Tensor<D>) -> Tensor<D> {
        let shape = like.shape();
        let mut values = vec![0.0f32; shape.num_elements()];
        self.key.fill_standard_normal(self.next, &mut values);
        // A whole number of Philox blocks, so that the next request starts on fresh words.
        self.next += (values.len() as u64).next_multiple_of(4);
        to_tensor(values, shape, &like.device()).cast(like.dtype())
    }

    /// Independent signs, 1 or −1 with equal probability, of `shape` and with the element type and device of `like`: one
    /// bit of the stream each.
    pub fn signs<const D: usize, const L: usize>(
        &mut self,
        shape: impl Into<Shape>,
        like: &Tensor<L>,
    ) -> Tensor<D> {
        let shape = shape.into();
        let elements = shape.num_elements();
        let mut words = self.key.rng();
        words.set_word_position(self.next);
        let mut values = Vec::with_capacity(elements);
        while values.len() < elements {
            let word = words.next_u32();
            let bits = (elements - values.len()).min(32);
            values.extend((0..bits).map(|bit| if word >> bit & 1 == 0 { 1.0 } else { -1.0 }));
        }
        self.next += (elements.div_ceil(32) as u64).next_multiple_of(4);
        to_tensor(values, shape, &like.device()).cast(like.dtype())
    }

    /// The rest of the stream as a `rand` generator, for the distributions of `rand_distr`.
    ///
    /// The generator reads the words behind the normals that would come next; don't take normals after it.
    pub fn into_rng(self) -> PhiloxRng {
        let mut rng = self.key.rng();
        rng.set_word_position(self.next);
        rng
    }
}

fn to_tensor<const D: usize>(values: Vec<f32>, shape: Shape, device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), device)
}
