//! Choosing a device by name, variable or default, on a machine with a graphics adapter or without one. A process reads
//! its environment once, so each case runs in a process of its own: this very program, told to run `choice::chooses`
//! alone.

use std::process::Command;

use blitz_train::blitz_core::device;
use burn::tensor::Tensor;

/// What hides the adapters from the Vulkan loader, and OpenGL's from its.
#[cfg(feature = "wgpu")]
const NO_ADAPTER: [(&str, &str); 3] = [
    ("VK_DRIVER_FILES", "/nonexistent.json"),
    ("VK_ICD_FILENAMES", "/nonexistent.json"),
    ("__EGL_VENDOR_LIBRARY_FILENAMES", "/nonexistent.json"),
];

/// The name that the child is to choose by.
const NAME: &str = "BLITZ_TEST_DEVICE_NAME";

#[test]
#[ignore = "the other tests run it, in a process with another environment"]
fn chooses() {
    match device::choose(std::env::var(NAME).ok().as_deref()) {
        Ok(device) => {
            let sum = Tensor::<1>::ones([3], &device).sum().into_scalar::<f64>();
            println!("chose {device:?}, where 1 + 1 + 1 is {sum}");
        }
        Err(error) => println!("refused: {error}"),
    }
}

/// What `choose` answers under this environment, as one line.
fn choice(name: Option<&str>, environment: &[(&str, &str)]) -> String {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child
        .args(["--ignored", "--exact", "choice::chooses", "--nocapture"])
        .env_remove("BURN_DEVICE")
        .env_remove(NAME)
        .envs(environment.iter().copied())
        .envs(name.map(|name| (NAME, name)));
    let output = child.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{errors}");
    assert!(!errors.contains("panicked"), "{errors}");
    let said = |line: &&str| line.contains("chose ") || line.contains("refused: ");
    let line = text.lines().find(said);
    line.unwrap_or_else(|| panic!("{text}{errors}")).to_string()
}

#[test]
fn a_name_chooses_among_several_backends() {
    for name in ["flex", "FLEX", "ndarray"] {
        let line = choice(Some(name), &[]);
        assert!(line.to_lowercase().contains("is 3"), "{line}");
    }
    assert!(choice(Some("flex"), &[]).contains("Flex"));
    assert!(choice(Some("ndarray"), &[]).contains("NdArray"));
}

#[test]
fn the_variable_chooses_when_no_name_does() {
    let line = choice(None, &[("BURN_DEVICE", "ndarray")]);
    assert!(line.contains("NdArray"), "{line}");
    let line = choice(Some("flex"), &[("BURN_DEVICE", "ndarray")]);
    assert!(line.contains("Flex"), "{line}");
}

#[test]
fn an_empty_variable_is_none() {
    let line = choice(None, &[("BURN_DEVICE", "")]);
    assert!(!line.contains("no device is called"), "{line}");
    assert_eq!(line, choice(None, &[]));
    // A name that was given is not replaced by it.
    assert!(choice(Some("flex"), &[("BURN_DEVICE", " ")]).contains("Flex"));
}

#[test]
fn a_bad_variable_is_refused_without_a_panic() {
    let line = choice(None, &[("BURN_DEVICE", "abacus")]);
    assert!(
        line.contains("no device is called `abacus` (asked for by BURN_DEVICE)"),
        "{line}"
    );
    // A name that was given is not disturbed by it.
    let line = choice(Some("flex"), &[("BURN_DEVICE", "abacus")]);
    assert!(line.contains("Flex(Cpu)"), "{line}");
}

#[test]
#[cfg(feature = "wgpu")]
fn a_machine_without_adapter_is_told_from_one_with() {
    let refused = "this machine has no `wgpu` device";
    let line = choice(Some("wgpu"), &NO_ADAPTER);
    assert!(
        line.contains(refused) && line.contains("--device flex"),
        "{line}"
    );
    // Not on the CPU by itself, for all that it could.
    if cfg!(not(feature = "cuda")) {
        let line = choice(None, &NO_ADAPTER);
        assert!(
            line.contains(refused) && line.contains("nobody named a device"),
            "{line}"
        );
    }
    let line = choice(Some("flex"), &NO_ADAPTER);
    assert!(line.contains("Flex(Cpu)"), "{line}");
}

#[test]
#[cfg(feature = "wgpu")]
fn an_adapter_that_is_there_is_chosen() {
    let line = choice(Some("wgpu"), &[]);
    assert!(
        line.contains("chose") && line.contains("Wgpu") && line.contains("is 3"),
        "{line}"
    );
}

#[test]
#[cfg(all(feature = "webgpu", not(target_family = "wasm")))]
fn webgpu_outside_of_a_browser_is_refused() {
    let line = choice(Some("webgpu"), &[]);
    assert!(
        line.contains("this machine has no `webgpu` device"),
        "{line}"
    );
}

#[test]
#[cfg(feature = "cuda")]
fn a_machine_without_nvidia_driver_is_refused_in_a_sentence_or_computes() {
    for (name, asked) in [(Some("cuda"), ""), (None, "nobody named a device")] {
        let line = choice(name, &[]);
        let is_refused = line.contains("no `cuda` device") && line.contains(asked);
        assert!(is_refused || line.contains("is 3"), "{line}");
    }
}

#[test]
#[cfg(feature = "cpu")]
fn cubecls_cpu_is_on_every_machine() {
    let line = choice(Some("cpu"), &[]);
    assert!(line.contains("Cpu") && line.contains("is 3"), "{line}");
}
