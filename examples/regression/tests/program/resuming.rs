//! A training that goes on from its checkpoints.

use serde_json::Value;

use super::{
    PROGRAM, STEPS_PER_EPOCH, assert_has, checkpoints, exists, folder, line, one_line_refusal,
    remove_checkpoint, snapshot, steps, text, write,
};

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
    // All rows in one batch: which row goes into which batch is drawn anew when a training resumes. A large rate, so
    // that the last step counts.
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
