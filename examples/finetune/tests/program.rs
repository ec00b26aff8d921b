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
    assert_eq!(methods.len(), 9);
    for method in methods {
        for score in ["accuracy", "ece", "ood_auroc_near", "ood_auroc_far"] {
            let value = method[score].as_f64().unwrap();
            assert!((0.0..=1.0).contains(&value), "{method}");
        }
        for number in ["nll", "seconds", "trainable"] {
            assert!(method[number].as_f64().unwrap() > 0.0, "{method}");
        }
    }
    // One seed has no standard error.
    assert_eq!(methods[0]["errors"].to_string(), "[null,null,null]");
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
fn a_run_that_was_stopped_goes_on_where_it_was() {
    let out = tempfile::tempdir().unwrap();
    let keep = out.path().join("kept");
    let keep = keep.to_str().unwrap();
    let rows = |arguments: &[&str]| {
        let arguments = [&["--keep", keep], arguments].concat();
        let report = PROGRAM.report(out.path(), &arguments);
        report["rows"].as_array().unwrap().clone()
    };
    let first = rows(&["--method", "temperature"]);
    // A second method, and a second seed.
    let all = rows(&[
        "--method",
        "lora",
        "--method",
        "temperature",
        "--seeds",
        "2",
    ]);
    assert_eq!(all.len(), 4);
    assert_eq!(all[1], first[0]);
    // Nothing is trained again: the seconds are the same as well.
    assert_eq!(
        rows(&[
            "--method",
            "lora",
            "--method",
            "temperature",
            "--seeds",
            "2"
        ]),
        all
    );
    let refused = PROGRAM.refusal(out.path(), &["--keep", keep, "--steps", "5"]);
    assert!(refused.contains("another steps"), "{refused}");
}

#[test]
fn a_file_that_cannot_be_written_costs_no_scores() {
    let out = tempfile::tempdir().unwrap();
    let arguments = [
        "--seeds",
        "2",
        "--method",
        "lora",
        "--method",
        "temperature",
    ];
    // Its place is taken as soon as the run has a folder, long before the second seed's is written.
    let taken = out.path().join("1/lora-1.bpk");
    let report = std::thread::scope(|scope| {
        let run = scope.spawn(|| PROGRAM.report(out.path(), &arguments));
        while !taken.parent().unwrap().exists() && !run.is_finished() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        std::fs::create_dir(&taken).unwrap();
        run.join().unwrap()
    });
    assert_eq!(report["rows"].as_array().unwrap().len(), 4);
    assert_eq!(report["adapters"].as_array().unwrap().len(), 1);
    assert_eq!(report["rates"].as_array().unwrap().len(), 2);
    let left_out = report["left_out"].as_array().unwrap();
    assert_eq!(left_out.len(), 1);
    assert_eq!(left_out[0]["name"], "the adapter's file");
    assert_eq!(left_out[0]["seed"], 1);
    let reason = left_out[0]["reason"].as_str().unwrap();
    assert!(reason.contains("lora-1.bpk"), "{reason}");
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
        (&["--draws", "1000000"], "1000000 draws of 256 numbers"),
        (&["--adapter", "nowhere.bpk"], "nowhere.bpk"),
        (
            &["--model", "nowhere", "--data", "nowhere.tsv"],
            "there is no file nowhere.tsv",
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
