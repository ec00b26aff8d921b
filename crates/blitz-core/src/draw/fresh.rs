//! The process-wide stream, for reads outside any draw.

use std::sync::Mutex;

use blitz_noise::{NoiseKey, layout};

/// The process-wide stream that reads outside any draw take their noise from.
struct FreshStream {
    seed: Option<u64>,
    next: u64,
}

static FRESH: Mutex<FreshStream> = Mutex::new(FreshStream {
    seed: None,
    next: 0,
});

/// Seeds the process-wide stream that weights read outside any draw are sampled from, and starts it anew. They are none
/// of the draws of the same seed.
///
/// Unseeded, it starts from the operating system's randomness: in WebAssembly from that of the backend which the
/// program chose for the crate `getrandom`, such as the browser's `crypto.getRandomValues` (its feature `wasm_js`).
/// Without a backend such a program does not compile. Prefer draws with a seed of their own
/// ([`BayesianModule::draw`](crate::BayesianModule::draw)) where threads share a process: this stream is handed out in
/// the order in which threads ask. In the tasks of a pool of threads they are needed, see [`Draw`](crate::Draw).
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

/// A seed that nobody chose.
///
/// # Panics
///
/// Panics if the system has no randomness: any other seed would give the same "fresh" draws in each process.
fn entropy() -> u64 {
    // Not the standard library's `RandomState`, whose keys are constants in WebAssembly.
    getrandom::u64().unwrap_or_else(|error| {
        panic!("weights read outside a draw need a seed, and the system gives none ({error}); set one with `blitz_core::seed`")
    })
}

/// The next key of the process-wide stream, which is no draw of its seed.
pub(super) fn fresh_key() -> NoiseKey {
    let mut fresh = FRESH
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let seed = *fresh.seed.get_or_insert_with(entropy);
    let index = fresh.next;
    fresh.next += 1;
    NoiseKey::new(seed ^ layout::FRESH, index, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_seeds_that_nobody_chose_differ() {
        // One pair in 2⁶⁴ is equal.
        assert_ne!(entropy(), entropy());
    }
}
