//! The devices that are compared with Flex.

use blitz_train::blitz_core::device;
use burn::tensor::Device;

use self::named::named;

// The file finds `device` here.
#[path = "../../../../crates/blitz-core/src/kernels/cube/tests/named.rs"]
mod named;

/// Every device but Flex.
pub fn others() -> Vec<Device> {
    named(is_other)
}

/// Every device but Flex that computes matrix products in a reasonable time: CubeCL's `cpu` does so on many cores
/// alone, where the units of a product, which wait for each other, have one each.
pub fn others_with_products() -> Vec<Device> {
    named(|name| is_other(name) && name != "cpu")
}

/// How far a device's `f32` products may be from Flex's, relative to the size of what comes out. On NVIDIA's GPUs Burn
/// 0.22 computes them in TF32, whose numbers have 11 bits, and nothing turns that off; products of `f64` are not
/// rounded so.
pub fn product_tolerance(device: &Device) -> f64 {
    match device::choose(Some("cuda")).is_ok_and(|cuda| cuda == *device) {
        true => 4.0 * 2f64.powi(-11),
        false => 1e-5,
    }
}

fn is_other(name: &str) -> bool {
    !["flex", "tch", "remote"].contains(&name)
}
