//! Standard normals that are a pure function of where they stand.
//!
//! [`NoiseKey`] names a stream of noise by `(seed, index, stream)`; element `e` of it is always the same
//! `f32`, whoever asks, in whatever order, on how many threads and on which CPU. Nothing is stored, so a
//! backward pass makes the noise of its forward pass again instead of keeping it.
//!
//! [`layout`] says which seeds, indices and streams belong to whom, so that no two who draw ever meet.
//!
//! No tensors here: `blitz-core` makes tensors of this noise, `blitz-predict` samples its predictive distributions with
//! it.

pub mod layout;

mod key;
mod philox;
mod rng;
#[cfg(test)]
mod tests;

// For the fused kernels of blitz-core, which run the same loops over other arithmetic, on CPUs and devices.
#[doc(hidden)]
pub mod coefficients;
#[doc(hidden)]
pub mod fill;
#[doc(hidden)]
pub mod normal;
#[doc(hidden)]
pub mod simd;

// For the crates of blitz, which all have densities of normals.
#[doc(hidden)]
pub mod density;

pub use key::{NoiseKey, STREAM_LEN};
pub use philox::philox4x32_10;
pub use rng::PhiloxRng;

/// The code of the crate's README, compiled and run as a documentation test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
