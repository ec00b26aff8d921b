//! The program from outside, with settings that take a few seconds.

use example_support::program::{Program, assert_png};

const PROGRAM: Program = Program {
    path: env!("CARGO_BIN_EXE_active"),
    settings: &[
        "--seeds",
        "1",
        "--start",
        "20",
        "--batch",
        "4",
        "--labels",
        "28",
        "--test",
        "1600",
        "--steps",
        "60",
        "--predict-samples",
        "5",
        "--target",
        "20",
        "--device",
        "flex",
    ],
};

#[test]
fn every_method_starts_alike_and_learns() {
    let out = tempfile::tempdir().unwrap();
    let report = PROGRAM.report(out.path(), &[]);
    let curves = report["curves"].as_array().unwrap();
    assert_eq!(curves.len(), 4);
    for curve in curves {
        assert_eq!(curve["labels"].to_string(), "[20,24,28]");
        assert_eq!(curve["accuracy"][0], curves[0]["accuracy"][0]);
        // Ten classes: a guess is right one time in ten.
        assert!(curve["accuracy"][2].as_f64().unwrap() > 0.3, "{curve}");
    }
    for method in report["methods"].as_array().unwrap() {
        assert_eq!(method["labels"].to_string(), "[20]");
        // One seed has no standard error.
        assert_eq!(method["mean"]["mean"], 20.0);
        for over in ["mean", "last_accuracy"] {
            assert!(method[over]["standard_error"].is_null(), "{method}");
        }
    }
    assert_png(&report["plot"]);
}

#[cfg(unix)]
#[test]
fn a_picture_that_cannot_be_written_costs_the_courses_nothing() {
    let out = tempfile::tempdir().unwrap();
    let report = PROGRAM.report_without_room(out.path(), &["--labels", "20"]);
    assert_eq!(report["curves"].as_array().unwrap().len(), 4);
    assert!(report["plot"].is_null(), "{report}");
    assert_eq!(report["left_out"].as_array().unwrap().len(), 1);
    assert_eq!(report["left_out"][0]["name"], "accuracy.png");
}

#[test]
fn the_same_seed_gives_the_same_course() {
    let out = tempfile::tempdir().unwrap();
    let once = PROGRAM.report(out.path(), &[]);
    let twice = PROGRAM.report(out.path(), &[]);
    assert_eq!(once["curves"], twice["curves"]);
}

#[test]
fn a_run_that_was_stopped_goes_on_where_it_was() {
    let out = tempfile::tempdir().unwrap();
    let keep = out.path().join("kept");
    let keep = ["--keep", keep.to_str().unwrap()];
    let once = PROGRAM.report(out.path(), &keep);
    // What is there is taken as it is.
    let file = out.path().join("kept/0-BALD.json");
    let text = std::fs::read_to_string(&file).unwrap();
    let other = text.replace("\"seed\": 0", "\"seed\": 7");
    assert_ne!(text, other);
    std::fs::write(&file, other).unwrap();
    std::fs::remove_file(out.path().join("kept/0-BALD.json.sha256")).unwrap();
    std::fs::remove_file(out.path().join("kept/0-random.json")).unwrap();
    // And what is not whole is made again.
    let file = out.path().join("kept/0-margin.json");
    let short = r#"{"method": "Margin", "seed": 0, "labels": [20, 24, 28], "accuracy": [0.5]}"#;
    std::fs::write(&file, short).unwrap();
    std::fs::remove_file(out.path().join("kept/0-margin.json.sha256")).unwrap();
    let again = PROGRAM.report(out.path(), &keep);
    assert_eq!(again["curves"][0], once["curves"][0]);
    assert_eq!(again["curves"][1], once["curves"][1]);
    assert_eq!(again["curves"][2]["seed"], 7);
    assert_eq!(
        again["curves"][2]["accuracy"],
        once["curves"][2]["accuracy"]
    );
    let refused = PROGRAM.refusal(out.path(), &[&keep[..], &["--beta", "0.2"]].concat());
    assert!(refused.contains("another beta"), "{refused}");
}

#[test]
fn the_largest_seed_is_a_seed_and_one_seed_has_no_error() {
    let out = tempfile::tempdir().unwrap();
    let largest = u64::MAX.to_string();
    let short = ["--labels", "20", "--seed", &largest];
    let output = PROGRAM.run(out.path(), &short);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("BALD") && !text.contains('±'), "{text}");
    let curves = PROGRAM.report(out.path(), &[&short[..], &["--seeds", "2"]].concat());
    let seeds = curves["curves"].as_array().unwrap().iter();
    let seeds: Vec<u64> = seeds.map(|curve| curve["seed"].as_u64().unwrap()).collect();
    assert_eq!((seeds[0], seeds[7]), (u64::MAX, 0));
}

#[test]
fn what_is_wrong_is_said_in_one_sentence() {
    let out = tempfile::tempdir().unwrap();
    let refused = PROGRAM.refusal(out.path(), &["--labels", "300"]);
    assert!(
        refused.contains("too few for 1600 of them as a test and 300 labels"),
        "{refused}"
    );
    let refused = PROGRAM.refusal(out.path(), &["--start", "40"]);
    assert!(refused.contains("beyond the end of 28"), "{refused}");
    let refused = PROGRAM.refusal(out.path(), &["--beta", "1e308"]);
    assert!(refused.contains("at most 1000000, got 1e308"), "{refused}");
    let refused = PROGRAM.refusal(out.path(), &["--seed", "-1"]);
    assert!(refused.contains("invalid value '-1'"), "{refused}");
    let refused = PROGRAM.refusal(out.path(), &["--target", "101"]);
    assert!(refused.contains("above 100 %"), "{refused}");
    let refused = PROGRAM.refusal(out.path(), &["--predict-samples", "1000000"]);
    assert!(
        refused.contains("1000000 draws of 16000 numbers"),
        "{refused}"
    );
}
