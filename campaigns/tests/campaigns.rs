//! The short forms, so that no campaign rots between two long ones.

use std::process::Command;

use serde_json::Value;

/// The counts of a short campaign that missed nothing.
fn counts(arguments: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_campaigns"))
        .args(arguments)
        .output()
        .expect("the program starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {stderr}");
    let stdout = String::from_utf8(output.stdout).expect("text");
    let line = stdout.lines().last().expect("a line of JSON");
    let summary: Value = serde_json::from_str(line).expect("JSON");
    assert_eq!(summary["missed"], 0);
    assert_eq!(summary["campaign"], arguments[0]);
    summary["counts"].clone()
}

fn run(arguments: &[&str], temporary: Option<&str>) -> (Option<i32>, String, String) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_campaigns"));
    if let Some(folder) = temporary {
        program.env("TMPDIR", folder);
    }
    let output = program.args(arguments).output();
    let output = output.expect("the program starts");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn a_campaign_that_tried_nothing_has_missed_its_goal() {
    for campaign in ["disk", "threads", "damage", "memory", "inference"] {
        for none in [["--count", "0"], ["--seconds", "0"]] {
            let (code, stdout, stderr) = run(&[&[campaign][..], &none].concat(), None);
            assert_eq!(code, Some(1), "{campaign}: {stderr}");
            assert!(stdout.contains("\"missed\":1"), "{campaign}: {stdout}");
            assert!(stderr.contains("MISSED: "), "{campaign}: {stderr}");
        }
    }
}

#[cfg(unix)]
#[test]
fn a_campaign_without_room_for_its_files_says_so() {
    for campaign in ["damage", "kill", "disk"] {
        let (code, stdout, stderr) = run(&[campaign, "--count", "1"], Some("/nonexistent"));
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{stderr}");
        let reason = "campaigns: no room for temporary files in /nonexistent: ";
        assert!(stderr.starts_with(reason), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_standard_output_that_takes_nothing_is_said() {
    let full = std::fs::File::options().write(true).open("/dev/full");
    let mut program = Command::new(env!("CARGO_BIN_EXE_campaigns"));
    program.args(["threads", "--count", "1"]);
    let output = program.stdout(full.expect("/dev/full")).output();
    let output = output.expect("the program starts");
    let stderr = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(
        stderr.contains("cannot write to standard output"),
        "{stderr}"
    );
}

#[cfg(unix)]
#[test]
fn a_killed_training_goes_on_and_a_signal_ends_one_in_order() {
    let counts = counts(&["kill", "--count", "2"]);
    assert_eq!(counts["trainings"], 2.0);
    assert_eq!(counts["signals"], 2.0);
}

#[test]
fn every_reader_is_damaged_once() {
    let counts = counts(&["damage", "--count", "50"]);
    assert_eq!(counts["trials"], 50.0);
    let readers = counts["readers"].as_f64().expect("the number of readers");
    assert!(readers <= 50.0, "{readers} readers, of which 50 are tried");
}

#[cfg(unix)]
#[test]
fn a_full_disk_and_impossible_folders_are_errors() {
    assert_eq!(counts(&["disk", "--count", "4"])["trials"], 4.0);
}

#[test]
fn threads_do_not_disturb_each_other() {
    assert_eq!(counts(&["threads", "--count", "1"])["rounds"], 1.0);
}

#[test]
fn memory_is_watched() {
    assert_eq!(counts(&["memory", "--count", "8"])["predictions"], 8.0);
    assert_eq!(counts(&["inference", "--count", "8"])["predictions"], 8.0);
}
