//! Runs over all splits of a file.

use super::{PROGRAM, assert_has, exists, folder, line, refusal, text, write};

#[test]
fn a_split_that_fails_leaves_the_summary_of_the_others() {
    let (tables, out) = (folder(), folder());
    // A number that only a network trained on it can take: row 0 is tested in split 0.
    let far = line(40).replacen("\n", "\n1e100,1,5\n", 1);
    let data = write(&tables, "line.csv", &far);
    let splits = write(&tables, "splits.txt", "0 5 9\n1 2 20 30\n");
    let arguments = ["--data", &data, "--splits-file", &splits, "--split", "all"];
    let summary = PROGRAM.report(out.path(), &arguments);
    assert_eq!(summary["splits"], 1);
    assert_eq!(summary["reports"][0]["split"], "split 1");
    let left_out = &summary["left_out"][0];
    assert_eq!(left_out["name"], "split 0");
    let reason = left_out["reason"].as_str().unwrap();
    assert!(reason.contains("row 0"), "{reason}");

    // A number below the deviations, in the training rows of split 0 alone.
    let rows = (1..40).map(|i| format!("0,{i},{}\n", 2 * i));
    let tiny = format!("a,b,y\n5e-324,0,0\n{}", rows.collect::<String>());
    let file = write(&tables, "tiny.csv", &tiny);
    let tested = write(&tables, "tested.txt", "5 9\n0 1\n");
    let arguments = ["--data", &file, "--splits-file", &tested, "--split", "all"];
    let summary = PROGRAM.report(folder().path(), &arguments);
    assert_eq!(summary["reports"][0]["split"], "split 1");
    let reason = summary["left_out"][0]["reason"].as_str().unwrap();
    assert_has(reason, &["column 1 (a)", "can't be scaled"]);

    let alone = write(&tables, "alone.txt", "0 5 9\n0 1\n");
    let arguments = ["--data", &data, "--splits-file", &alone, "--split", "all"];
    let lines = refusal(folder().path(), &arguments);
    let message = lines.last().expect("a reason");
    assert_has(message, &["split 0", "split 1", "row 0"]);
}

#[test]
fn a_split_with_a_score_that_is_not_finite_costs_the_others_nothing() {
    let (tables, out) = (folder(), folder());
    // The target of row 0 is tested in split 0. In split 1 it is a training row, whose scale the others share.
    let small = (1..40).map(|i| format!("{i},{},{}e-100\n", i % 7, 2 * i));
    let far = format!("a,b,y\n0,0,1e100\n{}", small.collect::<String>());
    let data = write(&tables, "line.csv", &far);
    let splits = write(&tables, "splits.txt", "0 5 9\n1 2 20 30\n");
    let arguments = ["--data", &data, "--splits-file", &splits];
    let message = refusal(out.path(), &[&arguments[..], &["--split", "0"]].concat());
    let message = message.last().expect("a reason");
    assert_has(message, &["regression: the NLL of the test rows is inf"]);
    let out = folder();
    let summary = PROGRAM.report(out.path(), &[&arguments[..], &["--split", "all"]].concat());
    assert_eq!(summary["reports"][0]["split"], "split 1", "{summary}");
    let reason = summary["left_out"][0]["reason"].as_str().unwrap();
    assert_has(reason, &["the NLL of the test rows is inf"]);
}

#[test]
fn all_splits_of_a_file_end_in_their_means() {
    let (tables, out) = (folder(), folder());
    let data = write(&tables, "line.csv", &line(40));
    let splits = write(&tables, "splits.txt", "0 5 9\n1 2 20 30\n");
    let arguments = ["--data", &data, "--splits-file", &splits, "--split", "all"];
    let output = PROGRAM.run(out.path(), &arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let summary = text(&output.stdout);
    assert_has(
        summary,
        &[
            "line.csv, 2 splits",
            "mean ± standard error",
            out.path().to_str().unwrap(),
        ],
    );
    let rmse = summary
        .lines()
        .find(|line| line.contains("test RMSE"))
        .expect("an error");
    assert!(rmse.contains('±') && rmse.ends_with("units of y"), "{rmse}");
    for name in ["model.bpk", "intervals.png", "config.json"] {
        assert!(
            exists(out.path(), &format!("split-0/{name}"))
                && exists(out.path(), &format!("split-1/{name}"))
        );
    }

    let summary = PROGRAM.report(out.path(), &arguments);
    assert_eq!(summary["splits"], 2);
    for (k, tested) in [(0, 3), (1, 4)] {
        assert_eq!(summary["reports"][k]["n_test"], tested);
        assert_eq!(summary["reports"][k]["split"], format!("split {k}"));
    }
    for key in ["rmse", "nll", "width_95"] {
        let [a, b] = [0, 1].map(|k| summary["reports"][k][key].as_f64().unwrap());
        let mean = summary[key]["mean"].as_f64().unwrap();
        let error = summary[key]["standard_error"].as_f64().unwrap();
        // Of two values, the standard error is half of their difference.
        assert!((mean - (a + b) / 2.0).abs() < 1e-9 * mean.abs(), "{key}");
        assert!(
            (error - (a - b).abs() / 2.0).abs() < 1e-9 * mean.abs(),
            "{key}"
        );
        assert_ne!(a, b, "{key}");
    }
}

#[test]
fn all_splits_of_a_file_of_one_are_summed_up_as_of_any_other() {
    let (tables, out) = (folder(), folder());
    let data = write(&tables, "line.csv", &line(40));
    let splits = write(&tables, "splits.txt", "0 5 9\n");
    let arguments = ["--data", &data, "--splits-file", &splits, "--split", "all"];
    let summary = PROGRAM.report(out.path(), &arguments);
    assert_eq!(summary["splits"], 1);
    assert_eq!(summary["reports"][0]["split"], "split 0");
    assert!(exists(out.path(), "split-0/model.bpk"));
}

#[test]
fn splits_that_had_not_begun_start_when_all_splits_resume() {
    let (tables, out) = (folder(), folder());
    let data = write(&tables, "line.csv", &line(40));
    let splits = write(&tables, "splits.txt", "0 5 9\n1 2 20 30\n");
    let arguments = ["--data", &data, "--splits-file", &splits, "--split", "all"];
    let straight = PROGRAM.report(out.path(), &arguments);
    std::fs::remove_dir_all(out.path().join("split-1")).unwrap();
    let resumed = PROGRAM.report(out.path(), &[&arguments[..], &["--resume"]].concat());
    assert_eq!(straight["rmse"], resumed["rmse"]);
}
