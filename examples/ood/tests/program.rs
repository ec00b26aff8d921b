//! The program from outside, with settings that take a few seconds.

use example_support::program::{Program, assert_png};

const PROGRAM: Program = Program {
    path: env!("CARGO_BIN_EXE_ood"),
    settings: &[
        "--limit",
        "160",
        "--epochs",
        "2",
        "--predict-samples",
        "3",
        "--members",
        "2",
    ],
};

#[test]
fn every_model_is_scored_on_every_set_and_noise_is_told_from_digits() {
    let out = tempfile::tempdir().unwrap();
    let report = PROGRAM.report(out.path(), &[]);
    let detection = report["detection"].as_array().unwrap();
    // Four sets; two scores of the deterministic network, three of each of the others.
    assert_eq!(detection.len(), 4 * (2 + 3 + 3));
    for row in detection {
        for score in ["auroc", "aupr", "fpr95"] {
            let value = row[score].as_f64().unwrap();
            assert!((0.0..=1.0).contains(&value), "{row}");
        }
    }
    assert_eq!(detection[0]["outside"], "classes left out");
    assert_eq!(report["inside"].as_array().unwrap().len(), 3);
    assert_png(&report["plot"]);
}

#[test]
fn what_is_wrong_is_said_in_one_sentence() {
    let out = tempfile::tempdir().unwrap();
    let refused = PROGRAM.refusal(out.path(), &["--leave-out", "9"]);
    assert!(
        refused.contains("of 10 classes 9 were to be left out"),
        "{refused}"
    );
    let refused = PROGRAM.refusal(out.path(), &["--leave-out", "-1"]);
    assert!(refused.contains("at least 0"), "{refused}");
    let refused = PROGRAM.refusal(out.path(), &["--members", "1"]);
    assert!(refused.contains("at least 2"), "{refused}");
    let refused = PROGRAM.refusal(out.path(), &["--predict-samples", "1000000"]);
    assert!(
        refused.contains("a prediction from 1000000 draws"),
        "{refused}"
    );
    assert_eq!(std::fs::read_dir(out.path()).unwrap().count(), 0);
}
