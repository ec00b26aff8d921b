//! Philox4x32-10, the counter-based generator under all noise (Salmon, Moraes, Dror and Shaw,
//! *Parallel random numbers: as easy as 1, 2, 3*, SC 2011).

const MULTIPLIER_0: u32 = 0xD251_1F53;
const MULTIPLIER_1: u32 = 0xCD9E_8D57;
/// The golden ratio and √3 − 1, as 32-bit fractions: what the key advances by each round.
const WEYL_0: u32 = 0x9E37_79B9;
const WEYL_1: u32 = 0xBB67_AE85;
const ROUNDS: usize = 10;

/// Four random words: the Philox4x32-10 bijection of `counter` under `key`.
///
/// Ten rounds of `(c0, c1, c2, c3) → (hi(M₁c2) ⊕ c1 ⊕ k0, lo(M₁c2), hi(M₀c0) ⊕ c3 ⊕ k1, lo(M₀c0))`, the key
/// advancing by a Weyl sequence between rounds. Nothing is kept from call to call, so any block of any
/// stream is one call away. The generator passes BigCrush; it is not cryptographic.
///
/// [`NoiseKey`](crate::NoiseKey) says how blitz lays out key and counter.
///
/// # Example
///
/// ```
/// use blitz_noise::philox4x32_10;
///
/// // The first of Random123's published known answers.
/// let words = philox4x32_10([0, 0], [0, 0, 0, 0]);
/// assert_eq!(words, [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
/// ```
#[inline(always)]
pub const fn philox4x32_10(key: [u32; 2], counter: [u32; 4]) -> [u32; 4] {
    let [mut k0, mut k1] = key;
    let [mut c0, mut c1, mut c2, mut c3] = counter;
    let mut round = 0;
    while round < ROUNDS {
        let p0 = MULTIPLIER_0 as u64 * c0 as u64;
        let p1 = MULTIPLIER_1 as u64 * c2 as u64;
        (c0, c2) = (
            (p1 >> 32) as u32 ^ c1 ^ k0, //
            (p0 >> 32) as u32 ^ c3 ^ k1,
        );
        (c1, c3) = (p1 as u32, p0 as u32);
        k0 = k0.wrapping_add(WEYL_0);
        k1 = k1.wrapping_add(WEYL_1);
        round += 1;
    }
    [c0, c1, c2, c3]
}
