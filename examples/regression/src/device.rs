//! The device by its name, as far as this program was built for it.

use burn::tensor::Device;
use thiserror::Error;

/// The program was not built for a device.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "no device `{asked}` in this build; it has: {available} (others need --features, e.g. --features wgpu)"
)]
pub struct DeviceError {
    asked: String,
    available: String,
}

/// Defines the table of devices that the build has.
macro_rules! devices {
    ($($feature:literal => $device:expr),* $(,)?) => {
        /// The names of the devices this program was built for.
        pub fn available() -> Vec<&'static str> {
            let all = [$((cfg!(feature = $feature), $feature)),*];
            all.into_iter().filter_map(|(built, name)| built.then_some(name)).collect()
        }

        /// The device called `name`, or without a name Burn's choice.
        #[allow(deprecated)] // ndarray stays supported here.
        pub fn by_name(name: Option<&str>) -> Result<Device, DeviceError> {
            match name {
                None => Ok(Device::default()),
                $(
                    #[cfg(feature = $feature)]
                    Some($feature) => Ok($device),
                )*
                Some(other) => Err(DeviceError {
                    asked: other.to_string(),
                    available: available().join(", "),
                }),
            }
        }
    };
}

devices! {
    "flex" => Device::flex(),
    "ndarray" => Device::ndarray(),
    "wgpu" => Device::wgpu(burn::tensor::DeviceKind::DefaultDevice),
    "vulkan" => Device::vulkan(burn::tensor::DeviceKind::DefaultDevice),
    "metal" => Device::metal(burn::tensor::DeviceKind::DefaultDevice),
    "cuda" => Device::cuda(burn::tensor::DeviceIndex::Default),
    "rocm" => Device::rocm(burn::tensor::DeviceIndex::Default),
    "cpu" => Device::cpu(),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_device_says_what_the_build_has() {
        let error = by_name(Some("abacus")).unwrap_err().to_string();
        assert!(error.contains("`abacus`"), "{error}");
        for name in available() {
            assert!(error.contains(name), "{error}");
        }
    }
}
