//! Burn's devices by name, as far as the program was built for them: for a `--device` option.

use burn::tensor::Device;

/// The program was not built for a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceError {
    asked: String,
}

impl std::fmt::Display for DeviceError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "no device `{}` in this build; it has: {} (others need --features, e.g. --features wgpu)",
            self.asked,
            available().join(", ")
        )
    }
}

impl std::error::Error for DeviceError {}

/// The device called `name`, or else by the environment variable `BURN_DEVICE`, or else Burn's choice: GPUs before CPUs.
///
/// Names are those of the Cargo features, in any case. Burn reads the variable itself as well, but panics at a name that it
/// doesn't know.
///
/// # Errors
///
/// If the name is unknown, or the program was built without its feature.
///
/// ```
/// use blitz_core::device;
///
/// let error = device::choose(Some("abacus")).unwrap_err();
/// assert!(error.to_string().starts_with("no device `abacus` in this build; it has: "));
/// ```
pub fn choose(name: Option<&str>) -> Result<Device, DeviceError> {
    let variable = || std::env::var("BURN_DEVICE").ok();
    match name.map(str::to_string).or_else(variable) {
        Some(name) => by_name(&name.to_lowercase()),
        None => Ok(Device::default()),
    }
}

/// Defines the table of devices that the build has.
macro_rules! devices {
    ($($feature:literal => $device:expr),* $(,)?) => {
        /// The names of the devices that the program was built for.
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
