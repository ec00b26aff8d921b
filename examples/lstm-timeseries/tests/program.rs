//! The program from outside, with settings that take a second.

use std::path::Path;
use std::process::{Command, Output};

fn run(out: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lstm-timeseries"))
        .env_remove("BURN_DEVICE")
        .args(["--epochs", "1", "--hidden", "4", "--window", "5"])
        .args(["--predict-samples", "8", "--batch-size", "128"])
        .args(arguments)
        .arg("--out")
        .arg(out)
        .output()
        .expect("the program starts")
}

fn refusal(out: &Path, arguments: &[&str]) -> String {
    let output = run(out, arguments);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    stderr
}

#[test]
fn a_run_reports_its_coverage_and_leaves_a_plot_and_a_model() {
    let out = tempfile::tempdir().unwrap();
    let output = run(out.path(), &["--series", "sunspots", "--json"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let text = String::from_utf8(output.stdout).unwrap();
    let report: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    // 309 years, of which the first 5 have no window, and a fifth of the rest is held out.
    assert_eq!(
        (&report["n_train"], &report["n_test"]),
        (&244.into(), &60.into())
    );
    for share in ["coverage_50", "coverage_80", "coverage_95"] {
        let share = report[share].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&share));
    }
    let plot = std::fs::read(report["plot"].as_str().unwrap()).unwrap();
    assert_eq!(plot[..8], *b"\x89PNG\r\n\x1a\n");
    assert!(out.path().join("1/model.bpk").is_file());
}

#[test]
fn the_same_seed_gives_the_same_report() {
    let report = || {
        let out = tempfile::tempdir().unwrap();
        let output = run(out.path(), &["--series", "sunspots", "--json"]);
        let text = String::from_utf8(output.stdout).unwrap();
        let mut report: serde_json::Value = serde_json::from_str(&text).unwrap();
        for varying in ["seconds", "plot", "model"] {
            report[varying].take();
        }
        report
    };
    assert_eq!(report(), report());
}

#[test]
fn what_cannot_be_forecast_is_refused_with_its_reason() {
    let out = tempfile::tempdir().unwrap();
    let file = out.path().join("series.csv");
    let data = |text: &str| {
        std::fs::write(&file, text).unwrap();
        refusal(out.path(), &["--data", file.to_str().unwrap()])
    };
    assert!(data("1\n2\nx\n").contains("series.csv: line 3: `x` is not a number"));
    assert!(data("").contains("there are no values"));
    assert!(data("1\n2\n3\n").contains("a window of 5 leaves 0 forecasts of the 3 values"));
    let local = refusal(out.path(), &["--estimator", "local"]);
    assert!(local.contains("shared weights or flipout"), "{local}");
    let device = refusal(out.path(), &["--device", "abacus"]);
    assert!(
        device.contains("no device `abacus` in this build"),
        "{device}"
    );
}
