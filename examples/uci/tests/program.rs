//! The program from outside: what it refuses, what it keeps, and what it reports.

use std::fs;
use std::path::Path;

use example_support::program::Program;
use serde_json::Value;

const PROGRAM: Program<'static> = Program {
    path: env!("CARGO_BIN_EXE_uci"),
    settings: &["--method", "map"],
};

/// Forty rows on a line with a wave for noise, whose sum has many digits, and two splits of them.
fn data(folder: &Path) -> String {
    let rows: Vec<String> = (0..40)
        .map(|i| f64::from(i) / 10.0)
        .map(|x| {
            format!(
                "{x},{},{}",
                (2.0 * x).cos(),
                3.0 * x + 0.2 * (7.0 * x).sin()
            )
        })
        .collect();
    fs::write(folder.join("data.csv"), rows.join("\n")).unwrap();
    fs::write(folder.join("test_splits.txt"), "0 7 13 20\n1 8 14 39\n").unwrap();
    folder.to_str().unwrap().to_string()
}

#[test]
fn a_report_has_the_scores_of_all_splits_and_a_stopped_run_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (data(folder.path()), folder.path().join("out"));
    let one = PROGRAM.report(&out, &["--data", &data, "--splits", "1"]);
    let kept = fs::read_to_string(out.join("split-0.json")).unwrap();
    let two = PROGRAM.report(&out, &["--data", &data, "--splits", "2"]);
    assert_eq!(kept, fs::read_to_string(out.join("split-0.json")).unwrap());
    assert_eq!(
        (one["splits"].as_u64(), two["splits"].as_u64()),
        (Some(1), Some(2))
    );
    for field in ["coverage_50", "coverage_95"] {
        assert!(two[field].as_f64().unwrap().is_finite(), "{field}");
    }
    // One split has no standard error.
    for field in ["rmse", "ll"] {
        assert!(one[field]["standard_error"].is_null(), "{one}");
        assert!(
            two[field]["standard_error"].as_f64().unwrap() > 0.0,
            "{two}"
        );
    }
    // A line is learnt to its noise.
    assert!(two["rmse"]["mean"].as_f64().unwrap() < 1.0, "{two}");
    // As a loss of power leaves a file that no program waited for: the split is made again, to the same numbers.
    let split = out.join("split-0.json");
    fs::write(&split, "").unwrap();
    let output = PROGRAM.run(&out, &["--data", &data, "--splits", "1", "--json"]);
    let said = String::from_utf8_lossy(&output.stderr);
    let reason = "split-0.json: the bytes are not those of its digest";
    assert!(output.status.success() && said.contains(reason), "{said}");
    let again: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(!fs::read(&split).unwrap().is_empty());
    assert_eq!(
        (&again["rmse"]["mean"], &again["ll"]["mean"]),
        (&one["rmse"]["mean"], &one["ll"]["mean"])
    );
}

#[test]
fn noise_that_depends_on_the_inputs_is_learned_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let data = data(folder.path());
    // Two kinds of rows: of small steps up and down, and of large ones.
    let rows = (0..80).map(|i| {
        let (x, kind) = (f64::from(i % 7) / 3.0 - 1.0, f64::from(i % 2));
        let step = (0.02 + kind) * if i % 4 < 2 { 1.0 } else { -1.0 };
        format!("{x},{kind},{}\n", x + step)
    });
    fs::write(folder.path().join("data.csv"), rows.collect::<String>()).unwrap();
    let out = |name| folder.path().join(name);
    let data = ["--data", &data];
    let by_inputs = [data[0], data[1], "--noise", "inputs"];
    let ll = |report: &Value| report["ll"]["mean"].as_f64().unwrap();
    let (one, inputs) = (
        PROGRAM.report(&out("one"), &data),
        PROGRAM.report(&out("inputs"), &by_inputs),
    );
    // Half of the rows are known to a fiftieth.
    assert!(ll(&inputs) > ll(&one) + 0.5, "{inputs} {one}");
    assert_eq!(inputs["noise"], "inputs");
    // Neither goes on with what the other kept.
    for (folder, options) in [("one", &by_inputs[..]), ("inputs", &data)] {
        assert_eq!(PROGRAM.run(&out(folder), options).status.code(), Some(2));
    }
    let laplace = Program {
        settings: &["--method", "laplace"],
        ..PROGRAM
    };
    let refused = laplace.run(&out("laplace"), &by_inputs);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(
        said.contains("where the noise depends on the inputs"),
        "{said}"
    );
    assert_eq!(refused.status.code(), Some(2));
}

#[test]
fn a_target_of_a_small_unit_has_its_digits() {
    let folder = tempfile::tempdir().unwrap();
    let data = data(folder.path());
    let table = folder.path().join("data.csv");
    let rows = fs::read_to_string(&table).unwrap();
    let small = rows.lines().map(|row| format!("{row}e-9\n"));
    fs::write(&table, small.collect::<String>()).unwrap();
    let output = PROGRAM.run(&folder.path().join("out"), &["--data", &data]);
    assert!(output.status.success(), "{output:?}");
    let [text, progress] =
        [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    let words = |name: &str, text: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        let line = line.unwrap_or_else(|| panic!("no `{name}` in {text}"));
        let numbers = line.split([' ', ',']).filter(|word| word.contains("e-"));
        numbers.map(str::to_string).collect::<Vec<_>>()
    };
    let rmse = words("this run", &text);
    assert_eq!((rmse.len(), words("CRPS", &text).len()), (1, 2), "{text}");
    assert_eq!(words("split 1 of 1", &progress), rmse, "{progress}");
}

#[test]
fn a_split_without_a_prediction_costs_the_others_nothing_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (data(folder.path()), folder.path().join("out"));
    let table = folder.path().join("data.csv");
    let text = fs::read_to_string(&table).unwrap();
    // Row 7, which the first split tests on.
    assert!(text.contains("\n0.7,"));
    fs::write(&table, text.replacen("\n0.7,", "\n1e100,", 1)).unwrap();
    let report = PROGRAM.report(&out, &["--data", &data, "--splits", "2"]);
    assert_eq!(report["splits"], 1);
    let left_out = report["left_out"].as_array().unwrap();
    assert_eq!(
        (left_out.len(), &left_out[0]["name"]),
        (1, &"split 0".into())
    );
    let reason = left_out[0]["reason"].as_str().unwrap();
    assert!(reason.starts_with("row 7: "), "{reason}");
    assert!(out.join("split-1.json").exists() && !out.join("split-0.json").exists());
}

#[test]
fn a_split_that_cannot_be_scaled_costs_the_others_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (data(folder.path()), folder.path().join("out"));
    // A number below the deviations, in the training rows of the first split alone.
    let rows = (0..40).map(|i| format!("{},{i},{}\n", if i == 8 { "5e-324" } else { "0" }, 2 * i));
    fs::write(
        folder.path().join("data.csv"),
        format!("a,b,y\n{}", rows.collect::<String>()),
    )
    .unwrap();
    let report = PROGRAM.report(&out, &["--data", &data, "--splits", "2"]);
    assert_eq!(report["splits"], 1);
    assert_eq!(report["left_out"][0]["name"], "split 0");
    let reason = report["left_out"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("column 1 (a)"), "{reason}");
}

#[test]
fn a_split_with_a_score_that_is_not_finite_is_left_out_in_every_run() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (data(folder.path()), folder.path().join("out"));
    let table = folder.path().join("data.csv");
    let rows = fs::read_to_string(&table).unwrap();
    // The target of row 7, which the first split tests on.
    let row = rows.lines().nth(7).unwrap();
    let (inputs, _) = row.rsplit_once(',').unwrap();
    fs::write(&table, rows.replace(row, &format!("{inputs},1e200"))).unwrap();
    for _ in 0..2 {
        let refused = PROGRAM.refusal(&out, &["--data", &data, "--splits", "1"]);
        let reason = "uci: split 0, seed 42: the log likelihood of the test rows is -inf";
        assert!(refused.contains(reason), "{refused}");
        assert!(!out.join("split-0.json").exists());
    }
}

#[cfg(unix)]
#[test]
fn a_split_that_cannot_be_kept_is_reported_and_the_report_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (data(folder.path()), folder.path().join("out"));
    PROGRAM.report(&out, &["--data", &data, "--splits", "1"]);
    let report = PROGRAM.report_without_room(&out, &["--data", &data, "--splits", "2"]);
    assert_eq!(report["splits"], 2);
    let left_out = report["left_out"].as_array().unwrap();
    assert_eq!(left_out.len(), 1, "{report}");
    assert_eq!(left_out[0]["name"], "what is kept of split 1");
    let reason = left_out[0]["reason"].as_str().unwrap();
    assert!(reason.contains("split-1.json: "), "{reason}");
}

#[test]
fn what_is_wrong_is_said_in_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (data(folder.path()), folder.path().join("out"));
    let refused = PROGRAM.refusal(&out, &["--data", &data, "--splits", "3"]);
    assert!(
        refused.contains("has 2 splits, 3 were asked for"),
        "{refused}"
    );
    let refused = PROGRAM.refusal(&out, &["--splits", "-1"]);
    assert!(refused.contains("at least 1"), "{refused}");
    let refused = PROGRAM.refusal(&out, &["--data", "nowhere"]);
    assert!(refused.contains("there is no file nowhere"), "{refused}");
    PROGRAM.report(&out, &["--data", &data, "--splits", "1"]);
    let refused = PROGRAM.refusal(&out, &["--data", &data, "--splits", "1", "--seed", "7"]);
    assert!(
        refused.contains("parts of a run with another seed"),
        "{refused}"
    );
    // One number of the data, then one of the splits.
    let (table, splits) = (
        folder.path().join("data.csv"),
        folder.path().join("test_splits.txt"),
    );
    for (file, from, to) in [(&table, "0.3,", "0.31,"), (&splits, "20", "21")] {
        let text = fs::read_to_string(file).unwrap();
        assert!(text.contains(from));
        fs::write(file, text.replacen(from, to, 1)).unwrap();
        let refused = PROGRAM.refusal(&out, &["--data", &data, "--splits", "1"]);
        assert!(
            refused.contains("parts of a run with another data"),
            "{refused}"
        );
        fs::write(file, text).unwrap();
    }
}

#[test]
fn a_split_that_leaves_one_row_to_train_with_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("data.csv"), "x,y\n1,2\n2,3\n").unwrap();
    fs::write(folder.path().join("test_splits.txt"), "0\n").unwrap();
    let data = folder.path().to_str().unwrap();
    let refused = PROGRAM.refusal(&folder.path().join("out"), &["--data", data]);
    assert!(
        refused.contains("leaves 1 of 2 rows to train with"),
        "{refused}"
    );
}
