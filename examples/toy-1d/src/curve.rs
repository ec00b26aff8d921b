//! The data: a curve that is known, seen at a few places.

use blitz_train::blitz_core::noise::NoiseKey;
use burn::tensor::Device;
use example_support::methods::{Rows, column};

/// Where the points lie: two stretches with a gap between them.
pub const STRETCHES: [(f64, f64); 2] = [(-2.6, -1.2), (1.0, 2.6)];
/// What is predicted.
pub const RANGE: (f64, f64) = (-4.0, 4.0);
/// The deviation of the noise.
pub const NOISE: f64 = 0.1;

/// The curve that the points were taken from.
pub fn truth(x: f64) -> f64 {
    (2.0 * x).sin() + 0.3 * x
}

/// Whether a point could have been seen at `x`.
pub fn is_seen(x: f64) -> bool {
    STRETCHES
        .iter()
        .any(|(low, high)| (*low..=*high).contains(&x))
}

/// Whether `x` lies between the stretches.
pub fn is_in_gap(x: f64) -> bool {
    (STRETCHES[0].1..STRETCHES[1].0).contains(&x)
}

/// Points with noise.
#[derive(Debug, Clone)]
pub struct Points {
    /// Where.
    pub x: Vec<f64>,
    /// What was seen there.
    pub y: Vec<f64>,
}

impl Points {
    /// `count` of them, in turn from each stretch, at even distances in an order without meaning; the seed makes the
    /// noise.
    pub fn new(count: usize, seed: u64) -> Self {
        let mut noise = vec![0.0; count];
        NoiseKey::new(seed, 0, 0).fill_standard_normal(0, &mut noise);
        let x: Vec<f64> = (0..count)
            .map(|i| {
                let (low, high) = STRETCHES[i % 2];
                let of = count.div_ceil(2).max(2) - 1;
                low + (high - low) * (i / 2) as f64 / of as f64
            })
            .collect();
        let y = x.iter().zip(noise);
        let y = y.map(|(x, noise)| truth(*x) + NOISE * f64::from(noise));
        Self { y: y.collect(), x }
    }

    /// As pairs.
    pub fn pairs(&self) -> impl Iterator<Item = (f64, f64)> {
        self.x.iter().copied().zip(self.y.iter().copied())
    }

    /// As tensors on a device. They need no scaling.
    pub fn rows(&self, device: &Device) -> Rows {
        Rows {
            inputs: column(&self.x, device),
            targets: column(&self.y, device),
        }
    }
}
