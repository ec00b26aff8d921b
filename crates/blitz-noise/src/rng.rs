//! A stream's words as a `rand_core` generator, for what is not a standard normal.

use std::convert::Infallible;
use std::fmt;

use rand_core::{SeedableRng, TryRng, utils};

use crate::{NoiseKey, STREAM_LEN, philox4x32_10};

/// The words of one stream, in order, as a [`rand_core::Rng`]: any distribution of `rand_distr` can be
/// sampled from it. Made by [`NoiseKey::rng`].
///
/// Word `w` is word `w % 4` of Philox block `w / 4`. A `u64` is two words, the low one first; bytes are whole
/// words, little-endian, the end of the last one discarded. The normals of the same [`NoiseKey`] come from
/// the same words, so use a stream for one or the other.
///
/// Two generators are equal if they have the same key and position, and so the same future.
///
/// # Panics
///
/// A stream ends after 2³⁴ words; asking for more panics rather than begin again.
///
/// # Example
///
/// ```
/// use blitz_noise::NoiseKey;
/// use rand_distr::{Distribution, StudentT};
///
/// let mut rng = NoiseKey::new(7, 0, 3).rng();
/// let heavy_tailed = StudentT::new(4.0).unwrap().sample(&mut rng);
///
/// rng.set_word_position(0);
/// assert_eq!(StudentT::new(4.0).unwrap().sample(&mut rng), heavy_tailed);
/// ```
#[derive(Clone)]
pub struct PhiloxRng {
    key: NoiseKey,
    /// The next word. The block it lies in is in `block`, unless it is the block's first.
    position: u64,
    block: [u32; 4],
}

impl PhiloxRng {
    pub(super) const fn new(key: NoiseKey) -> Self {
        Self {
            key,
            position: 0,
            block: [0; 4],
        }
    }

    /// The stream whose words these are.
    pub const fn key(&self) -> NoiseKey {
        self.key
    }

    /// How many words of the stream come before the next one.
    pub const fn word_position(&self) -> u64 {
        self.position
    }

    /// Jumps: the next word will be word `position` of the stream. Costs one block, however far.
    ///
    /// # Panics
    ///
    /// If `position` is beyond the stream's end, 2³⁴.
    pub fn set_word_position(&mut self, position: u64) {
        assert!(
            position <= STREAM_LEN,
            "word position {position} is beyond the stream's 2^34 words"
        );
        self.position = position;
        if !position.is_multiple_of(4) {
            self.load_block();
        }
    }

    fn load_block(&mut self) {
        let block = (self.position / 4) as u32;
        self.block = philox4x32_10(self.key.philox_key(), self.key.counter(block));
    }

    #[inline]
    fn next_word(&mut self) -> u32 {
        let lane = (self.position % 4) as usize;
        if lane == 0 {
            assert!(
                self.position < STREAM_LEN,
                "all 2^34 words of {:?} are used",
                self.key
            );
            self.load_block();
        }
        self.position += 1;
        self.block[lane]
    }
}

impl TryRng for PhiloxRng {
    type Error = Infallible;

    #[inline]
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.next_word())
    }

    #[inline]
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        utils::next_u64_via_u32(self)
    }

    #[inline]
    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        utils::fill_bytes_via_next_word(dst, || self.try_next_u32())
    }
}

/// The seed is a [`NoiseKey`] in little-endian bytes: seed (8), index (8), stream (4). Philox mixes weak keys
/// well, so [`seed_from_u64`](SeedableRng::seed_from_u64) takes the number as it is: draw 0 of stream 0.
impl SeedableRng for PhiloxRng {
    type Seed = [u8; 20];

    fn from_seed(seed: Self::Seed) -> Self {
        let [seed_low, seed_high, index_low, index_high, stream] =
            utils::read_words::<u32, 5>(&seed);
        let wide = |low, high| u64::from(high) << 32 | u64::from(low);
        NoiseKey::new(
            wide(seed_low, seed_high),
            wide(index_low, index_high),
            stream,
        )
        .rng()
    }

    fn seed_from_u64(state: u64) -> Self {
        NoiseKey::new(state, 0, 0).rng()
    }
}

impl PartialEq for PhiloxRng {
    fn eq(&self, other: &Self) -> bool {
        (self.key, self.position) == (other.key, other.position)
    }
}

impl Eq for PhiloxRng {}

impl fmt::Debug for PhiloxRng {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PhiloxRng")
            .field("key", &self.key)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}
