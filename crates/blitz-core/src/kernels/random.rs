//! Numbers made of a stream's words as they are: signs, and zeros and ones.

use burn::backend::Dispatch;
use burn::tensor::{Shape, Tensor, TensorData};
use rand_core::Rng;

use super::backend::FusedOps;
use super::formula::NoiseSpan;
use super::{fuses, is_in_memory, kind};

/// What a number is made of, and how. Independent of every tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Random {
    /// 1 or −1: element i has bit `i mod 32` of word `⌊i / 32⌋`, 1 where it is zero.
    Signs(NoiseSpan),
    /// 1 or 0: element i is 1 where word i is below the number.
    Below(u32, NoiseSpan),
}

impl Random {
    /// As many numbers, made on the host.
    pub(super) fn values(self, len: usize) -> Vec<f32> {
        let (Self::Signs(span) | Self::Below(_, span)) = self;
        let mut words = span.key.rng();
        words.set_word_position(4 * u64::from(span.first_block));
        match self {
            Self::Signs(_) => {
                let mut signs = Vec::with_capacity(len);
                while signs.len() < len {
                    let word = words.next_u32();
                    let bits = (len - signs.len()).min(32);
                    signs.extend((0..bits).map(|bit| 1.0 - 2.0 * (word >> bit & 1) as f32));
                }
                signs
            }
            Self::Below(limit, _) => (0..len)
                .map(|_| f32::from(words.next_u32() < limit))
                .collect(),
        }
    }
}

/// Such numbers, with the element type and device of `like`: made by the device where blitz has kernels for it.
pub(crate) fn random<const D: usize, const L: usize>(
    op: Random,
    shape: Shape,
    like: &Tensor<L>,
) -> Tensor<D> {
    let (device, dtype) = kind(like);
    if fuses([kind(like)]) && !is_in_memory(&device) {
        let memory = Tensor::<D>::empty(shape, (&device, dtype));
        return Tensor::from_dispatch(Dispatch::random(memory.into_dispatch(), op));
    }
    let values = op.values(shape.num_elements());
    Tensor::<D>::from_data(TensorData::new(values, shape), &device).cast(dtype)
}
