//! The name of a stream of noise.

use crate::fill;
use crate::normal;
use crate::philox::philox4x32_10;
use crate::rng::PhiloxRng;

/// Elements, and words, in a stream: four for each of 2³² blocks.
pub const STREAM_LEN: u64 = 1 << 34;

/// The name of one stream of standard normals, `N(0, 1)`.
///
/// Element `e` is lane `e % 4` of block `b = e / 4`, whose four words are
///
/// ```text
/// x0 x1 x2 x3 = Philox4x32-10(key = [seed low, seed high], counter = [b, stream, index low, index high])
/// ```
///
/// and lanes 0 and 1 are, after Box and Muller (1958),
///
/// ```text
/// r cos θ,  r sin θ    with  r = √(−2 ln u),  u = (x0 + ½) 2⁻³²,  θ = 2π (x1 + ½) 2⁻³²
/// ```
///
/// lanes 2 and 3 the same of `x2` and `x3`. Under one seed no two streams share a counter, nor therefore (Philox
/// is a bijection) a block of words; another seed is another bijection. Their independence is that of Philox
/// (Salmon et al., SC 2011; see [`philox4x32_10`]).
///
/// # Range and accuracy
///
/// `u` is at least 2⁻³³, so no draw is beyond 6.764 in size (a true normal is, once in 7·10¹⁰), and each is finite.
///
/// `u` and `θ` are rounded to `f32`, and logarithm, sine and cosine are polynomials. Over every possible word,
/// against `f64`:
///
/// | Part | Largest error |
/// |---|---|
/// | `ln u` | 0.86 ulp |
/// | `r`, of the rounded `u` | 0.99 ulp |
/// | `cos θ`, `sin θ` | 1.1e-7; 0.99 ulp of the rounded, reduced angle, 2.91 ulp of the exact one |
/// | a normal | 1.1e-6 (in 2.7e8 draws), and 3e-8 / r for the rounding of `u` near 1 |
///
/// The last term matters for draws near 0 alone: it exceeds 1e-6 once in 2200 pairs, and at its largest, with
/// probability 3e-8, both normals of a pair that should be below 2.5e-4 are 0.
///
/// # Reproducibility
///
/// The arithmetic is `f32` addition, multiplication and square root in a fixed order, which IEEE 754 defines
/// exactly: a draw has the same bits on every CPU and instruction set (but for 32-bit x86 without SSE2, whose
/// registers round differently). A change of the values is a breaking change.
///
/// # Example
///
/// ```
/// use blitz_noise::NoiseKey;
///
/// let noise = NoiseKey::new(42, 0, 0);
/// let mut all = vec![0.0; 1000];
/// noise.fill_standard_normal(0, &mut all);
///
/// // Any slice alone, and any element alone, is the same.
/// let mut slice = [0.0; 10];
/// noise.fill_standard_normal(500, &mut slice);
/// assert_eq!(slice, all[500..510]);
/// assert_eq!(noise.standard_normal_at(999), all[999]);
///
/// // The next draw from the posterior is the next index.
/// assert_ne!(NoiseKey::new(42, 1, 0).standard_normal_at(999), all[999]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NoiseKey {
    /// What the user chose: a whole run's randomness.
    pub seed: u64,
    /// Which draw: one joint sample of everything random.
    pub index: u64,
    /// Which random thing in the draw: a parameter, for instance.
    pub stream: u32,
}

impl NoiseKey {
    /// The stream `stream` of draw `index` under `seed`. Every combination is as good as any other.
    pub const fn new(seed: u64, index: u64, stream: u32) -> Self {
        Self {
            seed,
            index,
            stream,
        }
    }

    /// Element `element` of the stream, alone: the definition that the fills are held to.
    ///
    /// # Panics
    ///
    /// If `element` is not below 2³⁴, where the stream ends.
    pub fn standard_normal_at(&self, element: u64) -> f32 {
        assert!(
            element < STREAM_LEN,
            "element {element} is beyond the stream's 2^34 elements"
        );
        self.normal_unchecked(element)
    }

    /// Fills `out` with the elements `offset..offset + out.len()`: independent draws from `N(0, 1)`.
    ///
    /// From 32,768 elements the work is shared among rayon's threads (except on WebAssembly); the values do
    /// not depend on it.
    ///
    /// # Panics
    ///
    /// If the slice goes beyond the stream's end at 2³⁴ elements.
    pub fn fill_standard_normal(&self, offset: u64, out: &mut [f32]) {
        check_range(offset, out.len());
        fill::fill_parallel(*self, offset, out);
    }

    /// [`fill_standard_normal`](Self::fill_standard_normal) on the calling thread alone: for a caller who
    /// shares out the work already.
    ///
    /// # Panics
    ///
    /// If the slice goes beyond the stream's end at 2³⁴ elements.
    ///
    /// # Example
    ///
    /// ```
    /// use blitz_noise::NoiseKey;
    ///
    /// let noise = NoiseKey::new(1, 2, 3);
    /// let (mut serial, mut threaded) = (vec![0.0; 100_000], vec![0.0; 100_000]);
    /// noise.fill_standard_normal_serial(5, &mut serial);
    /// noise.fill_standard_normal(5, &mut threaded);
    /// assert_eq!(serial, threaded);
    /// ```
    pub fn fill_standard_normal_serial(&self, offset: u64, out: &mut [f32]) {
        check_range(offset, out.len());
        fill::fill_serial(*self, offset, out);
    }

    /// The words of the stream as a generator, for other distributions.
    pub const fn rng(&self) -> PhiloxRng {
        PhiloxRng::new(*self)
    }

    #[inline(always)]
    pub(crate) const fn philox_key(&self) -> [u32; 2] {
        [self.seed as u32, (self.seed >> 32) as u32]
    }

    #[inline(always)]
    pub(crate) const fn counter(&self, block: u32) -> [u32; 4] {
        let (low, high) = (self.index as u32, (self.index >> 32) as u32);
        [block, self.stream, low, high]
    }

    pub(crate) fn normal_unchecked(&self, element: u64) -> f32 {
        let words = philox4x32_10(self.philox_key(), self.counter((element / 4) as u32));
        let lane = (element % 4) as usize;
        let (cosine, sine) = normal::normal_pair(words[lane & 2], words[lane | 1]);
        if lane & 1 == 0 { cosine } else { sine }
    }
}

fn check_range(offset: u64, len: usize) {
    let end = offset.checked_add(len as u64);
    assert!(
        end.is_some_and(|end| end <= STREAM_LEN),
        "elements {offset}.. (+{len}) go beyond the stream's 2^34 elements"
    );
}
