//! The program from outside, with settings that take a few seconds.

use example_support::program::{Program, assert_png};

const PROGRAM: Program = Program {
    path: env!("CARGO_BIN_EXE_mnist"),
    settings: &["--limit", "96", "--epochs", "1", "--predict-samples", "2"],
};

#[test]
fn a_run_compares_three_networks_prunes_and_leaves_a_plot_and_a_model() {
    let out = tempfile::tempdir().unwrap();
    let report = PROGRAM.report(out.path(), &["--prune"]);
    let error = |row: &serde_json::Value| row["error"].as_f64().unwrap();
    let rows = report["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 3);
    let pruned = report["pruned"].as_array().unwrap();
    assert_eq!(pruned.len(), 5);
    // Nothing removed is the network itself.
    assert_eq!(error(&pruned[0]["draws"]), error(&rows[0]));
    assert_eq!(error(&pruned[0]["mean"]), error(&rows[1]));
    for plot in ["plot", "reliability", "posterior"] {
        assert_png(&report[plot]);
    }
    assert!(out.path().join("1/model.bpk").is_file());
}

#[test]
fn every_prior_and_estimator_trains_the_perceptron() {
    let out = tempfile::tempdir().unwrap();
    for (prior, estimator) in [
        ("learned", "shared"),
        ("mixture", "local"),
        ("normal", "flipout"),
    ] {
        let settings = [
            "--net",
            "mlp400",
            "--prior",
            prior,
            "--estimator",
            estimator,
        ];
        let report = PROGRAM.report(out.path(), &settings);
        assert_eq!(
            report["weights"],
            784 * 400 + 400 + 400 * 400 + 400 + 400 * 10 + 10
        );
    }
}

#[test]
fn a_folder_without_mnist_is_refused() {
    let out = tempfile::tempdir().unwrap();
    let stderr = PROGRAM.refusal(out.path(), &["--data", out.path().to_str().unwrap()]);
    assert!(
        stderr.contains("train-images-idx3-ubyte: No such file"),
        "{stderr}"
    );
}

#[test]
fn more_draws_than_there_is_memory_for_are_refused_before_anything_is_made() {
    let out = tempfile::tempdir().unwrap();
    let stderr = PROGRAM.refusal(out.path(), &["--predict-samples", "1000000"]);
    assert!(
        stderr.contains("a prediction from 1000000 draws"),
        "{stderr}"
    );
    assert_eq!(std::fs::read_dir(out.path()).unwrap().count(), 0);
}

#[test]
fn too_few_images_to_validate_on_are_refused() {
    let out = tempfile::tempdir().unwrap();
    let stderr = PROGRAM.refusal(out.path(), &["--limit", "4", "--validate"]);
    assert!(stderr.contains("--validate keeps a fifth"), "{stderr}");
}
