//! The programs that also run on a machine without Rust, from one binary there.

pub mod backends;
pub mod normals;
pub mod workload;
