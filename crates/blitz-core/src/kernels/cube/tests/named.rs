//! The devices that the build has and the machine as well, or those named by `BLITZ_TEST_DEVICES`, such as
//! `cuda,vulkan`: for these tests and for those of all backends.

use burn::tensor::Device;

use super::device::{self, DeviceError};

/// Those whose name is meant.
pub fn named(is_meant: impl Fn(&str) -> bool) -> Vec<Device> {
    match std::env::var("BLITZ_TEST_DEVICES") {
        Ok(names) => {
            let choose = |name: &str| device::choose(Some(name)).unwrap();
            let names = names.split(',').filter(|name| is_meant(name));
            names.map(choose).collect()
        }
        Err(_) => {
            let built = device::available().into_iter();
            built
                .filter(|name| is_meant(name))
                .filter_map(if_there)
                .collect()
        }
    }
}

/// A machine need not have such a GPU; any other device it must have.
fn if_there(name: &'static str) -> Option<Device> {
    match device::choose(Some(name)) {
        Ok(device) => Some(device),
        Err(error @ DeviceError::Absent { .. }) if ["cuda", "rocm"].contains(&name) => {
            println!("{error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}
