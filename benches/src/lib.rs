//! What the benchmarks share.

mod memory;
mod net;
mod training;
mod workload;

pub use memory::{Counting, resident};
pub use net::{Input, Layers, LeNet, Net};
pub use training::Training;
pub use workload::{Batch, Shape, Target, WORKLOADS, Workload};
