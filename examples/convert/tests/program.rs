//! The program from outside, with settings that take a few seconds.

use std::path::Path;
use std::process::{Command, Output};

fn run(out: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_convert"))
        .env_remove("BURN_DEVICE")
        .args(["--limit", "100", "--epochs", "2", "--fine-tune", "1"])
        .args(["--predict-samples", "2", "--json"])
        .args(arguments)
        .arg("--out")
        .arg(out)
        .output()
        .expect("the program starts")
}

fn report(out: &Path, arguments: &[&str]) -> serde_json::Value {
    let output = run(out, arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let text = String::from_utf8(output.stdout).unwrap();
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

#[test]
fn a_run_compares_five_networks_and_its_own_checkpoint_can_be_converted_again() {
    let out = tempfile::tempdir().unwrap();
    let first = report(out.path(), &[]);
    assert_eq!(first["rows"].as_array().unwrap().len(), 5);
    let plot = std::fs::read(first["plot"].as_str().unwrap()).unwrap();
    assert_eq!(plot[..8], *b"\x89PNG\r\n\x1a\n");

    let checkpoint = out.path().join("1/deterministic.bpk");
    let again = report(out.path(), &["--checkpoint", checkpoint.to_str().unwrap()]);
    // The same deterministic network, so the same scores; and the same draws of what MOPED made of it.
    assert_eq!(first["rows"][0], again["rows"][0]);
    assert_eq!(first["rows"][1], again["rows"][1]);
    assert!(out.path().join("2/model.bpk").is_file());
}

#[test]
fn a_checkpoint_that_does_not_fit_is_named() {
    let out = tempfile::tempdir().unwrap();
    let path = |name: &str| out.path().join(name).to_str().unwrap().to_string();
    std::fs::write(path("broken.bpk"), "nothing").unwrap();
    std::fs::write(path("broken.safetensors"), "nothing").unwrap();
    std::fs::write(path("broken.pt"), "nothing").unwrap();
    std::fs::write(path("weights.onnx"), "nothing").unwrap();
    for (name, reason) in [
        ("missing.bpk", "there is no such file"),
        ("broken.bpk", ""),
        ("broken.safetensors", ""),
        ("broken.pt", ""),
        ("weights.onnx", "ends in .bpk, .safetensors or .pt"),
    ] {
        let output = run(out.path(), &["--checkpoint", &path(name)]);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(name) && stderr.contains(reason), "{stderr}");
        assert!(!stderr.contains("panicked"), "{stderr}");
    }
}
