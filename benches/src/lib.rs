//! What the benchmarks share.

mod memory;
mod net;
pub mod programs;
mod timing;
mod training;
mod workload;

pub use memory::{Counting, resident};
pub use net::{Input, Layers, LeNet, Net};
pub use timing::{NO_ROUNDS, median, timed};
pub use training::Training;
pub use workload::{LabeledBatch, Shape, Target, WORKLOADS, Workload};
