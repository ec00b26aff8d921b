//! What is refused, by name and value, before anything is trained.

use std::path::PathBuf;

use super::{
    PROGRAM, assert_has, folder, folder_of_a_run, line, one_line_refusal, refusal, snapshot, text,
    used_folder, write,
};

#[test]
fn malformed_table_is_refused_by_line_and_column_and_the_folder_stays_as_it_was() {
    let (tables, out) = (folder(), used_folder());
    let before = snapshot(out.path());
    for (table, parts) in [
        ("", &["no row of data"] as &[&str]),
        ("\n\n", &["no row of data"]),
        ("a,b,y\n", &["no row of data"]),
        ("y\n1\n2\n", &["line 1", "1 column"]),
        (
            "a,b,y\n1,2,3\n1,six,3\n",
            &["line 3", "column 2 (b)", "`six`"],
        ),
        ("1,2,4\n1,2,3$\n", &["line 2", "column 3", "`3$`"]),
        ("a,b,y\n1,2,3\n1,,3\n", &["line 3", "column 2 (b)", "empty"]),
        ("a,b,y\n1,2,3\n1,2\n", &["line 3", "2 cells", "has 3"]),
        ("a,b,y\n1,2,3,4\n", &["line 2", "4 cells", "has 3"]),
        (
            "a,b,y\n1,2,NaN\n",
            &["line 2", "column 3 (y)", "`NaN`", "not a finite number"],
        ),
    ] {
        let file = write(&tables, "houses.csv", table);
        let message = one_line_refusal(out.path(), &["--data", &file]);
        assert_has(&message, parts);
        assert_has(&message, &[&file]);
    }
    let missing = tables.path().join("nowhere.csv");
    let missing = missing.to_str().unwrap();
    assert_has(
        &one_line_refusal(out.path(), &["--data", missing]),
        &[missing],
    );
    assert_eq!(before, snapshot(out.path()));
}

#[test]
fn setting_out_of_range_is_refused_by_name_and_value_and_the_folder_stays_as_it_was() {
    let out = used_folder();
    let before = snapshot(out.path());
    for arguments in [
        ["--samples", "0"],
        ["--epochs", "0"],
        ["--hidden", "0"],
        ["--batch-size", "0"],
        ["--predict-samples", "0"],
        ["--lr", "-1"],
        ["--lr", "0"],
        ["--lr", "2"],
        ["--lr", "NaN"],
        ["--lr", "fast"],
        ["--seed", "1.5"],
        ["--split", "first"],
    ] {
        let [option, value] = arguments;
        let lines = refusal(out.path(), &arguments);
        assert_has(&lines[0], &[option, &format!("'{value}'")]);
    }
    let message = one_line_refusal(out.path(), &["--hidden", "10000000"]);
    assert_has(&message, &["140000000 weights", "100000000"]);
    let tables = folder();
    // A tenth of the rows is tested.
    let data = write(&tables, "long.csv", &line(2000));
    let draws = ["--data", &data, "--predict-samples", "1000000"];
    let message = one_line_refusal(out.path(), &draws);
    assert_has(&message, &["1000000 draws of 200 numbers", "200000000"]);
    let message = one_line_refusal(out.path(), &["--samples", "65536"]);
    assert_has(&message, &["samples", "65536", "65535"]);
    assert_eq!(before, snapshot(out.path()));
}

#[test]
fn split_that_does_not_exist_is_refused_by_its_number() {
    let (tables, out) = (folder(), used_folder());
    let before = snapshot(out.path());
    let message = one_line_refusal(out.path(), &["--split", "20"]);
    assert_has(&message, &["no split 20", "20 splits"]);

    let data = write(&tables, "line.csv", &line(20));
    for (splits, choice, parts) in [
        ("0 1\n2\n", "2", &["2 splits", "no split 2"] as &[&str]),
        ("0 1\n2 20\n", "1", &["line 2", "no row 20", "20 rows"]),
        ("0 one\n", "0", &["line 1", "`one`"]),
        ("3 3\n", "0", &["line 1", "row 3", "twice"]),
        ("0 1\n2 20\n", "all", &["line 2", "no row 20"]),
        ("", "all", &["0 splits"]),
    ] {
        let file = write(&tables, "splits.txt", splits);
        let arguments = ["--data", &data, "--splits-file", &file, "--split", choice];
        let message = one_line_refusal(out.path(), &arguments);
        assert_has(&message, parts);
        assert_has(&message, &[&file]);
    }
    let message = one_line_refusal(out.path(), &["--data", &data, "--split", "all"]);
    assert_has(&message, &["`--split all`", "--splits-file"]);
    assert_eq!(before, snapshot(out.path()));
}

#[test]
fn unknown_device_is_refused_with_those_compiled_in() {
    let out = used_folder();
    let before = snapshot(out.path());
    let message = one_line_refusal(out.path(), &["--device", "abacus"]);
    assert_has(&message, &["`abacus`"]);
    if cfg!(feature = "flex") {
        assert_has(&message, &["flex"]);
    }
    assert_eq!(before, snapshot(out.path()));
}

#[test]
fn folder_that_cannot_be_made_is_named_and_what_is_in_its_way_is_kept() {
    let parent = folder();
    let file = PathBuf::from(write(&parent, "file", "kept"));
    for out in [file.clone(), file.join("runs"), file.join("runs/deep")] {
        let message = one_line_refusal(&out, &[]);
        assert_has(&message, &["cannot write", out.to_str().unwrap()]);
    }
    assert_eq!(std::fs::read(file).unwrap(), b"kept");
    assert_eq!(snapshot(parent.path()).len(), 1);
}

#[test]
fn model_that_cannot_be_written_is_named() {
    let out = folder_of_a_run();
    std::fs::create_dir(out.path().join("model.bpk")).unwrap();
    let lines = refusal(out.path(), &[]);
    let message = lines.last().expect("a message");
    assert!(message.starts_with("regression: cannot "), "{message}");
    assert_has(message, &[out.path().to_str().unwrap(), "model.bpk"]);
}

#[test]
fn a_dashboard_without_a_terminal_is_refused_before_anything_is_made() {
    let out = folder();
    let refused = PROGRAM.refusal(out.path(), &["--dashboard"]);
    assert_has(&refused, &["--dashboard", "standard output is no terminal"]);
    assert_eq!(std::fs::read_dir(out.path()).unwrap().count(), 0);
}

#[test]
fn log_that_cannot_be_written_is_named() {
    let out = folder_of_a_run();
    write(&out, "train", "");
    let message = refusal(out.path(), &[]).join("\n");
    assert_has(&message, &["cannot write", out.path().to_str().unwrap()]);

    let out = folder_of_a_run();
    std::fs::create_dir(out.path().join("experiment.log")).unwrap();
    let message = refusal(out.path(), &[]).join("\n");
    assert_has(&message, &["cannot write", out.path().to_str().unwrap()]);
}

#[test]
fn absurd_sizes_are_refused() {
    let out = folder();
    let largest = usize::MAX.to_string();
    for option in ["--batch-size", "--epochs"] {
        let lines = refusal(out.path(), &[option, &largest]);
        assert_has(&lines.join("\n"), &[option.trim_start_matches('-')]);
    }
}

#[test]
fn column_whose_deviation_overflows_is_named_before_anything_is_written() {
    let (tables, out) = (folder(), folder());
    let rows: String = (1..60).map(|i| format!("{i},{i}e200,{i}\n")).collect();
    let data = write(&tables, "large.csv", &format!("small,large,y\n{rows}"));
    let message = one_line_refusal(out.path(), &["--data", &data]);
    assert_has(&message, &["column 2", "large"]);
    assert_eq!(std::fs::read_dir(out.path()).unwrap().count(), 0);
}

#[test]
fn a_device_that_is_named_is_all_that_is_asked_for() {
    let out = folder();
    let run = |variable: &str, options: &[&str]| {
        let mut command = PROGRAM.command(out.path(), options);
        let command = command.env("BURN_DEVICE", variable);
        command.output().expect("the program starts")
    };
    for (variable, options) in [("cuda", &["--device", "flex"][..]), ("", &[]), (" ", &[])] {
        let output = run(variable, options);
        assert!(output.status.success(), "`{variable}`: {output:?}");
        // Burn alone reads an optimizer's checkpoint elsewhere.
        let output = run(
            variable,
            &[options, &["--epochs", "4", "--resume"]].concat(),
        );
        assert_eq!(output.status.code(), Some(2), "`{variable}`: {output:?}");
        let message = text(&output.stderr);
        assert_has(message, &["set BURN_DEVICE to the backend of", "unset it"]);
        assert!(!message.contains("panicked"), "{message}");
    }
}

#[test]
fn device_of_the_environment_is_refused_by_name_too() {
    let out = folder();
    let output = PROGRAM
        .command(out.path(), &[])
        .env("BURN_DEVICE", "abacus")
        .output()
        .expect("the program starts");
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert_has(message, &["`abacus`", "flex"]);
    assert_eq!(message.lines().count(), 1, "{message}");
}
