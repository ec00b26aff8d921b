//! What a draw is: known answers, any slice alone, any instruction set, the ends of the range.

mod rng;
mod statistics;

use proptest::prelude::*;
use rand_core::Rng;

use super::fill::{CHUNK, GROUP, fill_with};
use super::normal::{cos_sin_turn, ln, normal_pair, unit};
use super::*;
use crate::simd::InstructionSet;

/// Random123, `tests/kat_vectors`, `philox4x32 10`: key, counter, words.
const KNOWN_ANSWERS: [([u32; 2], [u32; 4], [u32; 4]); 3] = [
    (
        [0; 2],
        [0; 4],
        [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
    ),
    (
        [u32::MAX; 2],
        [u32::MAX; 4],
        [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
    ),
    (
        [0xa4093822, 0x299f31d0],
        [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
        [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
    ),
];

/// Printed by `reference.py`: seed, index, stream, element, normal.
const REFERENCE: [(u64, u64, u32, u64, f64); 17] = [
    (0x0, 0x0, 0x0, 0x0, 0.9911376799303855),
    (0x0, 0x0, 0x0, 0x1, -0.9246625876655352),
    (0x0, 0x0, 0x0, 0x2, -0.6176089594591907),
    (0x0, 0x0, 0x0, 0x3, -0.48206858748717946),
    (0x0, 0x0, 0x0, 0x4, -0.15363823029788248),
    (0x0, 0x0, 0x0, 0x5, 0.1808258977794412),
    (0x0, 0x0, 0x0, 0x6, 0.8317351045307384),
    (0x0, 0x0, 0x0, 0x7, 0.1974397198257022),
    (0x2a, 0x0, 0x0, 0x5, 0.1391374963034488),
    (0x2a, 0x0, 0x1, 0x5, 1.0954977661100938),
    (0x2a, 0x1, 0x0, 0x5, -0.10821650984476561),
    (0x2a, 0x1, 0x1, 0x5, 0.15990836310073459),
    (0x100000000, 0x0, 0x0, 0x0, 0.12814565393632246),
    (0x1, 0x100000000, 0x0, 0x1, 1.5404173815011708),
    (0x1, 0x0, 0xffffffff, 0x2, -0.35854562262603085),
    (
        u64::MAX,
        u64::MAX,
        u32::MAX,
        0x3ffffffff,
        0.4230635186105798,
    ),
    (
        0x123456789abcdef,
        0xe8d4a51000,
        0x7,
        0x3b9aca03,
        -0.3027915502070032,
    ),
];

/// Words at which the transform could go wrong: the ends, the borders of octants, of halves and of binades.
const EDGE_WORDS: [u32; 14] = [
    0,
    1,
    0xFFFF,
    0x1_0000,
    0x1FFF_FFFF,
    0x2000_0000,
    0x3FFF_FFFF,
    0x4000_0000,
    0x5FFF_FFFF,
    0x6000_0000,
    0x7FFF_FFFF,
    0x8000_0000,
    u32::MAX - 1,
    u32::MAX,
];

/// `(word + ½)·2⁻³²`, exactly.
fn exact_unit(word: u32) -> f64 {
    (2.0 * f64::from(word) + 1.0) / 2f64.powi(33)
}

/// Every 4099th word and its neighbours across a border: a prime stride, so that all low bits come up.
fn many_words() -> impl Iterator<Item = u32> {
    (0..=u32::MAX).step_by(4099).chain(EDGE_WORDS)
}

fn ulp(x: f64) -> f64 {
    2f64.powi(x.abs().log2().floor() as i32 - 23)
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

fn one_by_one(key: NoiseKey, offset: u64, len: usize) -> Vec<f32> {
    let elements = offset..offset + len as u64;
    elements.map(|e| key.standard_normal_at(e)).collect()
}

fn filled(key: NoiseKey, offset: u64, len: usize) -> Vec<f32> {
    let mut out = vec![f32::NAN; len];
    key.fill_standard_normal(offset, &mut out);
    out
}

#[test]
fn philox_gives_the_published_answers() {
    for (key, counter, words) in KNOWN_ANSWERS {
        assert_eq!(philox4x32_10(key, counter), words);
    }
}

#[test]
fn normals_agree_with_a_double_precision_reference() {
    for (seed, index, stream, element, expected) in REFERENCE {
        let draw = NoiseKey::new(seed, index, stream).standard_normal_at(element);
        assert!(
            (f64::from(draw) - expected).abs() < 1.2e-6,
            "{draw} against {expected} for ({seed}, {index}, {stream}, {element})"
        );
    }
}

/// These bits are what a user's saved seed means. To change them is a breaking change.
#[test]
fn the_values_have_not_changed() {
    assert_eq!(bits(&filled(NoiseKey::new(0, 0, 0), 0, 8)), PINNED_ZERO);
    assert_eq!(
        bits(&filled(NoiseKey::new(42, 7, 3), 1_000_001, 5)),
        PINNED_SLICE
    );
    let mut rng = NoiseKey::new(42, 7, 3).rng();
    assert_eq!([rng.next_u32(), rng.next_u32()], PINNED_WORDS);
}

const PINNED_ZERO: [u32; 8] = [
    0x3f7dbb31, 0xbf6cb6b0, 0xbf1e1b9f, 0xbef6d1b2, 0xbe1d5353, 0x3e392a68, 0x3f54ec97, 0x3e4a2da2,
];
const PINNED_SLICE: [u32; 5] = [0x3e289915, 0xbf6e5b47, 0x3ef4480d, 0x3f87ee9d, 0xbe8b4304];
const PINNED_WORDS: [u32; 2] = [0x2b6c136c, 0x99937deb];

#[test]
fn every_bit_of_the_key_matters() {
    let base = NoiseKey::new(0, 0, 0);
    let wide =
        (0..64).flat_map(|bit| [NoiseKey::new(1 << bit, 0, 0), NoiseKey::new(0, 1 << bit, 0)]);
    let streams = (0..32).map(|bit| NoiseKey::new(0, 0, 1 << bit));
    let mut draws: Vec<_> = wide
        .chain(streams)
        .chain([base])
        .map(|key| bits(&filled(key, 0, 4)))
        .collect();
    draws.sort();
    draws.dedup();
    assert_eq!(draws.len(), 64 + 64 + 32 + 1);
}

#[test]
fn any_slice_alone_equals_the_whole() {
    let key = NoiseKey::new(3, 1, 4);
    let whole = one_by_one(key, 0, 1_000_100);
    for offset in [0, 1, 2, 3, 4, 61, 63] {
        for len in [0, 1, 2, 3, 4, 5, GROUP - 1, GROUP, GROUP + 1, 1_000_001] {
            let slice = &whole[offset..offset + len];
            assert!(
                filled(key, offset as u64, len) == slice,
                "offset {offset}, length {len}"
            );
        }
    }
}

proptest! {
    #[test]
    fn a_slice_anywhere_equals_its_elements(
        seed: u64, index: u64, stream: u32, offset in 0..STREAM_LEN - 500, len in 0..500usize,
    ) {
        let key = NoiseKey::new(seed, index, stream);
        prop_assert_eq!(filled(key, offset, len), one_by_one(key, offset, len));
    }
}

#[test]
fn threads_do_not_change_the_values() {
    let key = NoiseKey::new(2, 7, 1);
    for (offset, len) in [(0, 2 * CHUNK), (3, 1_000_001)] {
        let mut serial = vec![f32::NAN; len];
        key.fill_standard_normal_serial(offset, &mut serial);
        for threads in [1, 2, 5] {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            assert!(pool.install(|| filled(key, offset, len)) == serial);
        }
    }
}

#[test]
fn instruction_sets_do_not_change_the_values() {
    let key = NoiseKey::new(1, 8, 2);
    let expected = one_by_one(key, 5, 100_003);
    for set in InstructionSet::available() {
        let mut out = vec![f32::NAN; expected.len()];
        fill_with(set, key, 5, &mut out);
        assert!(bits(&out) == bits(&expected), "{set:?}");
    }
}

/// The key under which block `counter[0]` of a stream has the words `words`: Philox is a bijection, so any
/// four words, however unlikely, have a place.
fn key_of(words: [u32; 4], seed: u64) -> (NoiseKey, u32) {
    // The inverses of the multipliers, modulo 2³²; each round undone, last first.
    let (inverse_0, inverse_1) = (0x991A_7CDB_u32, 0x6D7C_AE67_u32);
    let (k0, k1) = (seed as u32, (seed >> 32) as u32);
    let [mut c0, mut c1, mut c2, mut c3] = words;
    for round in (0..10).rev() {
        let previous = (inverse_0.wrapping_mul(c3), inverse_1.wrapping_mul(c1));
        let high_0 = ((u64::from(previous.0) * 0xD251_1F53) >> 32) as u32;
        let high_1 = ((u64::from(previous.1) * 0xCD9E_8D57) >> 32) as u32;
        c1 = c0 ^ high_1 ^ k0.wrapping_add(0x9E37_79B9_u32.wrapping_mul(round));
        c3 = c2 ^ high_0 ^ k1.wrapping_add(0xBB67_AE85_u32.wrapping_mul(round));
        (c0, c2) = previous;
    }
    let index = u64::from(c3) << 32 | u64::from(c2);
    (NoiseKey::new(seed, index, c1), c0)
}

#[test]
fn extreme_words_are_finite_and_accurate_in_every_instruction_set() {
    for radius in EDGE_WORDS {
        for angle in EDGE_WORDS {
            let (key, block) = key_of([radius, angle, angle, radius], 0x0123_4567_89AB_CDEF);
            let element = 4 * u64::from(block);
            let r = (-2.0 * exact_unit(radius).ln()).sqrt();
            let theta = std::f64::consts::TAU * exact_unit(angle);
            let first = [r * theta.cos(), r * theta.sin()];
            // What rounding u near 1 costs, and then all the rest.
            let bound = 6e-8 / r + 1.2e-6;

            for set in InstructionSet::available() {
                let mut out = [f32::NAN; 4];
                fill_with(set, key, element, &mut out);
                assert_eq!(bits(&out), bits(&one_by_one(key, element, 4)), "{set:?}");
                assert!(out.iter().all(|z| z.is_finite()), "{set:?}: {out:?}");
                for (z, expected) in out.iter().zip(first) {
                    let error = (f64::from(*z) - expected).abs();
                    assert!(
                        error < bound,
                        "{set:?}: {z} for {expected}, {radius:#x} {angle:#x}"
                    );
                }
            }
        }
    }
}

#[test]
fn unit_rounds_once_and_never_gives_zero() {
    assert_eq!(unit(0), 2f32.powi(-33));
    assert_eq!(unit(u32::MAX), 1.0);
    let borders = (16..32).flat_map(|bit| (1u32 << bit) - 300..(1u32 << bit) + 300);
    for word in many_words().chain(borders) {
        assert_eq!(unit(word), exact_unit(word) as f32, "{word:#x}");
    }
}

#[test]
fn ln_is_within_0_86_ulp() {
    assert_eq!(ln(1.0), 0.0);
    let borders = [std::f32::consts::FRAC_1_SQRT_2, 0.5, 0.25, 0.999_999_94];
    for u in many_words().map(unit).filter(|u| *u < 1.0).chain(borders) {
        let exact = f64::from(u).ln();
        assert!(
            (f64::from(ln(u)) - exact).abs() <= 0.86 * ulp(exact),
            "{u:e}"
        );
    }
}

#[test]
fn cosine_and_sine_are_within_1_1e_7() {
    for word in many_words() {
        let (sin, cos) = (std::f64::consts::TAU * exact_unit(word)).sin_cos();
        let (c, s) = cos_sin_turn(word);
        let error = (f64::from(c) - cos).abs().max((f64::from(s) - sin).abs());
        assert!(error < 1.1e-7, "{error:e} for {word:#x}");
    }
}

/// Exactly, so that no sign, axis or lane is favoured by a rounding.
#[test]
fn angles_are_symmetric() {
    for word in many_words() {
        let (c, s) = cos_sin_turn(word);
        assert_eq!(cos_sin_turn(!word), (c, -s), "mirror of {word:#x}");
        assert_eq!(
            cos_sin_turn(word ^ 0x8000_0000),
            (-c, -s),
            "half turn of {word:#x}"
        );
        assert_eq!(
            cos_sin_turn(word.wrapping_add(0x4000_0000)),
            (-s, c),
            "quarter turn of {word:#x}"
        );
    }
}

#[test]
fn the_largest_draw_is_6_764() {
    let (cosine, _) = normal_pair(0, 0);
    assert!((cosine - 6.763_705_6).abs() < 1e-6, "{cosine}");
}

#[test]
fn a_stream_can_be_used_to_its_last_element() {
    let key = NoiseKey::new(5, 5, 5);
    let out = filled(key, STREAM_LEN - 7, 7);
    assert_eq!(out, one_by_one(key, STREAM_LEN - 7, 7));
    assert!(filled(key, STREAM_LEN, 0).is_empty());
}

#[test]
#[should_panic(expected = "element 17179869184 is beyond")]
fn an_element_beyond_the_stream_panics() {
    NoiseKey::new(0, 0, 0).standard_normal_at(STREAM_LEN);
}

#[test]
#[should_panic(expected = "beyond the stream")]
fn a_slice_beyond_the_stream_panics() {
    filled(NoiseKey::new(0, 0, 0), STREAM_LEN - 2, 3);
}

#[test]
#[should_panic(expected = "beyond the stream")]
fn an_offset_that_overflows_panics() {
    NoiseKey::new(0, 0, 0).fill_standard_normal_serial(u64::MAX, &mut [0.0; 4]);
}
