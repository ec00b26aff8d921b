//! The program from outside, with settings that take a few seconds.

use example_support::program::{Program, assert_png};

const PROGRAM: Program = Program {
    path: env!("CARGO_BIN_EXE_convert"),
    settings: &[
        "--limit",
        "100",
        "--epochs",
        "2",
        "--fine-tune",
        "1",
        "--predict-samples",
        "2",
    ],
};

#[test]
fn a_run_compares_five_networks_and_its_own_checkpoint_can_be_converted_again() {
    let out = tempfile::tempdir().unwrap();
    let first = PROGRAM.report(out.path(), &[]);
    assert_eq!(first["rows"].as_array().unwrap().len(), 5);
    assert_png(&first["plot"]);
    // What was tuned is saved before other networks are trained, and before anything is predicted.
    let written = |file: &str| {
        out.path()
            .join(file)
            .metadata()
            .unwrap()
            .modified()
            .unwrap()
    };
    assert!(written("1/model.bpk") < written("1/from-scratch/checkpoint/model-1.bpk"));

    let checkpoint = out.path().join("1/deterministic.bpk");
    let again = PROGRAM.report(out.path(), &["--checkpoint", checkpoint.to_str().unwrap()]);
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
        let stderr = PROGRAM.refusal(out.path(), &["--checkpoint", &path(name)]);
        assert!(stderr.contains(name) && stderr.contains(reason), "{stderr}");
    }
    assert!(!out.path().join("1").exists(), "a folder of no run");
}

#[test]
fn more_draws_than_a_step_or_a_prediction_takes_are_refused_before_anything_is_made() {
    let out = tempfile::tempdir().unwrap();
    let refused = PROGRAM.refusal(out.path(), &["--samples", "65536"]);
    assert!(refused.contains("at most 65535"), "{refused}");
    let refused = PROGRAM.refusal(out.path(), &["--predict-samples", "1000000"]);
    assert!(
        refused.contains("a prediction from 1000000 draws"),
        "{refused}"
    );
    assert_eq!(std::fs::read_dir(out.path()).unwrap().count(), 0);
}

#[test]
fn weights_that_no_deviation_can_be_made_of_are_refused_before_anything_is_made() {
    let (trained, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    PROGRAM.report(trained.path(), &[]);
    let checkpoint = trained.path().join("1/deterministic.bpk");
    let path = checkpoint.to_str().unwrap();
    let beyond = PROGRAM.refusal(out.path(), &["--checkpoint", path, "--delta", "1e39"]);
    assert!(beyond.contains("--delta 1e39"), "{beyond}");

    // The last bytes of a record are a weight.
    let mut bytes = std::fs::read(&checkpoint).unwrap();
    let last = bytes.len() - 4;
    bytes[last..].copy_from_slice(&f32::NAN.to_le_bytes());
    std::fs::write(&checkpoint, bytes).unwrap();
    // A file of somebody else's, without a digest.
    std::fs::remove_file(checkpoint.with_extension("bpk.sha256")).unwrap();
    let nan = PROGRAM.refusal(out.path(), &["--checkpoint", path]);
    assert!(nan.contains("NaN or infinite"), "{nan}");
    assert!(nan.contains("output"), "{nan}");
    assert_eq!(std::fs::read_dir(out.path()).unwrap().count(), 0);
}
