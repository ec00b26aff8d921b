//! What can happen to bytes.

use crate::random::Random;

/// `bytes` with some damage, and what it is.
pub(super) fn damaged(bytes: &[u8], random: &mut Random) -> (String, Vec<u8>) {
    let mut changed = bytes.to_vec();
    let length = changed.len();
    let what = match random.below(10) {
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
        7 | 8 if changed.iter().any(u8::is_ascii_digit) => {
            let (number, other) = replace_number(&mut changed, random);
            format!("with {other} for the number at {number}")
        }
        _ => {
            let length = random.below(256);
            changed = (0..length).map(|_| random.byte()).collect();
            format!("of {length} random bytes")
        }
    };
    (what, changed)
}

/// Numbers that readers of text may not expect.
pub(crate) const NUMBERS: [&str; 12] = [
    "-1",
    "0",
    "0.0",
    "1",
    "2.5",
    "-0.5",
    "1e308",
    "-1e308",
    "1e-320",
    "1e999",
    "NaN",
    "99999999999999999999",
];

/// Puts another number in the place of one; where it was, and what is there now.
fn replace_number(bytes: &mut Vec<u8>, random: &mut Random) -> (usize, &'static str) {
    let is_part = |byte: &u8| byte.is_ascii_digit() || b".-+eE".contains(byte);
    let starts = |i: &usize| bytes[*i].is_ascii_digit() && (*i == 0 || !is_part(&bytes[*i - 1]));
    let starts: Vec<usize> = (0..bytes.len()).filter(starts).collect();
    let other = NUMBERS[random.below(NUMBERS.len())];
    let start = starts.get(random.below(starts.len())).copied().unwrap_or(0);
    let length = bytes[start..]
        .iter()
        .take_while(|byte| is_part(byte))
        .count();
    bytes.splice(start..start + length, other.bytes());
    (start, other)
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
