//! The program from outside: what it prints, what it refuses, what it leaves in its folder, and how it goes on.
//!
//! Each test starts processes of the real binary with settings that take less than a second.

mod divergence;
mod earlier_runs;
#[cfg(unix)]
mod interrupt;
mod refusals;
mod reports;
mod resuming;
mod splits;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use example_support::program::Program;
use tempfile::TempDir;

const PROGRAM: Program = Program {
    path: env!("CARGO_BIN_EXE_regression"),
    settings: &[
        "--epochs",
        "3",
        "--hidden",
        "8",
        "--predict-samples",
        "20",
        "--batch-size",
        "64",
    ],
};

/// A batch of 64 divides the 455 training rows of a published split into so many steps.
const STEPS_PER_EPOCH: i32 = 8;

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("the program writes UTF-8")
}

/// The lines on standard error of a run that must fail in order.
fn refusal(out: &Path, arguments: &[&str]) -> Vec<String> {
    let stderr = PROGRAM.refusal(out, arguments);
    stderr.lines().map(String::from).collect()
}

/// The only line of such a run.
fn one_line_refusal(out: &Path, arguments: &[&str]) -> String {
    let lines = refusal(out, arguments);
    assert_eq!(lines.len(), 1, "{arguments:?}: {lines:#?}");
    assert!(lines[0].starts_with("regression: "), "{}", lines[0]);
    lines[0].clone()
}

fn assert_has(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "no `{part}` in: {message}");
    }
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// A folder with the settings of a run, by which the program knows it.
fn folder_of_a_run() -> TempDir {
    let out = folder();
    write(
        &out,
        "config.json",
        r#"{"version":"","model":{},"elbo":{},"epochs":1}"#,
    );
    out
}

fn write(folder: &TempDir, name: &str, content: &str) -> String {
    let file = folder.path().join(name);
    std::fs::write(&file, content).expect("a temporary file");
    file.to_str().expect("a UTF-8 path").to_string()
}

/// Every file and folder below `root`, with what it holds.
fn snapshot(root: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(root).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(snapshot(&path));
            found.insert(path, None);
        } else {
            let content = std::fs::read(&path).expect("a file");
            found.insert(path, Some(content));
        }
    }
    found
}

/// A folder that looks like that of an earlier training.
fn used_folder() -> TempDir {
    let out = folder();
    std::fs::create_dir(out.path().join("checkpoint")).unwrap();
    for name in [
        "model.bpk",
        "intervals.png",
        "config.json",
        "checkpoint/model-9.bpk",
    ] {
        write(&out, name, name);
    }
    out
}

/// `y = 2 a`, with a second feature that says nothing.
fn line(rows: usize) -> String {
    let rows = (0..rows).map(|i| format!("{i},{},{}\n", i % 7, 2 * i));
    format!("a,b,y\n{}", rows.collect::<String>())
}

/// Each number is finite, their sum is not.
fn too_large() -> String {
    (0..60)
        .map(|i| format!("{},{i}\n", if i % 2 == 0 { 0.0 } else { 1.5e308 }))
        .collect()
}

fn exists(out: &Path, name: &str) -> bool {
    out.join(name).exists()
}

/// The epochs with a checkpoint, ascending.
fn checkpoints(out: &Path) -> Vec<usize> {
    let names = snapshot(&out.join("checkpoint")).into_keys();
    let mut epochs: Vec<usize> = names
        .filter_map(|path| {
            let name = path.file_name()?.to_str()?.strip_prefix("model-")?;
            name.strip_suffix(".bpk")?.parse().ok()
        })
        .collect();
    epochs.sort_unstable();
    epochs
}

fn remove_checkpoint(out: &Path, epoch: usize) {
    for part in ["model", "optim", "scheduler"] {
        let file = out.join(format!("checkpoint/{part}-{epoch}.bpk"));
        remove_digest(&file);
        std::fs::remove_file(file).unwrap();
    }
}

/// Removes the digest of a file that is to be changed.
fn remove_digest(file: &Path) {
    std::fs::remove_file(file.with_extension("bpk.sha256")).unwrap();
}

// In a record of the model, the tensors stand in the order of their names, each from a multiple of 256 bytes on.
// `steps` comes last, and `likelihood.log_std` first but stored behind the network, just before `steps`.

/// The number of optimizer steps in a record of the model.
fn steps(model: &Path) -> i32 {
    let bytes = std::fs::read(model).expect("a record");
    i32::from_le_bytes(*bytes.last_chunk().expect("4 bytes"))
}

/// Sets ln σ of the noise in a record of the model.
fn set_log_noise(model: &Path, value: f32) {
    let mut bytes = std::fs::read(model).expect("a record");
    let at = bytes.len() - 4 - 256;
    let found = f32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    assert!(
        (found - 0.5f32.ln()).abs() < 0.2,
        "{found} is not ln σ: has Burn's format changed?"
    );
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
    std::fs::write(model, bytes).unwrap();
}
