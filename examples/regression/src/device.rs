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

/// The device called `name`, or else by `BURN_DEVICE`, or else Burn's choice.
pub fn choose(name: Option<&str>) -> Result<Device, DeviceError> {
    // Burn reads the variable itself, but panics at a name that it doesn't know.
    let variable = || std::env::var("BURN_DEVICE").ok();
    match name.map(str::to_string).or_else(variable) {
        Some(name) => by_name(&name.to_lowercase()),
        None => Ok(Device::default()),
    }
}

/// Defines the table of devices that the build has.
macro_rules! devices {
    ($($feature:literal => $device:expr),* $(,)?) => {
        /// The names of the devices this program was built for.
        pub fn available() -> Vec<&'static str> {
            let all = [$((cfg!(feature = $feature), $feature)),*];
            all.into_iter().filter_map(|(built, name)| built.then_some(name)).collect()
        }

        /// The device called `name`.
        #[allow(deprecated)] // ndarray stays supported here.
        fn by_name(name: &str) -> Result<Device, DeviceError> {
            match name {
                $(
                    #[cfg(feature = $feature)]
                    $feature => Ok($device),
                )*
                other => Err(DeviceError {
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
        let error = by_name("abacus").unwrap_err().to_string();
        assert!(error.contains("`abacus`"), "{error}");
        for name in available() {
            assert!(error.contains(name), "{error}");
        }
    }
}
