//! The program as a user meets it: its output, its errors, and what it leaves behind. Names are claims.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

const SMALL: [&str; 8] = [
    "--epochs",
    "3",
    "--hidden",
    "8",
    "--predict-samples",
    "20",
    "--batch-size",
    "64",
];

fn command(out: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_regression"));
    command.args(SMALL).arg("--out").arg(out).args(arguments);
    command
}

fn run(out: &Path, arguments: &[&str]) -> Output {
    // Of a repeated option the last wins: the small settings come first.
    command(out, arguments)
        .output()
        .expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", text(&output.stderr));
    let stdout = text(&output.stdout);
    serde_json::from_str(stdout.lines().last().expect("a last line")).expect("JSON")
}

/// The error's one line; panics if it was a panic, or success.
fn error(out: &Path, arguments: &[&str]) -> String {
    let output = run(out, arguments);
    let stderr = text(&output.stderr);
    assert!(!output.status.success(), "{arguments:?} succeeded");
    assert!(!stderr.contains("panicked at"), "{stderr}");
    stderr
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn csv(folder: &TempDir, text: &str) -> String {
    let file = folder.path().join("table.csv");
    std::fs::write(&file, text).expect("a file");
    file.to_string_lossy().into_owned()
}

#[test]
fn json_is_all_of_standard_output_and_the_files_it_names_exist() {
    let out = folder();
    let output = run(out.path(), &["--json"]);
    let report = json(&output);
    assert_eq!(text(&output.stdout).lines().count(), 1);
    for key in [
        "rmse",
        "nll",
        "coverage_75",
        "coverage_95",
        "width_95",
        "seconds",
        "seed",
    ] {
        assert!(report[key].is_number(), "{key} in {report}");
    }
    let plot = std::fs::read(report["plot"].as_str().unwrap()).expect("a plot");
    assert_eq!(&plot[..8], b"\x89PNG\r\n\x1a\n");
    assert!(Path::new(report["model"].as_str().unwrap()).exists());
    assert!(out.path().join("config.json").exists());
}

#[test]
fn the_summary_has_units_intervals_houses_and_paths() {
    let out = folder();
    let output = run(out.path(), &[]);
    let summary = text(&output.stdout);
    for part in [
        "thousand dollars",
        "nats per point",
        "75 % interval",
        "95 % interval",
        "± epistemic",
    ] {
        assert!(summary.contains(part), "{part} in {summary}");
    }
    assert!(
        summary.contains("intervals.png") && summary.contains("model.bpk"),
        "{summary}"
    );
    assert!(text(&output.stderr).contains("epoch 3/3"));
}

#[test]
fn a_seed_gives_the_same_figures_to_the_bit_in_another_process() {
    let figures = |seed| {
        let out = folder();
        let report = json(&run(out.path(), &["--json", "--seed", seed]));
        ["rmse", "nll", "width_75", "width_95"].map(|key| report[key].as_f64().unwrap())
    };
    assert_eq!(figures("1"), figures("1"));
    assert_ne!(figures("1"), figures("2"));
}

#[test]
fn a_bad_table_is_refused_by_row_and_column_before_anything_is_written() {
    let tables = folder();
    for (table, parts) in [
        ("", vec!["no row of data"]),
        ("a,b,y\n", vec!["no row of data"]),
        ("y\n1\n2\n", vec!["1 column"]),
        (
            "a,b,y\n1,2,3\n1,six,3\n",
            vec!["line 3", "column 2", "(b)", "`six`"],
        ),
        ("a,b,y\n1,2,3\n1,,3\n", vec!["line 3", "column 2", "(b)"]),
        ("a,b,y\n1,2,3\n1,2\n", vec!["line 3", "2 cells"]),
        ("a,b,y\n1,2,3\n1,2,inf\n", vec!["line 3", "column 3"]),
    ] {
        let out = folder();
        let message = error(out.path(), &["--data", &csv(&tables, table)]);
        for part in parts {
            assert!(message.contains(part), "{part} in {message}");
        }
        assert_eq!(std::fs::read_dir(out.path()).unwrap().count(), 0);
    }
    let message = error(tables.path(), &["--data", "nowhere.csv"]);
    assert!(message.contains("nowhere.csv"), "{message}");
}

#[test]
fn a_bad_setting_is_refused_with_its_value() {
    let out = folder();
    for (arguments, part) in [
        (["--device", "abacus"], "abacus"),
        (["--samples", "0"], "'0'"),
        (["--samples", "70000"], "70000"),
        (["--lr", "2"], "'2'"),
        (["--beta", "-1"], "'-1'"),
        (["--split", "20"], "20"),
    ] {
        let message = error(out.path(), &arguments);
        assert!(message.contains(part), "{part} in {message}");
    }
    let message = error(out.path(), &["--device", "abacus"]);
    assert!(message.contains("flex"), "{message}");
}

#[test]
fn an_output_folder_that_cannot_be_written_is_named() {
    let out = folder();
    std::fs::write(out.path().join("file"), "").unwrap();
    let below = out.path().join("file").join("runs");
    let message = error(&below, &[]);
    assert!(message.contains("file/runs"), "{message}");
}

#[test]
fn a_loss_that_is_not_finite_ends_with_its_epoch_and_step_and_without_a_model() {
    let out = folder();
    let message = error(out.path(), &["--initial-std", "1e20"]);
    assert!(
        message.contains("epoch 1, step 1 is not finite"),
        "{message}"
    );
    assert!(!out.path().join("model.bpk").exists());
}

#[test]
fn resuming_needs_a_checkpoint_and_the_same_settings() {
    let out = folder();
    let message = error(out.path(), &["--resume"]);
    assert!(message.contains("no checkpoint"), "{message}");

    json(&run(out.path(), &["--json"]));
    let model = std::fs::read(out.path().join("model.bpk")).unwrap();
    let message = error(out.path(), &["--resume", "--lr", "0.5"]);
    assert!(message.contains("other settings"), "{message}");
    assert_eq!(model, std::fs::read(out.path().join("model.bpk")).unwrap());
    // The finished training itself reports again.
    json(&run(out.path(), &["--resume", "--json"]));
}

/// The last epoch with a complete checkpoint, or 0.
fn last_epoch(out: &Path) -> u32 {
    let Ok(entries) = std::fs::read_dir(out.join("checkpoint")) else {
        return 0;
    };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let epochs = names.filter_map(|name| {
        let epoch = name.strip_prefix("scheduler-")?.strip_suffix(".bpk")?;
        epoch.parse().ok()
    });
    epochs.max().unwrap_or(0)
}

/// Runs until a checkpoint behind `epoch` is there, then sends what Ctrl-C sends; returns the exit code and the errors.
fn interrupt_behind(epoch: u32, out: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let child = command(out, arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let started = std::time::Instant::now();
    while last_epoch(out) <= epoch && started.elapsed().as_secs() < 60 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let id = child.id().to_string();
    let kill = Command::new("kill").args(["-INT", &id]).status();
    assert!(kill.expect("kill runs").success());
    let output = child.wait_with_output().expect("the program ends");
    (output.status.code(), text(&output.stderr))
}

#[test]
fn ctrl_c_leaves_whole_checkpoints_that_resume() {
    let out = folder();
    let long = ["--epochs", "100000", "--hidden", "4", "--json"];
    let (code, message) = interrupt_behind(1, out.path(), &long);
    assert_eq!(code, Some(130), "{message}");
    assert!(message.contains("go on with --resume"), "{message}");
    let first = last_epoch(out.path());

    // It loads, trains on behind it, and stops in order again.
    let resume = [&long[..], &["--resume"]].concat();
    let (code, message) = interrupt_behind(first, out.path(), &resume);
    assert_eq!(code, Some(130), "{message}");
    assert!(last_epoch(out.path()) > first);
}

#[test]
fn a_new_training_in_an_old_folder_puts_the_checkpoints_aside() {
    let out = folder();
    json(&run(out.path(), &["--json"]));
    let old = std::fs::read(out.path().join("checkpoint/model-3.bpk")).unwrap();
    json(&run(out.path(), &["--json", "--seed", "7"]));
    let kept = std::fs::read(out.path().join("checkpoint.previous/model-3.bpk")).unwrap();
    assert_eq!(old, kept);
}

#[test]
fn all_splits_of_a_file_are_averaged() {
    let tables = folder();
    let rows: String = (0..30)
        .map(|i| format!("{i},{},{}\n", i % 7, 2 * i))
        .collect();
    let data = csv(&tables, &rows);
    let splits = tables.path().join("splits.txt");
    std::fs::write(&splits, "0 5 9\n1 2 20\n").unwrap();
    let splits = splits.to_string_lossy().into_owned();
    let arguments = [
        "--data",
        &data,
        "--splits-file",
        &splits,
        "--split",
        "all",
        "--json",
    ];
    let summary = json(&run(tables.path(), &arguments));
    assert_eq!(summary["splits"], 2);
    let rmse = |k: usize| summary["reports"][k]["rmse"].as_f64().unwrap();
    let mean = summary["rmse"]["mean"].as_f64().unwrap();
    assert!((mean - (rmse(0) + rmse(1)) / 2.0).abs() < 1e-9);
}
