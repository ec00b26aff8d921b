//! What the sets of classes share: the order of the classes, scores that tie where they should, and the randomization.

use std::cmp::Ordering;

use blitz_noise::philox4x32_10;

/// The classes of an example with their probabilities, most probable first. Equal ones stay in the order of the classes.
pub(super) fn ranked(row: &[f64]) -> Vec<(usize, f64)> {
    let mut ranked: Vec<(usize, f64)> = row.iter().copied().enumerate().collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    ranked
}

/// The score of a class, and how many classes of its example are at least as probable: of equal sums the class of lower rank is ahead.
///
/// Classes of probability 0 have the sum of the class before them. Without a rank, a threshold at which that one is inside would bring
/// them all in. A score may be anything of which labels of later examples have as much as those of the calibration, so the coverage stays.
#[derive(Debug, Clone, Copy)]
pub(super) struct Score {
    pub(super) sum: f64,
    pub(super) rank: usize,
}

impl Score {
    pub(super) fn total_cmp(&self, other: &Self) -> Ordering {
        let sums = self.sum.total_cmp(&other.sum);
        sums.then(self.rank.cmp(&other.rank))
    }
}

/// To a multiple of 2⁻⁴⁰: sums of the same probabilities in another order, or of 0.5 and 0.4 and of 0.7 and 0.2, differ in their last digits, and are to
/// tie all the same.
pub(super) fn on_grid(sum: f64) -> f64 {
    const CELLS: f64 = (1u64 << 40) as f64;
    (sum * CELLS).round() / CELLS
}

/// The randomness of calibration and of application must be independent.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose {
    Calibration = 0,
    Application = 1,
}

/// The share of its own part that counts for a class of an example: uniform over [0, 1), or all.
pub(super) fn uniform(seed: Option<u64>, example: usize, purpose: Purpose) -> f64 {
    let Some(seed) = seed else {
        return 1.0;
    };
    let example = example as u64;
    let counter = [example as u32, (example >> 32) as u32, purpose as u32, 0];
    let words = philox4x32_10([seed as u32, (seed >> 32) as u32], counter);
    let bits = (u64::from(words[0]) << 32) | u64::from(words[1]);
    // 53 bits are as many as an f64 holds.
    (bits >> 11) as f64 / (1u64 << 53) as f64
}
