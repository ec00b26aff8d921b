//! The program from outside, with settings that take a few seconds.

use example_support::program::{Program, assert_png};

const PROGRAM: Program = Program {
    path: env!("CARGO_BIN_EXE_drift"),
    settings: &[
        "--days",
        "6",
        "--points",
        "12",
        "--steps",
        "60",
        "--predict-samples",
        "20",
        "--device",
        "flex",
    ],
};

#[test]
fn every_learner_reports_each_day_and_starts_alike() {
    let out = tempfile::tempdir().unwrap();
    let report = PROGRAM.report(out.path(), &[]);
    let learners = report["learners"].as_array().unwrap();
    assert_eq!(learners.len(), 4);
    for learner in learners {
        let days = learner["nll_by_day"].as_array().unwrap();
        assert_eq!(days.len(), 6);
        // Nobody has learnt anything before the first day, and all the same on it.
        assert_eq!(
            days[..2],
            learners[0]["nll_by_day"].as_array().unwrap()[..2]
        );
        let last = days[5].as_f64().unwrap();
        assert!(last < days[0].as_f64().unwrap(), "{learner}");
    }
    assert_png(&report["bands"]);
    assert_png(&report["course"]);
    let again = PROGRAM.report(out.path(), &[]);
    assert_eq!(report["learners"], again["learners"]);
}

#[cfg(unix)]
#[test]
fn pictures_that_cannot_be_written_cost_the_learners_nothing() {
    let out = tempfile::tempdir().unwrap();
    let arguments = ["--days", "2", "--steps", "2", "--discount", "0.9"];
    let report = PROGRAM.report_without_room(out.path(), &arguments);
    assert_eq!(report["learners"].as_array().unwrap().len(), 1);
    assert!(report["bands"].is_null() && report["course"].is_null());
    let left_out = report["left_out"].as_array().unwrap().iter();
    let names: Vec<&str> = left_out
        .map(|file| file["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["days.png", "last-day.png"], "{report}");
}

/// `/dev/full` takes nothing, as a disk that is full.
#[cfg(target_os = "linux")]
fn full() -> std::fs::File {
    let full = std::fs::File::options().write(true).open("/dev/full");
    full.unwrap()
}

#[cfg(target_os = "linux")]
const SHORT: [&str; 7] = ["--days", "2", "--steps", "1", "--discount", "0.9", "--json"];

#[cfg(target_os = "linux")]
#[test]
fn a_standard_error_that_takes_nothing_costs_the_report_nothing() {
    let out = tempfile::tempdir().unwrap();
    // One of the learners is left out, which is said too.
    let arguments = [&SHORT[..], &["--discount", "0.01", "--points", "2"]].concat();
    let mut command = PROGRAM.command(out.path(), &arguments);
    let output = command.stderr(full()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("\"learners\":["), "{text}");
    let mut refused = PROGRAM.command(out.path(), &["--discount", "1.5"]);
    let output = refused.stderr(full()).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_standard_output_that_takes_nothing_is_an_error_unless_its_reader_went_away() {
    let out = tempfile::tempdir().unwrap();
    let mut command = PROGRAM.command(out.path(), &SHORT);
    let output = command.stdout(full()).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let text = String::from_utf8(output.stderr).unwrap();
    let reason = "drift: cannot write to standard output: No space left";
    assert!(text.contains(reason), "{text}");

    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = PROGRAM.command(out.path(), &SHORT);
    let output = command.stdout(writer).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(!text.contains("standard output"), "{text}");
}

#[test]
fn the_largest_seed_and_the_largest_speed_are_taken() {
    let out = tempfile::tempdir().unwrap();
    let largest = u64::MAX.to_string();
    let arguments = ["--seed", &largest, "--speed", "1e6", "--days", "2"];
    let report = PROGRAM.report(out.path(), &[&arguments[..], &["--steps", "2"]].concat());
    assert_eq!(report["learners"].as_array().unwrap().len(), 4);
}

#[test]
fn the_least_discount_lives_through_days_on_which_most_weights_learn_nothing() {
    let out = tempfile::tempdir().unwrap();
    let arguments = ["--discount", "0.01", "--discount", "0.9", "--days", "12"];
    // Said twice, it is one learner.
    let again = ["--points", "4", "--discount", "0.9"];
    let report = PROGRAM.report(out.path(), &[&arguments[..], &again].concat());
    assert_eq!(report["learners"].as_array().unwrap().len(), 2, "{report}");
    assert_eq!(report["left_out"].as_array().unwrap().len(), 0);
}

/// What no point reaches is ten times wider after each night.
#[test]
fn a_learner_whose_numbers_overflow_is_left_out_with_its_reason() {
    let out = tempfile::tempdir().unwrap();
    let arguments = ["--discount", "0.01", "--discount", "0.9", "--days", "60"];
    let short = ["--points", "2", "--steps", "5"];
    let report = PROGRAM.report(out.path(), &[&arguments[..], &short].concat());
    assert_eq!(report["learners"][0]["name"], "discount 0.9");
    assert_eq!(report["left_out"][0]["name"], "discount 0.01");
    let reason = report["left_out"][0]["reason"].as_str().unwrap();
    assert!(reason.starts_with("day "), "{reason}");
    assert_png(&report["bands"]);
}

#[test]
fn what_is_wrong_is_said_in_one_sentence() {
    let out = tempfile::tempdir().unwrap();
    let refused = PROGRAM.refusal(out.path(), &["--discount", "1.5"]);
    let range = "from 0.01 to 1, or 0, got 1.5";
    assert!(refused.contains(range), "{refused}");
    for (arguments, reason) in [
        (&["--discount", "1e-300"][..], "or 0, got 1e-300"),
        (
            &["--speed", "1e308"],
            "at most 1000000 radians a day, got 1e308",
        ),
        (
            &["--days", "10000000", "--points", "10000000"],
            "10000000 days of 10000000 points are more than 10000000 points",
        ),
        (&["--seed", "-1"], "invalid value '-1'"),
        (
            &["--predict-samples", "1000000"],
            "a prediction from 1000000 draws",
        ),
    ] {
        let refused = PROGRAM.refusal(out.path(), arguments);
        assert!(refused.contains(reason), "{refused}");
    }
    let refused = PROGRAM.refusal(out.path(), &["--discount", "-0.5"]);
    assert!(refused.contains("-0.5"), "{refused}");
}
