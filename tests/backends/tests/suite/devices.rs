//! The devices that the build can have.

use burn::tensor::Device;

/// Every device but Flex.
#[allow(deprecated, clippy::vec_init_then_push, unused_mut)] // ndarray stays supported here.
pub fn others() -> Vec<Device> {
    let mut devices = Vec::new();
    #[cfg(feature = "ndarray")]
    devices.push(Device::ndarray());
    #[cfg(feature = "wgpu")]
    devices.push(Device::wgpu(burn::tensor::DeviceKind::DefaultDevice));
    devices
}
