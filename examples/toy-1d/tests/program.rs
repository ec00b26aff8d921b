//! The program from outside: what it reports, plots and refuses.

use example_support::program::{Program, assert_png};

const PROGRAM: Program<'static> = Program {
    path: env!("CARGO_BIN_EXE_toy-1d"),
    settings: &[],
};

#[test]
fn a_posterior_has_a_band_that_opens_away_from_the_points_and_a_single_network_has_none() {
    let folder = tempfile::tempdir().unwrap();
    let methods = ["--method", "map", "--method", "laplace"];
    let report = PROGRAM.report(folder.path(), &methods);
    let figures = report["figures"].as_array().unwrap();
    assert_eq!(
        (&figures[0]["name"], &figures[1]["name"]),
        (&"map".into(), &"laplace".into())
    );
    let std = |method: usize, place: &str| figures[method][place].as_f64().unwrap();
    for place in ["std_seen", "std_gap", "std_outside"] {
        assert_eq!(std(0, place), 0.0, "{place}");
    }
    assert!(std(1, "std_seen") > 0.0);
    assert!(std(1, "std_outside") > 2.0 * std(1, "std_seen"), "{report}");
    assert!(std(0, "rmse_seen") < 0.2, "{report}");
    assert_png(&report["plot"]);
    // The same seed, the same figures.
    let again = PROGRAM.report(folder.path(), &methods);
    for (a, b) in figures.iter().zip(again["figures"].as_array().unwrap()) {
        assert_eq!((&a["std_gap"], &a["holds"]), (&b["std_gap"], &b["holds"]));
    }
    assert_ne!(report["plot"], again["plot"]);
}

#[cfg(unix)]
#[test]
fn a_picture_that_cannot_be_written_costs_the_figures_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let report = PROGRAM.report_without_room(folder.path(), &["--method", "map"]);
    assert_eq!(report["figures"][0]["name"], "map");
    assert!(report["plot"].is_null(), "{report}");
    let left_out = report["left_out"].as_array().unwrap();
    assert_eq!(left_out.len(), 2, "{report}");
    for (file, name) in left_out.iter().zip(["bands.png", "bands.svg"]) {
        assert_eq!(file["name"], name);
        let reason = file["reason"].as_str().unwrap();
        assert!(reason.starts_with("cannot write the plot"), "{reason}");
    }
}

#[test]
fn the_device_that_is_named_is_the_only_one_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    // This build has no CUDA. The approximation reads the points from a data loader.
    let mut command = PROGRAM.command(folder.path(), &["--method", "laplace", "--device", "flex"]);
    let output = command.env("BURN_DEVICE", "cuda").output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn what_is_wrong_is_said_in_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    for points in ["3", "-1"] {
        let refused = PROGRAM.refusal(folder.path(), &["--points", points]);
        assert!(
            refused.contains("--points") && refused.contains("at least 4"),
            "{refused}"
        );
    }
    for compare in ["kl-weight", "initial-deviation"] {
        let both = ["--compare", compare, "--method", "map"];
        let refused = PROGRAM.refusal(folder.path(), &both);
        assert!(
            refused.contains("--method") && refused.contains(&format!("--compare {compare}")),
            "{refused}"
        );
    }
    let refused = PROGRAM.refusal(folder.path(), &["--device", "abacus"]);
    assert!(refused.contains("abacus"), "{refused}");
}
