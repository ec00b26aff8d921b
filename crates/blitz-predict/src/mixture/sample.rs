//! Values drawn from predictive distributions, by seed.

use blitz_noise::layout::VALUES;
use blitz_noise::{NoiseKey, PhiloxRng};
use rand_core::Rng;

use super::categorical::CategoricalMixture;
use super::equal::Mixture;
use crate::distribution::{Distribution, uniform};

/// The generator of one value: samples and predictions don't share one, so any of them can be drawn alone.
fn rng(seed: u64, sample: usize, prediction: usize) -> PhiloxRng {
    NoiseKey::new(seed ^ VALUES, sample as u64, prediction as u32).rng()
}

/// Uniform over `0 .. n`, up to n/2⁶⁴.
fn index_below(n: usize, rng: &mut PhiloxRng) -> usize {
    ((u128::from(rng.next_u64()) * n as u128) >> 64) as usize
}

/// The class at which the distribution function passes `u`, which is below 1.
pub(crate) fn class_at(u: f64, probabilities: impl Iterator<Item = f64> + Clone) -> usize {
    // Rounding may leave the probabilities a little below one.
    let mut left = u * probabilities.clone().sum::<f64>();
    let mut last = 0;
    for (class, p) in probabilities.enumerate() {
        if p > 0.0 {
            last = class;
            left -= p;
            if left < 0.0 {
                break;
            }
        }
    }
    last
}

impl<C: Distribution> Mixture<C> {
    /// `count` samples of every prediction: `samples[i]` has one value for each example and target, from a draw chosen
    /// at random and its noise. Sample `i` of `seed` is the same however many there are.
    ///
    /// Targets are sampled independently of each other, given the predictions. The noise of a prediction follows from
    /// its place here: the predictions of several batches have noise of their own by
    /// [`sample_from`](Self::sample_from), or together, by [`append`](super::Predictive::append).
    ///
    /// # Panics
    ///
    /// Panics with more than 2³² predictions.
    pub fn sample(&self, count: usize, seed: u64) -> Vec<Vec<f64>> {
        self.sample_from(0, count, seed)
    }

    /// As [`sample`](Self::sample), of the predictions from number `first` on: the number of all that came before,
    /// [`len`](Self::len) of each batch. They have the samples that they have in one mixture with those.
    ///
    /// # Panics
    ///
    /// Panics with more than 2³² predictions, those before included.
    pub fn sample_from(&self, first: usize, count: usize, seed: u64) -> Vec<Vec<f64>> {
        check(first, self.len());
        let one = |sample| {
            let predictions = self.components().enumerate();
            let value = |(i, components): (usize, &[C])| {
                let rng = &mut rng(seed, sample, first + i);
                components[index_below(components.len(), rng)].sample(rng)
            };
            predictions.map(value).collect()
        };
        (0..count).map(one).collect()
    }
}

impl CategoricalMixture {
    /// `count` samples of every prediction: `samples[i]` has one class for each example. Sample `i` of `seed` is the
    /// same however many there are.
    ///
    /// The noise of an example follows from its place here: the examples of several batches have noise of their own by
    /// [`sample_from`](Self::sample_from), or together, by
    /// [`append`](super::Predictive::append).
    ///
    /// # Panics
    ///
    /// Panics with more than 2³² predictions.
    pub fn sample(&self, count: usize, seed: u64) -> Vec<Vec<usize>> {
        self.sample_from(0, count, seed)
    }

    /// As [`sample`](Self::sample), of the examples from number `first` on: the number of all that came before. They
    /// have the samples that they have in one mixture with those.
    ///
    /// # Panics
    ///
    /// Panics with more than 2³² predictions, those before included.
    pub fn sample_from(&self, first: usize, count: usize, seed: u64) -> Vec<Vec<usize>> {
        check(first, self.len());
        let class = |sample, example| {
            let probabilities = self.row(example).iter().map(|ln_p| ln_p.exp());
            class_at(
                uniform(&mut rng(seed, sample, first + example)),
                probabilities,
            )
        };
        let one = |sample| {
            (0..self.len())
                .map(|example| class(sample, example))
                .collect()
        };
        (0..count).map(one).collect()
    }
}

fn check(first: usize, predictions: usize) {
    let all = first.checked_add(predictions);
    assert!(
        all.is_some_and(|all| u32::try_from(all).is_ok()),
        "samples are made of at most 2^32 predictions, got {predictions} after {first}"
    );
}
