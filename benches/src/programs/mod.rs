//! The programs that also run on a machine without Rust, from one binary there.

pub mod backends;
pub mod normals;
pub mod workload;

use blitz_train::blitz_core::device;

/// The devices that the command line names; without any, all that the build has.
fn devices() -> Vec<String> {
    let names: Vec<String> = std::env::args().skip(1).collect();
    match names.is_empty() {
        true => device::available()
            .into_iter()
            .map(str::to_string)
            .collect(),
        false => names,
    }
}
