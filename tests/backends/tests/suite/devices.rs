//! The devices that the build has and the machine as well, or those named by `BLITZ_TEST_DEVICES`, such as `cuda,vulkan`.

use blitz_train::blitz_core::device::{self, DeviceError};
use burn::tensor::Device;

/// Every device but Flex.
pub fn others() -> Vec<Device> {
    named(is_other)
}

/// Every device but Flex that computes matrix products in a reasonable time: CubeCL's `cpu` does so on many cores alone, where the units of
/// a product, which wait for each other, have one each.
pub fn others_with_products() -> Vec<Device> {
    named(|name| is_other(name) && name != "cpu")
}

/// How far a device's `f32` products may be from Flex's, relative to the size of what comes out. On NVIDIA's GPUs Burn 0.22 computes them in TF32, whose
/// numbers have 11 bits, and nothing turns that off; products of `f64` are not rounded so.
pub fn product_tolerance(device: &Device) -> f64 {
    match device::choose(Some("cuda")).is_ok_and(|cuda| cuda == *device) {
        true => 4.0 * 2f64.powi(-11),
        false => 1e-5,
    }
}

fn is_other(name: &str) -> bool {
    !["flex", "tch", "remote"].contains(&name)
}

fn named(is_meant: impl Fn(&str) -> bool) -> Vec<Device> {
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
