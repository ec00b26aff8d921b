//! The program from outside, with settings that take a second.

use example_support::program::{Program, assert_png};

const PROGRAM: Program = Program {
    path: env!("CARGO_BIN_EXE_lstm-timeseries"),
    settings: &[
        "--epochs",
        "1",
        "--hidden",
        "4",
        "--window",
        "5",
        "--predict-samples",
        "8",
        "--batch-size",
        "128",
    ],
};

#[test]
fn a_run_reports_its_coverage_and_leaves_a_plot_and_a_model() {
    let out = tempfile::tempdir().unwrap();
    let report = PROGRAM.report(out.path(), &["--series", "sunspots"]);
    // 309 years, of which the first 5 have no window, and a fifth of the rest is held out.
    assert_eq!(
        (&report["n_train"], &report["n_test"]),
        (&244.into(), &60.into())
    );
    for share in ["coverage_50", "coverage_80", "coverage_95"] {
        let share = report[share].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&share));
    }
    assert_png(&report["plot"]);
    assert!(report["missing"].is_null());
    assert!(out.path().join("1/model.bpk").is_file());
    assert!(out.path().join("1/model.bpk.sha256").is_file());
    let digests = std::fs::read_dir(out.path().join("1/checkpoint")).unwrap();
    let is_digest = |path: std::path::PathBuf| path.extension() == Some("sha256".as_ref());
    let digests = digests.filter(|file| is_digest(file.as_ref().unwrap().path()));
    assert_eq!(digests.count(), 3);
}

/// The pixels of a picture in the hundred columns of its middle.
fn middle(path: &serde_json::Value) -> Vec<[u8; 3]> {
    let file = std::fs::File::open(path.as_str().unwrap()).unwrap();
    let mut reader = png::Decoder::new(file).read_info().unwrap();
    let mut bytes = vec![0; reader.output_buffer_size()];
    let picture = reader.next_frame(&mut bytes).unwrap();
    assert_eq!(picture.color_type, png::ColorType::Rgb);
    let first = 3 * (picture.width as usize / 2 - 50);
    let rows = bytes.chunks(picture.line_size);
    let columns = rows.flat_map(|row| row[first..first + 300].chunks_exact(3));
    columns
        .map(|pixel| [pixel[0], pixel[1], pixel[2]])
        .collect()
}

#[test]
fn a_single_forecast_is_seen_with_its_intervals() {
    let out = tempfile::tempdir().unwrap();
    let file = out.path().join("series.csv");
    // A window of 5 leaves five forecasts, of which the last is held out.
    std::fs::write(&file, "y\n3\n1\n4\n1\n5\n9\n2\n6\n5\n3\n").unwrap();
    let report = PROGRAM.report(out.path(), &["--data", file.to_str().unwrap()]);
    assert_eq!(report["n_test"], 1);
    let pixels = middle(&report["plot"]);
    let count = |is: &dyn Fn(&[u8; 3]) -> bool| pixels.iter().filter(|pixel| is(pixel)).count();
    let dot = count(&|pixel| *pixel == [0, 114, 178]);
    assert!(dot > 50, "{dot} pixels of the forecast");
    let intervals = count(&|[red, _, blue]| *red > 0 && *blue > red.saturating_add(20));
    assert!(intervals > 500, "{intervals} pixels of its intervals");
}

#[test]
fn where_there_is_no_forecast_none_is_drawn() {
    let out = tempfile::tempdir().unwrap();
    let file = out.path().join("series.csv");
    // 100 forecasts, of which the last 20 are held out: 10 on each side of a gap as long as both, in the middle of the
    // picture.
    let value = |time: usize| ((time * 37) % 11) as f64;
    let rows = (0..96)
        .chain(116..131)
        .map(|time| (time, Some(value(time))));
    let gap = (96..116).map(|time| (time, None));
    let mut rows: Vec<(usize, Option<f64>)> = rows.chain(gap).collect();
    rows.sort_by_key(|(time, _)| *time);
    let row = |(time, value): &(usize, Option<f64>)| match value {
        Some(value) => format!("{time},{value}\n"),
        None => format!("{time},\n"),
    };
    std::fs::write(&file, rows.iter().map(row).collect::<String>()).unwrap();
    let report = PROGRAM.report(out.path(), &["--data", file.to_str().unwrap()]);
    assert_eq!(report["missing"]["values"], 20, "{report}");
    let pixels = middle(&report["plot"]);
    let blue = |pixel: &&[u8; 3]| pixel[2] > pixel[0].saturating_add(20);
    assert_eq!(pixels.iter().filter(blue).count(), 0, "{report}");
}

#[test]
fn a_score_that_is_not_finite_is_refused_by_its_name() {
    let out = tempfile::tempdir().unwrap();
    let file = out.path().join("series.csv");
    let small = (0..99).map(|i| format!("{}e-130\n", (i * 37) % 11));
    let text = small.collect::<String>() + "1e30\n";
    std::fs::write(&file, text).unwrap();
    let refused = PROGRAM.refusal(out.path(), &["--data", file.to_str().unwrap()]);
    let reason = "lstm-timeseries: the NLL of the test rows is inf";
    assert!(refused.contains(reason), "{refused}");
}

#[test]
fn what_is_missing_is_in_the_report() {
    let out = tempfile::tempdir().unwrap();
    let file = out.path().join("clock.csv");
    let clock = |hour: usize| (0..12).map(move |five| 100 * hour + 5 * five);
    let rows = (0..10).flat_map(clock).enumerate();
    let rows = rows.map(|(i, time)| format!("{time},{}\n", i % 7));
    std::fs::write(&file, rows.collect::<String>()).unwrap();
    let report = PROGRAM.report(out.path(), &["--data", file.to_str().unwrap()]);
    assert_eq!(report["missing"]["values"], 72);
    assert_eq!(report["missing"]["gaps"], 9);
    assert_eq!(report["missing"]["first_line"], 13);
}

#[test]
fn the_same_seed_gives_the_same_report() {
    let report = || {
        let out = tempfile::tempdir().unwrap();
        let mut report = PROGRAM.report(out.path(), &["--series", "sunspots"]);
        for varying in ["seconds", "plot", "model"] {
            report[varying].take();
        }
        report
    };
    assert_eq!(report(), report());
}

#[test]
fn what_cannot_be_forecast_is_refused_with_its_reason() {
    let out = tempfile::tempdir().unwrap();
    let file = out.path().join("series.csv");
    let data = |text: &str| {
        std::fs::write(&file, text).unwrap();
        PROGRAM.refusal(out.path(), &["--data", file.to_str().unwrap()])
    };
    assert!(data("1\n2\nx\n").contains("series.csv, line 3, column 1: `x` is not a number"));
    assert!(
        data("1990,1\n1991,2\n1991,3\n")
            .contains("series.csv, line 3: the time `1991` is the same")
    );
    assert!(
        data("1990,1\n1991,9.97e36\n").contains("line 2, column 2: `9.97e36` is netCDF's mark")
    );
    assert!(data("1990,1\n1991,1e308\n").contains("line 2: `1e308` is too large"));
    assert!(data("a,b,c,d\n1,2,3,4\n").contains("line 1: 4 columns (a, b, c, d)"));
    assert!(data("10,5996\n10,6\n").contains("decimal comma"));
    assert!(data("0,1\n1,2\n").contains("--header yes"));
    assert!(data("").contains("there are no values"));
    assert!(data("1\n2\n3\n").contains("a window of 5 leaves 0 forecasts of the 3 values"));
    let tiny = format!("y\n{}5e-324\n{}", "0\n".repeat(30), "0\n".repeat(30));
    assert!(
        data(&tiny).contains("its steps can't be scaled"),
        "{}",
        data(&tiny)
    );
    let long = "1\n2\n".repeat(20_000);
    std::fs::write(&file, &long).unwrap();
    let long = ["--data", file.to_str().unwrap(), "--window", "15000"];
    let refused = PROGRAM.refusal(out.path(), &long);
    assert!(
        refused.contains("25000 windows of 15000 values"),
        "{refused}"
    );
    let local = PROGRAM.refusal(out.path(), &["--estimator", "local"]);
    assert!(local.contains("shared weights or flipout"), "{local}");
    let wide = PROGRAM.refusal(out.path(), &["--hidden", "10000000"]);
    assert!(wide.contains("400000050000000 weights"), "{wide}");
    let draws = PROGRAM.refusal(out.path(), &["--predict-samples", "1000000"]);
    assert!(draws.contains("a prediction from 1000000 draws"), "{draws}");
    let device = PROGRAM.refusal(out.path(), &["--device", "abacus"]);
    assert!(device.contains("no device is called `abacus`"), "{device}");
}
