//! The program from outside: what it prints, what it refuses, what it leaves in its folder, and how it goes on.
//!
//! Each test starts processes of the real binary with settings that take less than a second.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use example_support::program::Program;
use serde_json::Value;
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

// In a record of the model, the tensors stand in the order of their names, each from a multiple of 256 bytes on. `steps`
// comes last, and `likelihood.log_std` first but stored behind the network, just before `steps`.

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

#[test]
fn malformed_table_is_refused_by_line_and_column_and_the_folder_stays_as_it_was() {
    let (tables, out) = (folder(), used_folder());
    let before = snapshot(out.path());
    for (table, parts) in [
        ("", &["no row of data"] as &[&str]),
        ("\n\n", &["no row of data"]),
        ("a,b,y\n", &["no row of data"]),
        ("y\n1\n2\n", &["line 1", "1 column"]),
        (
            "a,b,y\n1,2,3\n1,six,3\n",
            &["line 3", "column 2 (b)", "`six`"],
        ),
        ("1,2,4\n1,2,3$\n", &["line 2", "column 3", "`3$`"]),
        ("a,b,y\n1,2,3\n1,,3\n", &["line 3", "column 2 (b)", "empty"]),
        ("a,b,y\n1,2,3\n1,2\n", &["line 3", "2 cells", "has 3"]),
        ("a,b,y\n1,2,3,4\n", &["line 2", "4 cells", "has 3"]),
        (
            "a,b,y\n1,2,NaN\n",
            &["line 2", "column 3 (y)", "`NaN`", "not a finite number"],
        ),
    ] {
        let file = write(&tables, "houses.csv", table);
        let message = one_line_refusal(out.path(), &["--data", &file]);
        assert_has(&message, parts);
        assert_has(&message, &[&file]);
    }
    let missing = tables.path().join("nowhere.csv");
    let missing = missing.to_str().unwrap();
    assert_has(
        &one_line_refusal(out.path(), &["--data", missing]),
        &[missing],
    );
    assert_eq!(before, snapshot(out.path()));
}

#[test]
fn setting_out_of_range_is_refused_by_name_and_value_and_the_folder_stays_as_it_was() {
    let out = used_folder();
    let before = snapshot(out.path());
    for arguments in [
        ["--samples", "0"],
        ["--epochs", "0"],
        ["--hidden", "0"],
        ["--batch-size", "0"],
        ["--predict-samples", "0"],
        ["--lr", "-1"],
        ["--lr", "0"],
        ["--lr", "2"],
        ["--lr", "NaN"],
        ["--lr", "fast"],
        ["--seed", "1.5"],
        ["--split", "first"],
    ] {
        let [option, value] = arguments;
        let lines = refusal(out.path(), &arguments);
        assert_has(&lines[0], &[option, &format!("'{value}'")]);
    }
    let message = one_line_refusal(out.path(), &["--hidden", "10000000"]);
    assert_has(&message, &["140000000 weights", "100000000"]);
    let tables = folder();
    // A tenth of the rows is tested.
    let data = write(&tables, "long.csv", &line(2000));
    let draws = ["--data", &data, "--predict-samples", "1000000"];
    let message = one_line_refusal(out.path(), &draws);
    assert_has(&message, &["1000000 draws of 200 numbers", "200000000"]);
    let message = one_line_refusal(out.path(), &["--samples", "65536"]);
    assert_has(&message, &["samples", "65536", "65535"]);
    assert_eq!(before, snapshot(out.path()));
}

#[test]
fn split_that_does_not_exist_is_refused_by_its_number() {
    let (tables, out) = (folder(), used_folder());
    let before = snapshot(out.path());
    let message = one_line_refusal(out.path(), &["--split", "20"]);
    assert_has(&message, &["no split 20", "20 splits"]);

    let data = write(&tables, "line.csv", &line(20));
    for (splits, choice, parts) in [
        ("0 1\n2\n", "2", &["2 splits", "no split 2"] as &[&str]),
        ("0 1\n2 20\n", "1", &["line 2", "no row 20", "20 rows"]),
        ("0 one\n", "0", &["line 1", "`one`"]),
        ("3 3\n", "0", &["line 1", "row 3", "twice"]),
        ("0 1\n2 20\n", "all", &["line 2", "no row 20"]),
        ("", "all", &["0 splits"]),
    ] {
        let file = write(&tables, "splits.txt", splits);
        let arguments = ["--data", &data, "--splits-file", &file, "--split", choice];
        let message = one_line_refusal(out.path(), &arguments);
        assert_has(&message, parts);
        assert_has(&message, &[&file]);
    }
    let message = one_line_refusal(out.path(), &["--data", &data, "--split", "all"]);
    assert_has(&message, &["`--split all`", "--splits-file"]);
    assert_eq!(before, snapshot(out.path()));
}

#[test]
fn unknown_device_is_refused_with_those_compiled_in() {
    let out = used_folder();
    let before = snapshot(out.path());
    let message = one_line_refusal(out.path(), &["--device", "abacus"]);
    assert_has(&message, &["`abacus`"]);
    if cfg!(feature = "flex") {
        assert_has(&message, &["flex"]);
    }
    assert_eq!(before, snapshot(out.path()));
}

#[test]
fn folder_that_cannot_be_made_is_named_and_what_is_in_its_way_is_kept() {
    let parent = folder();
    let file = PathBuf::from(write(&parent, "file", "kept"));
    for out in [file.clone(), file.join("runs"), file.join("runs/deep")] {
        let message = one_line_refusal(&out, &[]);
        assert_has(&message, &["cannot write", out.to_str().unwrap()]);
    }
    assert_eq!(std::fs::read(file).unwrap(), b"kept");
    assert_eq!(snapshot(parent.path()).len(), 1);
}

#[test]
fn model_that_cannot_be_written_is_named() {
    let out = folder_of_a_run();
    std::fs::create_dir(out.path().join("model.bpk")).unwrap();
    let lines = refusal(out.path(), &[]);
    let message = lines.last().expect("a message");
    assert!(message.starts_with("regression: cannot "), "{message}");
    assert_has(message, &[out.path().to_str().unwrap(), "model.bpk"]);
}

#[test]
fn resuming_without_a_checkpoint_is_refused() {
    let out = folder();
    let message = one_line_refusal(out.path(), &["--resume"]);
    assert_has(&message, &["no checkpoint", out.path().to_str().unwrap()]);
    // One of which only the model was saved is none.
    std::fs::create_dir(out.path().join("checkpoint")).unwrap();
    write(&out, "checkpoint/model-1.bpk", "");
    let before = snapshot(out.path());
    assert_has(
        &one_line_refusal(out.path(), &["--resume"]),
        &["no checkpoint"],
    );
    assert_eq!(before, snapshot(out.path()));
}

#[test]
fn resuming_with_any_other_setting_is_refused_and_changes_nothing() {
    let (tables, out) = (folder(), folder());
    let data = write(&tables, "line.csv", &line(40));
    PROGRAM.report(out.path(), &[]);
    let before = snapshot(out.path());
    for other in [
        ["--epochs", "2"],
        ["--samples", "2"],
        ["--hidden", "9"],
        ["--batch-size", "65"],
        ["--lr", "0.5"],
        ["--seed", "43"],
        ["--split", "1"],
        ["--data", &data],
    ] {
        let message = one_line_refusal(out.path(), &[&other[..], &["--resume"]].concat());
        assert_has(&message, &["other settings", out.path().to_str().unwrap()]);
        assert_eq!(before, snapshot(out.path()), "{other:?}");
    }
    std::fs::write(out.path().join("config.json"), "{").unwrap();
    let message = one_line_refusal(out.path(), &["--resume"]);
    assert_has(&message, &["cannot read", "config.json"]);
}

#[test]
fn checkpoints_outlive_their_settings() {
    let out = folder();
    let first = PROGRAM.report(out.path(), &[]);
    let config = out.path().join("config.json");
    let settings = std::fs::read(&config).unwrap();
    // As a loss of power leaves a file that no program waited for.
    std::fs::write(&config, "").unwrap();
    let message = one_line_refusal(out.path(), &["--resume"]);
    assert_has(&message, &["config.json", "remove the file, and --resume"]);
    std::fs::remove_file(&config).unwrap();
    let output = PROGRAM.run(out.path(), &["--resume", "--json"]);
    let stderr = text(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert_has(stderr, &["there is no", "config.json", "is not known"]);
    let again: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(first["rmse"], again["rmse"]);
    assert_eq!(std::fs::read(&config).unwrap(), settings);
}

#[test]
fn resuming_with_rows_of_the_same_means_and_deviations_is_refused() {
    let (tables, out) = (folder(), folder());
    let rows = line(40);
    let data = write(&tables, "line.csv", &rows);
    let splits = write(&tables, "splits.txt", "0 1\n");
    let arguments = ["--data", &data, "--splits-file", &splits];
    PROGRAM.report(out.path(), &arguments);
    let resumed = [&arguments[..], &["--resume"]].concat();
    PROGRAM.report(out.path(), &resumed);

    // The targets of two test rows trade places: no scaling changes, nor which rows test.
    let swapped = rows.replacen("0,0,0\n1,1,2\n", "0,0,2\n1,1,0\n", 1);
    assert_ne!(rows, swapped);
    write(&tables, "line.csv", &swapped);
    assert_has(
        &one_line_refusal(out.path(), &resumed),
        &["other settings or rows"],
    );
    write(&tables, "line.csv", &rows);
    PROGRAM.report(out.path(), &resumed);
}

#[test]
fn a_training_of_before_rows_had_a_digest_goes_on_and_says_so() {
    let out = folder();
    PROGRAM.report(out.path(), &[]);
    let file = out.path().join("config.json");
    let config = std::fs::read(&file).unwrap();
    let mut config: Value = serde_json::from_slice(&config).unwrap();
    config.as_object_mut().unwrap().remove("rows").unwrap();
    std::fs::write(&file, config.to_string()).unwrap();
    let output = PROGRAM.run(out.path(), &["--resume"]);
    let stderr = text(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert_has(stderr, &[file.to_str().unwrap(), "no digest of the rows"]);
}

#[test]
fn a_finished_training_goes_on_with_more_epochs_and_then_knows_them() {
    let out = folder();
    PROGRAM.report(out.path(), &[]);
    let longer = PROGRAM.report(out.path(), &["--epochs", "5", "--resume"]);
    assert_eq!(longer["epochs"], 5, "{longer}");
    assert_eq!(longer["epochs_run"], 2, "{longer}");
    assert_eq!(steps(&out.path().join("model.bpk")), 5 * STEPS_PER_EPOCH);
    let config = std::fs::read(out.path().join("config.json")).expect("settings");
    let config: Value = serde_json::from_slice(&config).expect("JSON");
    assert_eq!(config["epochs"], 5);
    // The first plan is now the shorter one.
    assert_has(
        &one_line_refusal(out.path(), &["--resume"]),
        &["other settings"],
    );
    let again = PROGRAM.report(out.path(), &["--epochs", "5", "--resume"]);
    assert_eq!(longer["rmse"], again["rmse"]);
    assert_eq!(again["epochs_run"], 0, "{again}");
    assert!(again["seconds_per_epoch"].is_null(), "{again}");
}

#[test]
fn resuming_a_finished_training_reports_the_same_again() {
    let out = folder();
    let first = PROGRAM.report(out.path(), &[]);
    let again = PROGRAM.report(out.path(), &["--resume"]);
    for key in [
        "rmse",
        "nll",
        "coverage_95",
        "width_75",
        "width_95",
        "rows",
        "epochs",
    ] {
        assert_eq!(first[key], again[key], "{key}");
    }
    assert_eq!(steps(&out.path().join("model.bpk")), 3 * STEPS_PER_EPOCH);
    assert!(exists(out.path(), "intervals.png"));
}

#[test]
fn training_resumed_from_an_epoch_ends_where_the_uninterrupted_one_did() {
    // All rows in one batch: which row goes into which batch is drawn anew when a training resumes. A large rate, so that
    // the last step counts.
    let settings = ["--epochs", "3", "--batch-size", "455", "--lr", "0.5"];
    let out = folder();
    let straight = PROGRAM.report(out.path(), &settings);
    remove_checkpoint(out.path(), 3);
    assert_eq!(checkpoints(out.path()), [2]);
    let resumed = PROGRAM.report(out.path(), &[&settings[..], &["--resume"]].concat());
    assert_eq!(steps(&out.path().join("model.bpk")), 3);
    // The order of the sums over a batch moves the figures by 1e-8 of their size, draws that begin again by 1e-3 (the
    // RMSE) and an optimizer that forgot its moments by 4e-2.
    for key in ["rmse", "nll", "width_75", "width_95"] {
        let [a, b] = [&straight, &resumed].map(|report| report[key].as_f64().unwrap());
        assert!((a - b).abs() < 1e-6 * a.abs(), "{key}: {a} and {b}");
    }
}

#[test]
fn loss_that_is_not_finite_is_named_by_epoch_and_step_and_keeps_what_was_saved() {
    // No data and no learning rate up to 1 make this training diverge, so the checkpoint of epoch 3 does: its noise is
    // so small that the next loss overflows.
    let settings = ["--epochs", "4"];
    let out = folder();
    PROGRAM.report(out.path(), &settings);
    remove_checkpoint(out.path(), 4);
    let model = out.path().join("checkpoint/model-3.bpk");
    assert_eq!(steps(&model), 3 * STEPS_PER_EPOCH);
    // Of a checkpoint all files have a digest, or none.
    for part in ["model", "optim", "scheduler"] {
        remove_digest(&out.path().join(format!("checkpoint/{part}-3.bpk")));
    }
    set_log_noise(&model, -200.0);
    let kept = ["model.bpk", "intervals.png", "config.json"];
    let contents = || {
        let files = kept.map(|name| std::fs::read(out.path().join(name)).unwrap());
        (files, snapshot(&out.path().join("checkpoint")))
    };
    let before = contents();

    // The steps go on from those of the checkpoint: the first of epoch 4 is the 25th.
    let lines = refusal(out.path(), &[&settings[..], &["--resume"]].concat());
    let message = lines.last().expect("a message");
    assert_has(
        message,
        &["regression: the loss of epoch 4, step 25 is not finite"],
    );
    assert!(before == contents(), "a saved file changed");
    // It still loads: the second attempt comes as far.
    let lines = refusal(out.path(), &[&settings[..], &["--resume"]].concat());
    assert_eq!(lines.last(), Some(message));
}

#[test]
fn table_too_large_to_scale_ends_without_a_report_or_a_model() {
    let (tables, out) = (folder(), folder());
    let data = write(&tables, "large.csv", &too_large());
    let lines = refusal(out.path(), &["--data", &data]);
    assert!(
        lines.last().expect("a message").starts_with("regression: "),
        "{lines:#?}"
    );
    for name in ["model.bpk", "intervals.png", "checkpoint/model-1.bpk"] {
        assert!(!exists(out.path(), name), "{name}");
    }
}

#[test]
fn test_row_beyond_all_numbers_is_named_instead_of_reported_as_nan() {
    let (tables, out) = (folder(), folder());
    let data = write(&tables, "line.csv", &format!("{}1e300,1,9\n", line(60)));
    let splits = write(&tables, "splits.txt", "4 60\n");
    let lines = refusal(out.path(), &["--data", &data, "--splits-file", &splits]);
    let message = lines.last().expect("a message");
    assert_has(message, &["regression: ", "row 60", "not finite"]);
    assert!(!exists(out.path(), "intervals.png"));
}

#[test]
fn second_training_in_a_folder_is_as_if_it_were_the_first() {
    let (used, fresh) = (folder(), folder());
    PROGRAM.report(used.path(), &["--epochs", "4"]);
    let old_plot = std::fs::read(used.path().join("intervals.png")).unwrap();
    let second = PROGRAM.report(used.path(), &["--seed", "7"]);
    let alone = PROGRAM.report(fresh.path(), &["--seed", "7"]);
    for key in ["rmse", "nll", "width_95", "rows"] {
        assert_eq!(second[key], alone[key], "{key}");
    }
    let read = |out: &TempDir, name| std::fs::read(out.path().join(name)).unwrap();
    assert!(read(&used, "intervals.png") == read(&fresh, "intervals.png"));
    assert!(read(&used, "intervals.png") != old_plot);
    assert_eq!(read(&used, "config.json"), read(&fresh, "config.json"));
    // The first training's epoch 4 is not what the second resumes from.
    assert_eq!(checkpoints(used.path()), [2, 3]);
    PROGRAM.report(used.path(), &["--seed", "7", "--resume"]);
    assert_eq!(steps(&used.path().join("model.bpk")), 3 * STEPS_PER_EPOCH);
    assert_has(
        &one_line_refusal(used.path(), &["--epochs", "4", "--resume"]),
        &["other settings"],
    );
}

#[test]
fn a_split_that_fails_leaves_the_summary_of_the_others() {
    let (tables, out) = (folder(), folder());
    // A number that only a network trained on it can take: row 0 is tested in split 0.
    let far = line(40).replacen("\n", "\n1e100,1,5\n", 1);
    let data = write(&tables, "line.csv", &far);
    let splits = write(&tables, "splits.txt", "0 5 9\n1 2 20 30\n");
    let arguments = ["--data", &data, "--splits-file", &splits, "--split", "all"];
    let summary = PROGRAM.report(out.path(), &arguments);
    assert_eq!(summary["splits"], 1);
    assert_eq!(summary["reports"][0]["split"], "split 1");
    let left_out = &summary["left_out"][0];
    assert_eq!(left_out["name"], "split 0");
    let reason = left_out["reason"].as_str().unwrap();
    assert!(reason.contains("row 0"), "{reason}");

    // A number below the deviations, in the training rows of split 0 alone.
    let rows = (1..40).map(|i| format!("0,{i},{}\n", 2 * i));
    let tiny = format!("a,b,y\n5e-324,0,0\n{}", rows.collect::<String>());
    let file = write(&tables, "tiny.csv", &tiny);
    let tested = write(&tables, "tested.txt", "5 9\n0 1\n");
    let arguments = ["--data", &file, "--splits-file", &tested, "--split", "all"];
    let summary = PROGRAM.report(folder().path(), &arguments);
    assert_eq!(summary["reports"][0]["split"], "split 1");
    let reason = summary["left_out"][0]["reason"].as_str().unwrap();
    assert_has(reason, &["column 1 (a)", "can't be scaled"]);

    let alone = write(&tables, "alone.txt", "0 5 9\n0 1\n");
    let arguments = ["--data", &data, "--splits-file", &alone, "--split", "all"];
    let lines = refusal(folder().path(), &arguments);
    let message = lines.last().expect("a reason");
    assert_has(message, &["split 0", "split 1", "row 0"]);
}

#[test]
fn a_split_with_a_score_that_is_not_finite_costs_the_others_nothing() {
    let (tables, out) = (folder(), folder());
    // The target of row 0 is tested in split 0. In split 1 it is a training row, whose scale the others share.
    let small = (1..40).map(|i| format!("{i},{},{}e-100\n", i % 7, 2 * i));
    let far = format!("a,b,y\n0,0,1e100\n{}", small.collect::<String>());
    let data = write(&tables, "line.csv", &far);
    let splits = write(&tables, "splits.txt", "0 5 9\n1 2 20 30\n");
    let arguments = ["--data", &data, "--splits-file", &splits];
    let message = refusal(out.path(), &[&arguments[..], &["--split", "0"]].concat());
    let message = message.last().expect("a reason");
    assert_has(message, &["regression: the NLL of the test rows is inf"]);
    let out = folder();
    let summary = PROGRAM.report(out.path(), &[&arguments[..], &["--split", "all"]].concat());
    assert_eq!(summary["reports"][0]["split"], "split 1", "{summary}");
    let reason = summary["left_out"][0]["reason"].as_str().unwrap();
    assert_has(reason, &["the NLL of the test rows is inf"]);
}

#[test]
fn all_splits_of_a_file_end_in_their_means() {
    let (tables, out) = (folder(), folder());
    let data = write(&tables, "line.csv", &line(40));
    let splits = write(&tables, "splits.txt", "0 5 9\n1 2 20 30\n");
    let arguments = ["--data", &data, "--splits-file", &splits, "--split", "all"];
    let output = PROGRAM.run(out.path(), &arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let summary = text(&output.stdout);
    assert_has(
        summary,
        &[
            "line.csv, 2 splits",
            "mean ± standard error",
            out.path().to_str().unwrap(),
        ],
    );
    let rmse = summary
        .lines()
        .find(|line| line.contains("test RMSE"))
        .expect("an error");
    assert!(rmse.contains('±') && rmse.ends_with("units of y"), "{rmse}");
    for name in ["model.bpk", "intervals.png", "config.json"] {
        assert!(
            exists(out.path(), &format!("split-0/{name}"))
                && exists(out.path(), &format!("split-1/{name}"))
        );
    }

    let summary = PROGRAM.report(out.path(), &arguments);
    assert_eq!(summary["splits"], 2);
    for (k, tested) in [(0, 3), (1, 4)] {
        assert_eq!(summary["reports"][k]["n_test"], tested);
        assert_eq!(summary["reports"][k]["split"], format!("split {k}"));
    }
    for key in ["rmse", "nll", "width_95"] {
        let [a, b] = [0, 1].map(|k| summary["reports"][k][key].as_f64().unwrap());
        let mean = summary[key]["mean"].as_f64().unwrap();
        let error = summary[key]["standard_error"].as_f64().unwrap();
        // Of two values, the standard error is half of their difference.
        assert!((mean - (a + b) / 2.0).abs() < 1e-9 * mean.abs(), "{key}");
        assert!(
            (error - (a - b).abs() / 2.0).abs() < 1e-9 * mean.abs(),
            "{key}"
        );
        assert_ne!(a, b, "{key}");
    }
}

#[test]
fn all_splits_of_a_file_of_one_are_summed_up_as_of_any_other() {
    let (tables, out) = (folder(), folder());
    let data = write(&tables, "line.csv", &line(40));
    let splits = write(&tables, "splits.txt", "0 5 9\n");
    let arguments = ["--data", &data, "--splits-file", &splits, "--split", "all"];
    let summary = PROGRAM.report(out.path(), &arguments);
    assert_eq!(summary["splits"], 1);
    assert_eq!(summary["reports"][0]["split"], "split 0");
    assert!(exists(out.path(), "split-0/model.bpk"));
}

#[test]
fn a_run_that_was_being_put_aside_when_its_program_was_killed_is_put_aside_whole() {
    let out = folder();
    let settings = ["--epochs", "1"];
    assert!(PROGRAM.run(out.path(), &settings).status.success());
    let model = std::fs::read(out.path().join("model.bpk")).unwrap();
    // As a kill between two renames leaves it.
    let part = out.path().join("previous.part");
    std::fs::create_dir(&part).unwrap();
    for name in ["config.json", "model.bpk"] {
        std::fs::rename(out.path().join(name), part.join(name)).unwrap();
    }
    assert!(PROGRAM.run(out.path(), &settings).status.success());
    let previous = out.path().join("previous");
    assert_eq!(std::fs::read(previous.join("model.bpk")).unwrap(), model);
    for name in ["config.json", "model.bpk.sha256", "checkpoint/model-1.bpk"] {
        assert!(exists(&previous, name), "{name}");
    }
    assert!(!part.exists() && exists(out.path(), "model.bpk"));
}

#[test]
fn what_no_run_left_in_the_folder_is_refused_and_stays() {
    for name in [
        "checkpoint/model-400.bpk",
        "train/mine.csv",
        "previous/mine.csv",
        "config.json",
    ] {
        let out = folder();
        let file = out.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, "{}").unwrap();
        let output = PROGRAM.run(out.path(), &["--epochs", "1"]);
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{name}: {message}");
        let first = name.split('/').next().unwrap();
        assert_has(
            message,
            &[
                out.path().to_str().unwrap(),
                &format!("has a {first} that"),
                "another --out",
            ],
        );
        assert_eq!(std::fs::read(&file).unwrap(), b"{}", "{name}");
    }
}

#[test]
fn a_file_of_no_run_is_never_removed_with_an_earlier_one() {
    // A checkpoint folder without a checkpoint is removed, and so is the run before the last.
    let twice = || {
        let out = folder();
        for _ in 0..2 {
            assert!(PROGRAM.run(out.path(), &["--epochs", "1"]).status.success());
        }
        out
    };
    for (out, name) in [
        (folder_of_a_run(), "checkpoint/notes.txt"),
        (twice(), "previous/notes.txt"),
        (twice(), "previous/checkpoint/notes.txt"),
        (twice(), "previous/train/mine.csv"),
    ] {
        let file = out.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, "mine").unwrap();
        let before = snapshot(out.path());
        let message = one_line_refusal(out.path(), &["--epochs", "1"]);
        assert_has(&message, &[&format!("has a {name} that"), "another --out"]);
        assert_eq!(before, snapshot(out.path()), "{name}");
        std::fs::remove_file(&file).unwrap();
        assert!(PROGRAM.run(out.path(), &["--epochs", "1"]).status.success());
    }
}

#[test]
fn a_dashboard_without_a_terminal_is_refused_before_anything_is_made() {
    let out = folder();
    let refused = PROGRAM.refusal(out.path(), &["--dashboard"]);
    assert_has(&refused, &["--dashboard", "standard output is no terminal"]);
    assert_eq!(std::fs::read_dir(out.path()).unwrap().count(), 0);
}

#[cfg(unix)]
mod interrupt {
    use super::*;

    use std::io::Read;
    use std::process::{Child, Command, Stdio};
    use std::time::{Duration, Instant};

    /// A run in the background, killed if the test fails on the way.
    struct Running(Child);

    impl Running {
        fn start(out: &Path, arguments: &[&str]) -> Self {
            Self::of(PROGRAM.command(out, arguments))
        }

        fn of(mut command: Command) -> Self {
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            Self(command.spawn().expect("the program starts"))
        }

        /// Presses Ctrl-C as soon as `file` is there.
        fn interrupt_at(&mut self, file: &Path) {
            self.signal_at(file, "-INT");
        }

        /// Sends a signal as soon as `file` is there.
        fn signal_at(&mut self, file: &Path, signal: &str) {
            self.until(&format!("{}", file.display()), |_| file.exists());
            self.signal(signal);
        }

        fn signal(&self, signal: &str) {
            let id = self.0.id().to_string();
            let sent = Command::new("kill")
                .args([signal, &id])
                .status()
                .expect("`kill`");
            assert!(sent.success());
        }

        /// The exit code, standard output and standard error.
        fn end(mut self) -> (Option<i32>, String, String) {
            self.until("the end", |child| {
                child.try_wait().expect("a child").is_some()
            });
            let (mut stdout, mut stderr) = (String::new(), String::new());
            self.0
                .stdout
                .take()
                .unwrap()
                .read_to_string(&mut stdout)
                .unwrap();
            self.0
                .stderr
                .take()
                .unwrap()
                .read_to_string(&mut stderr)
                .unwrap();
            (self.0.wait().unwrap().code(), stdout, stderr)
        }

        fn until(&mut self, what: &str, mut done: impl FnMut(&mut Child) -> bool) {
            let start = Instant::now();
            while !done(&mut self.0) {
                assert!(
                    start.elapsed() < Duration::from_secs(60),
                    "waited too long for {what}"
                );
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }

    impl Drop for Running {
        fn drop(&mut self) {
            // It has ended, unless the test failed.
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn sigterm_ends_a_training_in_order() {
        let out = folder();
        let mut running = Running::start(out.path(), &["--epochs", "4000"]);
        running.signal_at(&out.path().join("checkpoint/scheduler-1.bpk"), "-TERM");
        let (code, _, stderr) = running.end();
        assert_eq!(code, Some(130), "{stderr}");
        assert_has(
            stderr.lines().last().expect("a message"),
            &["stopped", "--resume"],
        );
    }

    #[test]
    fn a_training_that_ignores_hangups_goes_on_without_its_terminal_and_ends_in_order() {
        let ignoring = ["-c", "trap '' HUP; exec \"$@\"", "sh", PROGRAM.path];
        let nohup = Program {
            path: "sh",
            settings: &[&ignoring[..], PROGRAM.settings].concat(),
        };
        for (signal, expected, said) in [("-HUP", 0, "40 epochs"), ("-TERM", 130, "--resume")] {
            let out = folder();
            let mut running = Running::of(nohup.command(out.path(), &["--epochs", "40"]));
            running.signal_at(&out.path().join("checkpoint/scheduler-1.bpk"), signal);
            let (code, stdout, stderr) = running.end();
            assert_eq!(code, Some(expected), "{stderr}");
            assert_has(&format!("{stdout}{stderr}"), &[said]);
        }
    }

    #[test]
    fn a_folder_in_which_a_training_runs_is_refused_to_a_second() {
        let out = folder();
        let mut first = Running::start(out.path(), &["--epochs", "4000"]);
        let saved = out.path().join("checkpoint/scheduler-1.bpk");
        first.until("a checkpoint", |_| saved.exists());
        for resume in [&[][..], &["--resume"]] {
            let output = PROGRAM.run(out.path(), &[&["--epochs", "4000"], resume].concat());
            let stderr = text(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{stderr}");
            assert_has(
                stderr,
                &["another training runs in", out.path().to_str().unwrap()],
            );
        }
        // The first checkpoint may be gone: a training keeps the last ones.
        first.signal("-INT");
        let (code, _, stderr) = first.end();
        assert_eq!(code, Some(130), "{stderr}");
        assert!(
            !exists(out.path(), "previous"),
            "the first training's files were moved"
        );
    }

    #[test]
    fn a_signal_while_a_prediction_is_drawn_ends_the_program_at_once() {
        let out = folder();
        let mut running = Running::start(out.path(), &["--predict-samples", "100000"]);
        // Written when the training is over.
        running.interrupt_at(&out.path().join("model.bpk"));
        let (code, stdout, stderr) = running.end();
        assert_eq!(code, Some(130), "{stderr}");
        assert_eq!(stdout, "");
        assert_has(stderr.lines().last().expect("a message"), &["stopped"]);
        // The training is kept.
        PROGRAM.report(out.path(), &["--resume"]);
    }

    /// The epochs that standard error has lines of.
    fn epochs(stderr: &str) -> Vec<usize> {
        let of_line = |line: &str| line.strip_prefix("epoch ")?.split_once('/')?.0.parse().ok();
        stderr.lines().filter_map(of_line).collect()
    }

    #[test]
    fn interrupted_training_says_how_to_go_on_and_going_on_finishes_it() {
        let settings = ["--epochs", "40"];
        let out = folder();
        let mut running = Running::start(out.path(), &settings);
        running.interrupt_at(&out.path().join("checkpoint/scheduler-1.bpk"));
        let (code, stdout, stderr) = running.end();
        assert_eq!(code, Some(130), "{stderr}");
        assert_eq!(stdout, "");
        assert!(!stderr.contains("panicked at"), "{stderr}");
        let message = stderr.lines().last().expect("a message");
        assert_has(
            message,
            &[
                "regression: stopped",
                "--resume",
                out.path().to_str().unwrap(),
            ],
        );
        assert!(
            !exists(out.path(), "model.bpk"),
            "a model of a training that did not end"
        );
        let last = *checkpoints(out.path()).last().expect("a checkpoint");
        assert!(last < 40, "the training was faster than the signal");
        let model = out.path().join(format!("checkpoint/model-{last}.bpk"));
        assert_eq!(steps(&model), last as i32 * STEPS_PER_EPOCH);

        let output = PROGRAM.run(
            out.path(),
            &[&settings[..], &["--resume", "--json"]].concat(),
        );
        let stderr = text(&output.stderr);
        assert!(output.status.success(), "{stderr}");
        let report: Value = serde_json::from_str(text(&output.stdout)).expect("JSON");
        assert!(report["rmse"].as_f64().is_some_and(f64::is_finite));
        let seen = epochs(stderr);
        assert!(
            seen.iter().all(|epoch| *epoch > last),
            "{seen:?} after {last}"
        );
        assert_eq!(seen.last(), Some(&40));
        assert_eq!(steps(&out.path().join("model.bpk")), 40 * STEPS_PER_EPOCH);
    }

    #[test]
    fn training_interrupted_before_its_first_checkpoint_does_not_promise_one() {
        let out = folder();
        // Batches of one row make the first epoch long enough to stop in.
        let mut running = Running::start(out.path(), &["--batch-size", "1"]);
        running.interrupt_at(&out.path().join("experiment.log"));
        let (code, _, stderr) = running.end();
        assert_eq!(code, Some(130), "{stderr}");
        assert_eq!(checkpoints(out.path()), [0; 0]);
        let message = stderr.lines().last().expect("a message");
        assert!(!message.contains("--resume"), "{message}");
    }
}

#[test]
fn splits_that_had_not_begun_start_when_all_splits_resume() {
    let (tables, out) = (folder(), folder());
    let data = write(&tables, "line.csv", &line(40));
    let splits = write(&tables, "splits.txt", "0 5 9\n1 2 20 30\n");
    let arguments = ["--data", &data, "--splits-file", &splits, "--split", "all"];
    let straight = PROGRAM.report(out.path(), &arguments);
    std::fs::remove_dir_all(out.path().join("split-1")).unwrap();
    let resumed = PROGRAM.report(out.path(), &[&arguments[..], &["--resume"]].concat());
    assert_eq!(straight["rmse"], resumed["rmse"]);
}

#[test]
fn checkpoint_that_is_not_whole_is_named_and_the_one_before_taken() {
    for part in ["model", "optim", "scheduler"] {
        let out = folder();
        PROGRAM.report(out.path(), &[]);
        let file = out.path().join(format!("checkpoint/{part}-3.bpk"));
        let bytes = std::fs::read(&file).unwrap();
        let mut flipped = bytes.clone();
        flipped[bytes.len() / 2] ^= 1;
        for damaged in [&bytes[..bytes.len() / 8], &flipped] {
            std::fs::write(&file, damaged).unwrap();
            let output = PROGRAM.run(out.path(), &["--resume"]);
            assert!(output.status.success(), "{}", text(&output.stderr));
            let first = text(&output.stderr).lines().next().expect("a warning");
            assert_has(first, &[file.to_str().unwrap(), "damaged", "epoch 2"]);
            // Epoch 3 was trained again.
            let model = out.path().join("checkpoint/model-3.bpk");
            assert_eq!(steps(&model), 3 * STEPS_PER_EPOCH);
            assert!(exists(out.path(), "checkpoint/model-3.bpk.sha256"));
        }
    }
}

#[test]
fn where_no_checkpoint_is_whole_one_is_named() {
    let out = folder();
    PROGRAM.report(out.path(), &[]);
    for epoch in [2, 3] {
        let file = out.path().join(format!("checkpoint/optim-{epoch}.bpk"));
        std::fs::write(file, "").unwrap();
    }
    let message = one_line_refusal(out.path(), &["--resume"]);
    assert_has(&message, &["optim-3.bpk", "damaged"]);
}

#[test]
fn log_that_cannot_be_written_is_named() {
    let out = folder_of_a_run();
    write(&out, "train", "");
    let message = refusal(out.path(), &[]).join("\n");
    assert_has(&message, &["cannot write", out.path().to_str().unwrap()]);

    let out = folder_of_a_run();
    std::fs::create_dir(out.path().join("experiment.log")).unwrap();
    let message = refusal(out.path(), &[]).join("\n");
    assert_has(&message, &["cannot write", out.path().to_str().unwrap()]);
}

#[test]
fn absurd_sizes_are_refused() {
    let out = folder();
    let largest = usize::MAX.to_string();
    for option in ["--batch-size", "--epochs"] {
        let lines = refusal(out.path(), &[option, &largest]);
        assert_has(&lines.join("\n"), &[option.trim_start_matches('-')]);
    }
}

#[test]
fn checkpoints_survive_two_failed_trainings() {
    let (tables, out) = (folder(), folder());
    PROGRAM.report(out.path(), &[]);
    let saved = std::fs::read(out.path().join("checkpoint/model-3.bpk")).unwrap();
    let data = write(&tables, "large.csv", &too_large());
    for attempt in 1..=2 {
        refusal(out.path(), &["--data", &data]);
        // Not the model.bpk, whose bytes are the same.
        let kept = snapshot(out.path()).into_iter().any(|(path, content)| {
            path.ends_with("model-3.bpk") && content.as_ref() == Some(&saved)
        });
        assert!(kept, "lost after failed training {attempt}");
    }
}

#[test]
fn failed_training_does_not_leave_its_settings_beside_another_model() {
    let (tables, out) = (folder(), folder());
    PROGRAM.report(out.path(), &[]);
    let config = std::fs::read(out.path().join("config.json")).unwrap();
    let data = write(&tables, "large.csv", &too_large());
    refusal(out.path(), &["--data", &data]);
    let same = std::fs::read(out.path().join("config.json")).unwrap() == config;
    assert_eq!(same, exists(out.path(), "model.bpk"));
}

#[test]
fn column_whose_deviation_overflows_is_named_before_anything_is_written() {
    let (tables, out) = (folder(), folder());
    let rows: String = (1..60).map(|i| format!("{i},{i}e200,{i}\n")).collect();
    let data = write(&tables, "large.csv", &format!("small,large,y\n{rows}"));
    let message = one_line_refusal(out.path(), &["--data", &data]);
    assert_has(&message, &["column 2", "large"]);
    assert_eq!(std::fs::read_dir(out.path()).unwrap().count(), 0);
}

#[test]
fn first_step_that_is_not_finite_is_named_too() {
    let out = folder();
    let lines = refusal(out.path(), &["--initial-std", "1e10"]);
    assert_has(&lines.join("\n"), &["epoch 1, step 1 is not finite"]);
    assert!(!exists(out.path(), "model.bpk"));
}

#[test]
fn a_device_that_is_named_is_all_that_is_asked_for() {
    let out = folder();
    let run = |variable: &str, options: &[&str]| {
        let mut command = PROGRAM.command(out.path(), options);
        let command = command.env("BURN_DEVICE", variable);
        command.output().expect("the program starts")
    };
    for (variable, options) in [("cuda", &["--device", "flex"][..]), ("", &[]), (" ", &[])] {
        let output = run(variable, options);
        assert!(output.status.success(), "`{variable}`: {output:?}");
        // Burn alone reads an optimizer's checkpoint elsewhere.
        let output = run(
            variable,
            &[options, &["--epochs", "4", "--resume"]].concat(),
        );
        assert_eq!(output.status.code(), Some(2), "`{variable}`: {output:?}");
        let message = text(&output.stderr);
        assert_has(message, &["set BURN_DEVICE to the backend of", "unset it"]);
        assert!(!message.contains("panicked"), "{message}");
    }
}

#[test]
fn device_of_the_environment_is_refused_by_name_too() {
    let out = folder();
    let output = PROGRAM
        .command(out.path(), &[])
        .env("BURN_DEVICE", "abacus")
        .output()
        .expect("the program starts");
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert_has(message, &["`abacus`", "flex"]);
    assert_eq!(message.lines().count(), 1, "{message}");
}
