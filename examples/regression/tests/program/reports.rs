//! What a run prints and leaves.

use std::path::PathBuf;

use serde_json::Value;

use super::{PROGRAM, STEPS_PER_EPOCH, assert_has, folder, folder_of_a_run, steps, text};

#[test]
fn json_run_prints_one_line_and_leaves_plot_model_and_settings() {
    let out = folder();
    let output = PROGRAM.run(out.path(), &["--json", "--seed", "7"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let stdout = text(&output.stdout);
    assert_eq!(stdout.lines().count(), 1, "{stdout}");

    let report: Value = serde_json::from_str(stdout).expect("JSON");
    let figure = |key: &str| {
        report[key]
            .as_f64()
            .unwrap_or_else(|| panic!("{key} in {stdout}"))
    };
    assert_eq!(report["seed"], 7);
    assert_eq!(
        (&report["n_train"], &report["n_test"]),
        (&455.into(), &51.into())
    );
    assert!(figure("rmse") > 0.0 && figure("nll").is_finite() && figure("seconds") > 0.0);
    assert!(0.0 < figure("width_75") && figure("width_75") < figure("width_95"));
    assert!(figure("coverage_75") <= figure("coverage_95") && figure("coverage_95") <= 1.0);

    let path = |key: &str| PathBuf::from(report[key].as_str().expect("a path"));
    assert!(path("plot").starts_with(out.path()) && path("model").starts_with(out.path()));
    let plot = std::fs::read(path("plot")).expect("a plot");
    assert!(plot.starts_with(b"\x89PNG\r\n\x1a\n") && plot.ends_with(b"IEND\xaeB`\x82"));
    assert_eq!(path("model"), out.path().join("model.bpk"));
    assert_eq!(steps(&path("model")), 3 * STEPS_PER_EPOCH);
    let config = std::fs::read(out.path().join("config.json")).expect("settings");
    let config: Value = serde_json::from_slice(&config).expect("JSON");
    assert_eq!(
        (&config["epochs"], &config["elbo"]["seed"]),
        (&3.into(), &7.into())
    );
}

#[test]
fn a_plot_that_cannot_be_written_costs_the_report_nothing() {
    let out = folder_of_a_run();
    let plot = out.path().join("intervals.png");
    std::fs::create_dir(&plot).expect("a folder in the plot's place");
    let report = PROGRAM.report(out.path(), &[]);
    assert!(report["rmse"].as_f64().is_some() && report["plot"].is_null());
    assert_eq!(report["left_out"][0]["name"], "intervals.png");
    let reason = report["left_out"][0]["reason"].as_str().expect("a reason");
    assert_has(reason, &["cannot write the plot", plot.to_str().unwrap()]);
    assert!(out.path().join("model.bpk").is_file());
}

#[test]
fn summary_has_error_intervals_rows_and_paths() {
    let out = folder();
    let output = PROGRAM.run(out.path(), &[]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let summary = text(&output.stdout);
    let line = |start: &str| {
        let found = summary
            .lines()
            .find(|line| line.trim_start().starts_with(start));
        found.unwrap_or_else(|| panic!("no line `{start}` in {summary}"))
    };
    assert!(line("test RMSE").ends_with("thousand dollars"));
    for interval in ["75 % interval", "95 % interval"] {
        assert_has(
            line(interval),
            &[
                "holds",
                "% of the test rows, mean width",
                "thousand dollars",
            ],
        );
    }
    assert_has(
        line("row"),
        &[
            "true",
            "mean",
            "± epistemic",
            "± aleatoric",
            "95 % interval",
        ],
    );
    let rows = summary
        .lines()
        .filter(|line| line.ends_with(" yes") || line.ends_with(" NO"));
    assert!(rows.count() >= 5, "{summary}");
    for (name, file) in [("plot", "intervals.png"), ("model", "model.bpk")] {
        let path = out.path().join(file);
        assert!(path.exists());
        assert!(line(name).ends_with(path.to_str().unwrap()));
    }
    // Progress is no part of the result.
    assert!(!summary.contains("epoch 3/3") && text(&output.stderr).contains("epoch 3/3"));
}

#[test]
fn same_seed_gives_the_same_figures_to_the_bit_and_another_seed_does_not() {
    let figures = |seed| {
        let out = folder();
        let mut report = PROGRAM.report(out.path(), &["--seed", seed]);
        let report = report.as_object_mut().expect("an object");
        for changes in ["seconds", "seconds_per_epoch", "plot", "model"] {
            report.remove(changes).expect("a figure");
        }
        report.clone()
    };
    let first = figures("1");
    assert_eq!(first, figures("1"));
    let other = figures("2");
    for key in ["rmse", "nll", "width_75", "width_95", "rows"] {
        assert_ne!(first[key], other[key], "{key}");
    }
}
