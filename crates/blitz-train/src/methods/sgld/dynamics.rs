//! What Langevin dynamics has with momentum and without: the force of loss and prior, and the noise that makes a
//! posterior of their minimum.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use blitz_layers::blitz_core::Noise;
use blitz_layers::blitz_core::noise::NoiseKey;
use burn::tensor::Tensor;

/// The posterior `exp(−(N · loss(θ) + θ²/(2 s²)) / T)`, and where its noise comes from.
#[derive(Debug, Clone)]
pub(super) struct Dynamics {
    /// N.
    pub dataset_size: usize,
    /// s.
    pub prior_std: f64,
    /// T.
    pub temperature: f64,
    /// The seed of the noise, with the method's constant in it.
    pub seed: u64,
}

impl Dynamics {
    /// Panics with the value if one is out of its range.
    pub fn checked(self, method: &str) -> Self {
        assert!(
            self.dataset_size > 0,
            "{method} needs the size of the data set, got 0"
        );
        assert!(
            self.prior_std.is_finite() && self.prior_std > 0.0,
            "{method}'s prior_std must be a positive, finite number, got {}",
            self.prior_std
        );
        assert!(
            self.temperature.is_finite() && self.temperature >= 0.0,
            "{method}'s temperature must be a finite number of at least 0, got {}",
            self.temperature
        );
        self
    }

    /// `g + θ / (N s²)` for the gradient g of the mean loss.
    pub fn drift<const D: usize>(&self, tensor: &Tensor<D>, grad: Tensor<D>) -> Tensor<D> {
        let decay = 1.0 / (self.dataset_size as f64 * self.prior_std.powi(2));
        grad + tensor.clone() * decay
    }

    /// `√(2 η T / N) ξ` for a rate η, or nothing if that is zero.
    pub fn noise<const D: usize>(
        &self,
        like: &Tensor<D>,
        rate: f64,
        step: u64,
        stream: u32,
    ) -> Option<Tensor<D>> {
        let deviation = (2.0 * rate * self.temperature / self.dataset_size as f64).sqrt();
        let noise = || Noise::new(NoiseKey::new(self.seed, step, stream)).standard_normal(like);
        (deviation > 0.0).then(|| noise() * deviation)
    }
}

/// Numbers for parameters, in the order in which they come.
#[derive(Debug, Clone, Default)]
pub(super) struct Streams(Arc<AtomicU32>);

impl Streams {
    /// That of a parameter that has none yet.
    pub fn next(&self) -> u32 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }

    /// New ones come after this one, of a training that was resumed.
    pub fn has(&self, stream: u32) {
        self.0.fetch_max(stream + 1, Ordering::Relaxed);
    }
}
