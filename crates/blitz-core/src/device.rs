//! Burn's devices by name, as far as the program was built for them and the machine has them: for a `--device` option.

use std::fmt;

use burn::tensor::Device;

/// Why there is no such device. Each is one sentence that says what to ask for instead.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeviceError {
    /// Burn has no device of this name.
    Unknown {
        /// The name.
        name: String,
        /// Where it is from.
        asked: Asked,
    },
    /// The program was built without the device's feature.
    NotBuilt {
        /// The device, called like the feature.
        name: &'static str,
        /// Who asked for it.
        asked: Asked,
    },
    /// The program was built for the device, but this machine has none.
    Absent {
        /// The device.
        name: &'static str,
        /// What was looked for in vain.
        missing: String,
        /// Who asked for it.
        asked: Asked,
    },
    /// The program was built without any backend.
    NoBackend,
}

/// Who asked for a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Asked {
    /// The caller of [`choose`].
    Caller,
    /// The environment variable `BURN_DEVICE`.
    Variable,
    /// Nobody: it is the first choice of those that the program was built for.
    Nobody,
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Caller => "",
            Self::Variable => " (asked for by BURN_DEVICE)",
            Self::Nobody => " (nobody named a device, and this build's first choice is a GPU)",
        })
    }
}

impl fmt::Display for DeviceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let built = available().join(", ");
        match self {
            Self::Unknown { name, asked } => {
                write!(
                    f,
                    "no device is called `{name}`{asked}; this build has: {built}"
                )
            }
            Self::NotBuilt { name, asked } => write!(
                f,
                "this build has no device `{name}`{asked}, which needs `--features {name}`; it has: {built}"
            ),
            Self::Absent {
                name,
                missing,
                asked,
            } => {
                write!(f, "this machine has no `{name}` device{asked}: {missing}")?;
                match available()
                    .iter()
                    .find(|name| ON_EVERY_MACHINE.contains(name))
                {
                    Some(cpu) => write!(
                        f,
                        "; for the CPU pass --device {cpu} or set BURN_DEVICE={cpu}"
                    ),
                    None => write!(f, "; for the CPU build with `--features flex`"),
                }
            }
            Self::NoBackend => write!(
                f,
                "this build has no device at all: choose a backend, e.g. `--features flex`"
            ),
        }
    }
}

impl std::error::Error for DeviceError {}

/// The device called `name`, or else by the environment variable `BURN_DEVICE` unless that is empty, or else Burn's
/// choice: GPUs before CPUs.
///
/// Names are those of the Cargo features, in any case. Unlike Burn's constructors, which succeed and leave it to the
/// first operation to panic, it asks whether the machine has the device. It never falls back: a program built for a GPU
/// doesn't run on a CPU unless told to. A GPU that is there may still fail later: an old driver, or CUDA without the
/// toolkit's `libdevice`, which kernels with exponentials and the like are linked with.
///
/// `tch` is LibTorch on the CPU. `remote` is the server at `BURN_REMOTE_ADDRESS`, or else `ws://127.0.0.1:3000`.
///
/// # Errors
///
/// If the name is unknown, the program was built without its feature, or the machine has no such device.
///
/// ```
/// use blitz_core::device;
///
/// let error = device::choose(Some("abacus")).unwrap_err();
/// assert!(error.to_string().starts_with("no device is called `abacus`; this build has: "));
/// ```
pub fn choose(name: Option<&str>) -> Result<Device, DeviceError> {
    if let Some(name) = name {
        return by_name(name, Asked::Caller);
    }
    // Set to nothing, as `BURN_DEVICE= program` does, it names no device.
    if let Ok(name) = std::env::var("BURN_DEVICE")
        && !name.trim().is_empty()
    {
        return by_name(&name, Asked::Variable);
    }
    // Not `Device::default()`, which panics without a backend and asks no machine.
    match FIRST_CHOICE.iter().find(|name| is_built(name)) {
        Some(name) => by_name(name, Asked::Nobody),
        None => Err(DeviceError::NoBackend),
    }
}

/// Burn's own order, in which Metal comes before ROCm and other graphics interfaces after it. `metal`, `vulkan` and
/// `webgpu` imply `wgpu`, and Burn's default for them is the device that settles on an interface by itself.
const FIRST_CHOICE: [&str; 8] = if cfg!(feature = "metal") {
    [
        "cuda", "wgpu", "rocm", "cpu", "tch", "flex", "remote", "ndarray",
    ]
} else {
    [
        "cuda", "rocm", "wgpu", "cpu", "tch", "flex", "remote", "ndarray",
    ]
};

/// The devices that need no hardware or driver, the best first.
const ON_EVERY_MACHINE: [&str; 4] = ["flex", "cpu", "ndarray", "tch"];

/// What a graphics device needs.
#[cfg(feature = "wgpu")]
const NO_ADAPTER: &str = "Burn finds no graphics adapter with a driver";

/// The device, if Burn lists any of its kind; Burn asks the drivers for that, and a missing driver is no panic but an
/// empty list.
#[cfg(any(feature = "wgpu", feature = "cuda", feature = "rocm"))]
fn listed(kind: burn::tensor::DeviceType, device: Device, missing: &str) -> Result<Device, String> {
    let found = Device::enumerate(kind).into_vec();
    if found.is_empty() {
        Err(missing.to_string())
    } else {
        Ok(device)
    }
}

/// The server at `BURN_REMOTE_ADDRESS`, connected: Burn's default remote device panics at its first operation if nobody
/// answers.
#[cfg(all(feature = "remote", not(target_family = "wasm")))]
fn remote() -> Result<Device, String> {
    let address = std::env::var("BURN_REMOTE_ADDRESS");
    let address = address.unwrap_or_else(|_| "ws://127.0.0.1:3000".to_string());
    Device::remote_options(&burn::remote::RemoteHost::websocket(&address))
        .init()
        .map_err(|error| format!("no server answers at {address} ({error})"))
}

#[cfg(all(feature = "remote", target_family = "wasm"))]
fn remote() -> Result<Device, String> {
    Err("a browser connects asynchronously, by Burn's `Device::remote_options`".to_string())
}

/// Defines the table of devices: the name of each, which is that of its feature, and how to get it.
macro_rules! devices {
    ($($name:literal => $device:expr),* $(,)?) => {
        /// The names of the devices that the program was built for.
        pub fn available() -> Vec<&'static str> {
            [$($name),*].into_iter().filter(|name| is_built(name)).collect()
        }

        fn is_built(name: &str) -> bool {
            match name {
                $($name => cfg!(feature = $name),)*
                _ => false,
            }
        }

        /// The device called `name`.
        #[allow(deprecated)] // ndarray and tch stay supported here.
        fn by_name(name: &str, asked: Asked) -> Result<Device, DeviceError> {
            let lowercase = name.to_lowercase();
            let (name, device): (_, Result<Device, String>) = match lowercase.as_str() {
                $(
                    #[cfg(feature = $name)]
                    $name => ($name, $device),
                    #[cfg(not(feature = $name))]
                    $name => return Err(DeviceError::NotBuilt { name: $name, asked }),
                )*
                _ => return Err(DeviceError::Unknown { name: name.to_string(), asked }),
            };
            device.map_err(|missing| DeviceError::Absent { name, missing, asked })
        }
    };
}

#[cfg(any(feature = "cuda", feature = "rocm"))]
use burn::tensor::DeviceIndex;
#[cfg(feature = "wgpu")]
use burn::tensor::DeviceKind::DefaultDevice;
#[cfg(any(feature = "wgpu", feature = "cuda", feature = "rocm"))]
use burn::tensor::DeviceType;

devices! {
    "flex" => Ok(Device::flex()),
    "ndarray" => Ok(Device::ndarray()),
    "wgpu" => listed(DeviceType::Wgpu, Device::wgpu(DefaultDevice), NO_ADAPTER),
    "vulkan" => listed(DeviceType::Vulkan, Device::vulkan(DefaultDevice), "Burn finds no adapter with a Vulkan driver"),
    "metal" => listed(DeviceType::Metal, Device::metal(DefaultDevice), "Metal is Apple's"),
    "webgpu" => listed(DeviceType::WebGpu, Device::webgpu(DefaultDevice), "WebGPU is a browser's"),
    "cuda" => listed(DeviceType::Cuda, Device::cuda(DeviceIndex::Default), "Burn finds no NVIDIA GPU with a driver"),
    "rocm" => listed(DeviceType::Rocm, Device::rocm(DeviceIndex::Default), "Burn finds no AMD GPU with the ROCm runtime"),
    "cpu" => Ok(Device::cpu()),
    "tch" => Ok(Device::libtorch()),
    "remote" => remote(),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(name: &str) -> String {
        by_name(name, Asked::Caller).unwrap_err().to_string()
    }

    #[test]
    fn an_unknown_device_says_what_the_build_has() {
        let error = message("abacus");
        assert!(error.contains("`abacus`"), "{error}");
        for name in available() {
            assert!(error.contains(name), "{error}");
        }
    }

    #[test]
    fn names_are_taken_in_any_case() {
        assert_eq!(by_name("Flex", Asked::Caller), Ok(Device::flex()));
    }

    #[test]
    fn a_device_without_its_feature_names_the_feature() {
        for name in [
            "cuda", "rocm", "wgpu", "vulkan", "metal", "webgpu", "cpu", "tch", "remote",
        ] {
            if !is_built(name) {
                let error = message(name);
                assert!(error.contains(&format!("`--features {name}`")), "{error}");
            }
        }
    }

    #[test]
    fn a_message_tells_the_variable_from_the_caller() {
        let error = by_name("abacus", Asked::Variable).unwrap_err();
        assert!(error.to_string().contains("BURN_DEVICE"), "{error}");
        assert!(!message("abacus").contains("BURN_DEVICE"));
    }

    #[test]
    fn an_absent_gpu_says_how_to_ask_for_the_cpu() {
        let error = DeviceError::Absent {
            name: "wgpu",
            missing: "none".to_string(),
            asked: Asked::Nobody,
        };
        let error = error.to_string();
        assert!(error.contains("--device flex"), "{error}");
        assert!(error.contains("nobody named a device"), "{error}");
    }

    #[test]
    fn the_first_choice_is_burns() {
        // Burn's own default panics at a variable that it does not know.
        if std::env::var_os("BURN_DEVICE").is_none() {
            let first = FIRST_CHOICE.into_iter().find(|name| is_built(name));
            match by_name(first.expect("a backend"), Asked::Nobody) {
                Ok(device) => assert_eq!(device, Device::default()),
                Err(error) => assert!(matches!(error, DeviceError::Absent { .. }), "{error}"),
            }
        }
    }
}
