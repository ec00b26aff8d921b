//! What can happen to bytes.

use crate::random::Random;

/// `bytes` with some damage, and what it is.
pub(super) fn damaged(bytes: &[u8], random: &mut Random) -> (String, Vec<u8>) {
    let mut changed = bytes.to_vec();
    let length = changed.len();
    let what = match random.below(8) {
        // The commonest, so twice.
        0..=2 if length > 0 => {
            let flips = 1 + random.below(3);
            let mut bits = Vec::new();
            for _ in 0..flips {
                let bit = random.below(8 * length);
                changed[bit / 8] ^= 1 << (bit % 8);
                bits.push(bit);
            }
            format!("with flipped bits {bits:?}")
        }
        3 => {
            let kept = random.below(length + 1);
            changed.truncate(kept);
            format!("cut off after {kept} of {length} bytes")
        }
        4 => {
            let more = 1 + random.below(64);
            changed.extend((0..more).map(|_| random.byte()));
            format!("with {more} random bytes at the end")
        }
        5 => {
            let start = random.below(length);
            let end = length.min(start + 1 + random.below(32));
            for byte in &mut changed[start..end] {
                *byte = random.byte();
            }
            format!("with random bytes at {start}..{end}")
        }
        6 => {
            let start = random.below(length);
            let end = length.min(start + 1 + random.below(512));
            changed[start..end].fill(0);
            format!("with zeros at {start}..{end}")
        }
        _ => {
            let length = random.below(256);
            changed = (0..length).map(|_| random.byte()).collect();
            format!("of {length} random bytes")
        }
    };
    (what, changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_can_be_damaged_and_a_trial_can_be_made_again() {
        for length in [0, 1, 100] {
            for trial in 0..200 {
                let bytes = vec![7; length];
                let once = damaged(&bytes, &mut Random::of_trial(3, trial));
                assert_eq!(once, damaged(&bytes, &mut Random::of_trial(3, trial)));
            }
        }
    }
}
