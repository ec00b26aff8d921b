//! The process-wide stream, for reads outside any draw.

use std::sync::Mutex;

use blitz_noise::NoiseKey;

/// The process-wide stream that reads outside any draw take their noise from.
struct FreshStream {
    seed: Option<u64>,
    next: u64,
}

static FRESH: Mutex<FreshStream> = Mutex::new(FreshStream {
    seed: None,
    next: 0,
});

/// Seeds the process-wide stream that weights read outside any draw are sampled from, and starts it anew.
///
/// Unseeded, it starts from the operating system's randomness. Prefer draws with a seed of their own
/// ([`BayesianModule::draw`](crate::BayesianModule::draw)) where threads share a process: this stream is handed out in the
/// order in which threads ask.
///
/// ```standalone_crate
/// use blitz_core::prelude::*;
/// use burn::nn::LinearConfig;
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let net = LinearConfig::new(2, 2).init(&device).bayesianize(&BayesianizeConfig::new());
/// let x = Tensor::<2>::ones([1, 2], &device);
/// blitz_core::seed(42);
/// let (first, second) = (net.forward(x.clone()), net.forward(x.clone()));
/// blitz_core::seed(42);
/// assert_eq!(net.forward(x.clone()).into_data(), first.clone().into_data());
/// net.kl_cost(); // in closed form: takes nothing from the stream
/// assert_eq!(net.forward(x).into_data(), second.clone().into_data());
/// assert_ne!(first.into_data(), second.into_data());
/// ```
pub fn seed(seed: u64) {
    let mut fresh = FRESH
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    *fresh = FreshStream {
        seed: Some(seed),
        next: 0,
    };
}

/// The next key of the process-wide stream.
pub(super) fn fresh_key() -> NoiseKey {
    use std::hash::{BuildHasher, Hasher, RandomState};

    let mut fresh = FRESH
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let seed = *fresh
        .seed
        .get_or_insert_with(|| RandomState::new().build_hasher().finish());
    let index = fresh.next;
    fresh.next += 1;
    NoiseKey::new(seed, index, 0)
}
