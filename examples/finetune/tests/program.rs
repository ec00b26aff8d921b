//! The program from outside, with settings that take a few seconds.

use example_support::program::{Program, assert_png};

const PROGRAM: Program = Program {
    path: env!("CARGO_BIN_EXE_finetune"),
    settings: &[
        "--seeds",
        "1",
        "--labels-per-class",
        "4",
        "--steps",
        "4",
        "--pretrain-epochs",
        "1",
        "--draws",
        "2",
        "--device",
        "flex",
    ],
};

#[test]
fn every_method_is_scored_and_the_adapter_can_be_loaded_again() {
    let out = tempfile::tempdir().unwrap();
    let report = PROGRAM.report(out.path(), &[]);
    let methods = report["methods"].as_array().unwrap();
    assert_eq!(methods.len(), 8);
    for method in methods {
        for score in ["accuracy", "ece", "ood_auroc_near", "ood_auroc_far"] {
            let value = method[score].as_f64().unwrap();
            assert!((0.0..=1.0).contains(&value), "{method}");
        }
        for number in ["nll", "seconds", "trainable"] {
            assert!(method[number].as_f64().unwrap() > 0.0, "{method}");
        }
    }
    let trained = |at: usize| methods[at]["trainable"].as_u64().unwrap();
    // An ensemble has five of LoRA's; BLoB the deviations besides.
    assert_eq!(trained(3), 5 * trained(0));
    assert!(trained(4) > trained(0));
    assert_png(&report["plot"]);

    let adapter = report["adapters"][0].as_str().unwrap();
    let again = PROGRAM.report(out.path(), &["--adapter", adapter]);
    for score in ["accuracy", "nll", "ece"] {
        let (first, second) = (&methods[0][score], &again["methods"][0][score]);
        let (first, second) = (first.as_f64().unwrap(), second.as_f64().unwrap());
        assert!((first - second).abs() < 1e-6, "{second} for {first}");
    }
    // How many labels it was trained on is not in the file.
    assert!(again["labels_per_class"].is_null());
    // Of the same transformer, trained for longer.
    let other = ["--adapter", adapter, "--pretrain-epochs", "2"];
    let refused = PROGRAM.refusal(out.path(), &other);
    assert!(
        refused.contains("is an adapter for another base"),
        "{refused}"
    );
    let refused = PROGRAM.refusal(out.path(), &["--adapter", adapter, "--rank", "4"]);
    assert!(refused.contains("is of other adapters"), "{refused}");
}

#[test]
fn the_same_seed_gives_the_same_scores() {
    let out = tempfile::tempdir().unwrap();
    let run = || {
        let report = PROGRAM.report(out.path(), &["--method", "mc-dropout", "--method", "tfb"]);
        let rows = report["rows"].as_array().unwrap().clone();
        let scores = rows
            .iter()
            .map(|row| (row["method"].clone(), row["nll"].clone()));
        scores.collect::<Vec<_>>()
    };
    assert_eq!(run(), run());
}

#[test]
fn what_is_wrong_is_said_in_one_sentence() {
    let out = tempfile::tempdir().unwrap();
    for (arguments, reason) in [
        (
            &["--layers", "4"][..],
            "the transformer has 3 layers, 4 were to get adapters",
        ),
        (
            &["--rank", "33"],
            "adapters of rank 33 are larger than the matrices of 32 × 32 beside them",
        ),
        (&["--rank", "10000000"], "adapters of rank 10000000"),
        (
            &["--labels-per-class", "200"],
            "fewer than the 200 labels a class",
        ),
        (&["--adapter", "nowhere.bpk"], "nowhere.bpk"),
        (
            &["--model", "nowhere", "--data", "nowhere.tsv"],
            "nowhere.tsv: No such file",
        ),
    ] {
        // What belongs to the digits is refused beside a model.
        let program = Program {
            settings: match arguments.contains(&"--model") {
                true => &[],
                false => PROGRAM.settings,
            },
            ..PROGRAM
        };
        let refused = program.refusal(out.path(), arguments);
        assert!(refused.contains(reason), "{refused}");
    }
}
