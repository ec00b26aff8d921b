//! The program from outside: what it reports, plots and refuses.

use example_support::program::{Program, assert_png};
use serde_json::Value;

const PROGRAM: Program<'static> = Program {
    path: env!("CARGO_BIN_EXE_gold"),
    settings: &[],
};

#[test]
fn the_posterior_itself_is_nearer_to_itself_than_a_single_network() {
    let folder = tempfile::tempdir().unwrap();
    let keep = folder.path().join("chains");
    let short = [
        "--points",
        "8",
        "--chains",
        "2",
        "--warm-up",
        "15",
        "--draws",
        "12",
    ];
    let other = ["--method", "map", "--keep", keep.to_str().unwrap()];
    let options: Vec<&str> = short.into_iter().chain(other).collect();
    let report = PROGRAM.report(folder.path(), &options);
    let distances = report["distances"].as_array().unwrap();
    assert_eq!(distances[0]["name"], "nuts");
    let gap = |way: usize| distances[way]["wasserstein_gap"].as_f64().unwrap();
    assert!(gap(0) < 0.5 * gap(1), "{report}");
    let run = report["folder"].as_str().unwrap();
    assert!(std::path::Path::new(&format!("{run}/draws.json")).is_file());
    for picture in ["bands.png", "trace.png", "ranks.png"] {
        assert_png(&format!("{run}/{picture}").into());
    }
    // The chains are there, so the second run only reads them.
    let again = PROGRAM.report(folder.path(), &options);
    assert_eq!(distances[0]["holds"], again["distances"][0]["holds"]);
    let other_prior: Vec<&str> = options.iter().copied().chain(["--prior", "2"]).collect();
    let refused = PROGRAM.refusal(folder.path(), &other_prior);
    assert!(refused.contains("is of another run"), "{refused}");
}

#[test]
fn a_prior_whose_deviation_is_sampled_is_another_posterior_with_one_weight_more() {
    let folder = tempfile::tempdir().unwrap();
    let short = ["--points", "8", "--chains", "2", "--warm-up", "15"];
    let of = |more: &[&str]| {
        let options = [&short[..], &["--draws", "12", "--method", "map"], more].concat();
        PROGRAM.report(folder.path(), &options)
    };
    let (fixed, learned) = (of(&[]), of(&["--learn-prior"]));
    let outside = |report: &Value| report["distances"][0]["std_outside"].as_f64().unwrap();
    assert!(outside(&learned).is_finite() && outside(&learned) != outside(&fixed));
    // The plain network is trained without a prior of the chains'.
    let map = |report: &Value| report["distances"][1]["std_outside"].clone();
    assert_eq!(map(&learned), map(&fixed));
    let draws = |report: &Value| {
        let run = report["folder"].as_str().unwrap();
        let text = std::fs::read_to_string(format!("{run}/draws.json")).unwrap();
        let draws: Value = serde_json::from_str(&text).unwrap();
        let weights = draws["posterior"].as_object().unwrap();
        weights.keys().cloned().collect::<Vec<_>>()
    };
    let (fixed, learned) = (draws(&fixed), draws(&learned));
    assert_eq!(learned.len(), fixed.len() + 1, "{learned:?}");
    assert!(
        learned.iter().any(|name| name.contains("log_scale")),
        "{learned:?}"
    );

    let folder = folder.path();
    let refused = PROGRAM.refusal(folder, &["--learn-prior", "--digits", "40"]);
    assert!(refused.contains("--learn-prior"), "{refused}");
}

/// Thirty rows and two splits of them, the target in parts of `unit`.
fn table(folder: &std::path::Path, unit: f64) -> &str {
    let rows: Vec<String> = (0..30)
        .map(|i| {
            let x = f64::from(i) / 10.0;
            let y = (2.0 * x).sin() + 0.1 * f64::from(i % 3);
            format!("{x},{}", unit * y)
        })
        .collect();
    std::fs::write(folder.join("data.csv"), rows.join("\n")).unwrap();
    std::fs::write(folder.join("test_splits.txt"), "3 9 21\n4 8\n").unwrap();
    folder.to_str().unwrap()
}

#[test]
fn a_target_of_a_small_unit_has_its_digits() {
    let folder = tempfile::tempdir().unwrap();
    let data = table(folder.path(), 1e-9);
    let short = ["--chains", "2", "--warm-up", "15", "--draws", "8"];
    let options = [&short[..], &["--method", "map", "--data", data]].concat();
    let output = PROGRAM.run(folder.path(), &options);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    for way in ["  nuts ", "  map "] {
        let line = text.lines().find(|line| line.starts_with(way));
        let line = line.unwrap_or_else(|| panic!("no `{way}` in {text}"));
        // The noise and the RMSE.
        assert_eq!(line.matches("e-").count(), 2, "{line}");
    }
}

#[test]
fn a_table_and_digits_are_compared_too() {
    let folder = tempfile::tempdir().unwrap();
    let data = table(folder.path(), 1.0);
    let short = ["--chains", "2", "--warm-up", "15", "--draws", "8"];
    let of = |task: &[&str]| {
        let method = ["--method", "map"];
        let options: Vec<&str> = short.iter().chain(&method).chain(task).copied().collect();
        PROGRAM.report(folder.path(), &options)
    };

    let report = of(&["--data", data, "--split", "1"]);
    let number = |way: usize, name: &str| report["distances"][way][name].as_f64().unwrap();
    // Of two sets of samples of one distribution, and of a network without a posterior.
    assert!(
        number(0, "wasserstein") < number(1, "wasserstein"),
        "{report}"
    );
    assert!(number(0, "epistemic") > 0.0 && number(1, "epistemic") == 0.0);
    assert_eq!(report["chains"], 2);

    let report = of(&["--digits", "40"]);
    let number = |way: usize, name: &str| report["distances"][way][name].as_f64().unwrap();
    assert_eq!(
        (number(0, "agreement"), number(0, "total_variation")),
        (1.0, 0.0)
    );
    assert!(number(1, "total_variation") > 0.0 && number(1, "agreement") < 1.0);
    assert!(number(0, "mutual_information") > 0.0 && number(1, "mutual_information") < 1e-9);
    for figure in ["accuracy", "nll", "ece"] {
        assert!(
            number(0, figure) > 0.0 && number(1, figure) > 0.0,
            "{report}"
        );
    }
    let run = report["folder"].as_str().unwrap();
    assert_png(&format!("{run}/trace.png").into());
}

#[cfg(unix)]
#[test]
fn draws_and_pictures_that_cannot_be_written_cost_the_comparison_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let short = ["--points", "8", "--chains", "2", "--warm-up", "15"];
    let options = [&short[..], &["--draws", "8", "--method", "map"]].concat();
    let report = PROGRAM.report_without_room(folder.path(), &options);
    assert_eq!(report["distances"].as_array().unwrap().len(), 2);
    let left_out = report["left_out"].as_array().unwrap().iter();
    let names: Vec<&str> = left_out
        .map(|file| file["name"].as_str().unwrap())
        .collect();
    let files = ["bands.png", "draws.json", "trace.png", "ranks.png"];
    assert_eq!(names, files, "{report}");
}

#[test]
fn a_folder_that_cannot_be_made_is_said_before_the_chains() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let short = ["--points", "8", "--warm-up", "15", "--draws", "12"];
    let refused = PROGRAM.refusal(&file.join("runs"), &short);
    assert!(refused.contains("cannot write to"), "{refused}");
    assert_eq!(refused.lines().count(), 1, "{refused}");
}

#[test]
fn what_is_wrong_is_said_in_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    for (options, named) in [
        (["--points", "3"], "--points"),
        (["--prior", "0"], "--prior"),
        (["--prior", "-1"], "--prior"),
        (["--draws", "2"], "at least 4"),
        (["--warm-up", "-5"], "at least 10"),
        (["--points", "-1"], "at least 4"),
        (["--seed", "-1"], "invalid value '-1'"),
        (["--chains", "10000000"], "at most 1000 chains"),
        (["--draws", "10000000"], "40000000 draws of 312 numbers"),
        (["--data", "nowhere"], "nowhere"),
        (["--split", "1"], "--data"),
        (["--missing", "NA"], "--data"),
        (["--prior", "5e-324"], "at least 1e-10"),
        (["--digits", "9"], "at least 10"),
        (["--digits", "1298"], "there are 1797 digits"),
    ] {
        let refused = PROGRAM.refusal(folder.path(), &options);
        assert!(refused.contains(named), "{refused}");
    }
    let many = ["--digits", "40", "--draws", "20000"];
    let refused = PROGRAM.refusal(folder.path(), &many);
    let size = "80000 draws of 8760 numbers";
    assert!(refused.contains(size), "{refused}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_score_of_a_table_that_is_not_finite_is_refused_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let data = table(folder.path(), 1.0);
    // A row of the second split's test.
    let file = folder.path().join("data.csv");
    let text = std::fs::read_to_string(&file).unwrap();
    let mut rows: Vec<&str> = text.lines().collect();
    rows[8] = "0.8,1e300";
    std::fs::write(&file, rows.join("\n")).unwrap();
    let short = ["--chains", "2", "--warm-up", "15", "--draws", "8"];
    let options = [
        &short[..],
        &["--method", "map", "--data", data, "--split", "1"],
    ]
    .concat();
    let refused = PROGRAM.refusal(folder.path(), &options);
    assert!(
        refused.contains("gold: the log likelihood of the test rows is"),
        "{refused}"
    );
}
