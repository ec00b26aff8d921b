//! What the benchmarks share.

mod mlp;
mod training;

pub use mlp::Mlp;
pub use training::Training;
