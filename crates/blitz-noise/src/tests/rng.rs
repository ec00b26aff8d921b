//! The generator's words are the stream's.

use rand_core::{Rng, SeedableRng};

use super::super::*;

fn word(key: NoiseKey, position: u64) -> u32 {
    philox4x32_10(key.philox_key(), key.counter((position / 4) as u32))[(position % 4) as usize]
}

const KEY: NoiseKey = NoiseKey::new(11, 12, 13);

#[test]
fn words_come_in_the_order_of_the_stream() {
    let mut rng = KEY.rng();
    for position in 0..50 {
        assert_eq!(rng.word_position(), position);
        assert_eq!(rng.next_u32(), word(KEY, position));
    }
}

#[test]
fn a_jump_lands_where_walking_does() {
    for position in [0, 1, 2, 3, 4, 5, 1_000_003, STREAM_LEN - 1] {
        let mut rng = KEY.rng();
        rng.next_u64();
        rng.set_word_position(position);
        assert_eq!(rng.word_position(), position);
        assert_eq!(rng.next_u32(), word(KEY, position));
    }
}

#[test]
fn wide_words_and_bytes_are_little_endian() {
    let words: Vec<u32> = (0..8).map(|position| word(KEY, position)).collect();
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();

    // From an odd word on, so that a u64 lies across two blocks.
    let mut rng = KEY.rng();
    rng.set_word_position(3);
    assert_eq!(
        rng.next_u64(),
        u64::from(words[4]) << 32 | u64::from(words[3])
    );

    let mut rng = KEY.rng();
    let mut out = [0; 7];
    rng.fill_bytes(&mut out);
    assert_eq!(out, bytes[..7]);
    assert_eq!(rng.next_u32(), words[2], "the rest of a word is discarded");
}

#[test]
fn a_seed_is_a_key_in_little_endian_bytes() {
    let mut seed = [0; 20];
    seed[..8].copy_from_slice(&0x0102_0304_0506_0708_u64.to_le_bytes());
    seed[8..16].copy_from_slice(&0x1112_1314_1516_1718_u64.to_le_bytes());
    seed[16..].copy_from_slice(&0x2122_2324_u32.to_le_bytes());
    let key = NoiseKey::new(0x0102_0304_0506_0708, 0x1112_1314_1516_1718, 0x2122_2324);
    assert_eq!(PhiloxRng::from_seed(seed).key(), key);
    assert_eq!(PhiloxRng::seed_from_u64(9).key(), NoiseKey::new(9, 0, 0));
}

#[test]
fn equality_is_of_key_and_position() {
    let (mut a, mut b) = (KEY.rng(), KEY.rng());
    assert_eq!(a, b);
    a.next_u32();
    assert_ne!(a, b);
    b.set_word_position(1);
    assert_eq!(a, b);
    assert_eq!(a.clone().next_u64(), b.next_u64());
    assert_ne!(KEY.rng(), NoiseKey::new(11, 12, 14).rng());
}

#[test]
fn debug_shows_key_and_position_only() {
    assert_eq!(
        format!("{:?}", KEY.rng()),
        "PhiloxRng { key: NoiseKey { seed: 11, index: 12, stream: 13 }, position: 0, .. }"
    );
}

#[test]
#[should_panic(expected = "all 2^34 words")]
fn the_end_of_the_stream_panics() {
    let mut rng = KEY.rng();
    rng.set_word_position(STREAM_LEN - 1);
    rng.next_u32();
    rng.next_u32();
}

#[test]
#[should_panic(expected = "word position 17179869185")]
fn a_jump_beyond_the_end_panics() {
    KEY.rng().set_word_position(STREAM_LEN + 1);
}

#[test]
fn keys_and_generators_cross_threads() {
    fn crosses<T: Send + Sync>() {}
    crosses::<NoiseKey>();
    crosses::<PhiloxRng>();
}
