//! Whose a folder is, and what becomes of an earlier run in it.

use tempfile::TempDir;

use super::{
    PROGRAM, STEPS_PER_EPOCH, assert_has, checkpoints, exists, folder, folder_of_a_run,
    one_line_refusal, snapshot, steps, text,
};

#[test]
fn second_training_in_a_folder_is_as_if_it_were_the_first() {
    let (used, fresh) = (folder(), folder());
    PROGRAM.report(used.path(), &["--epochs", "4"]);
    let old_plot = std::fs::read(used.path().join("intervals.png")).unwrap();
    let second = PROGRAM.report(used.path(), &["--seed", "7"]);
    let alone = PROGRAM.report(fresh.path(), &["--seed", "7"]);
    for key in ["rmse", "nll", "width_95", "rows"] {
        assert_eq!(second[key], alone[key], "{key}");
    }
    let read = |out: &TempDir, name| std::fs::read(out.path().join(name)).unwrap();
    assert!(read(&used, "intervals.png") == read(&fresh, "intervals.png"));
    assert!(read(&used, "intervals.png") != old_plot);
    assert_eq!(read(&used, "config.json"), read(&fresh, "config.json"));
    // The first training's epoch 4 is not what the second resumes from.
    assert_eq!(checkpoints(used.path()), [2, 3]);
    PROGRAM.report(used.path(), &["--seed", "7", "--resume"]);
    assert_eq!(steps(&used.path().join("model.bpk")), 3 * STEPS_PER_EPOCH);
    assert_has(
        &one_line_refusal(used.path(), &["--epochs", "4", "--resume"]),
        &["other settings"],
    );
}

#[test]
fn a_run_that_was_being_put_aside_when_its_program_was_killed_is_put_aside_whole() {
    let out = folder();
    let settings = ["--epochs", "1"];
    assert!(PROGRAM.run(out.path(), &settings).status.success());
    let model = std::fs::read(out.path().join("model.bpk")).unwrap();
    // As a kill between two renames leaves it.
    let part = out.path().join("previous.part");
    std::fs::create_dir(&part).unwrap();
    for name in ["config.json", "model.bpk"] {
        std::fs::rename(out.path().join(name), part.join(name)).unwrap();
    }
    assert!(PROGRAM.run(out.path(), &settings).status.success());
    let previous = out.path().join("previous");
    assert_eq!(std::fs::read(previous.join("model.bpk")).unwrap(), model);
    for name in ["config.json", "model.bpk.sha256", "checkpoint/model-1.bpk"] {
        assert!(exists(&previous, name), "{name}");
    }
    assert!(!part.exists() && exists(out.path(), "model.bpk"));
}

#[test]
fn what_no_run_left_in_the_folder_is_refused_and_stays() {
    for name in [
        "checkpoint/model-400.bpk",
        "train/mine.csv",
        "previous/mine.csv",
        "config.json",
    ] {
        let out = folder();
        let file = out.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, "{}").unwrap();
        let output = PROGRAM.run(out.path(), &["--epochs", "1"]);
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{name}: {message}");
        let first = name.split('/').next().unwrap();
        assert_has(
            message,
            &[
                out.path().to_str().unwrap(),
                &format!("has a {first} that"),
                "another --out",
            ],
        );
        assert_eq!(std::fs::read(&file).unwrap(), b"{}", "{name}");
    }
}

#[test]
fn a_file_of_no_run_is_never_removed_with_an_earlier_one() {
    // A checkpoint folder without a checkpoint is removed, and so is the run before the last.
    let twice = || {
        let out = folder();
        for _ in 0..2 {
            assert!(PROGRAM.run(out.path(), &["--epochs", "1"]).status.success());
        }
        out
    };
    for (out, name) in [
        (folder_of_a_run(), "checkpoint/notes.txt"),
        (twice(), "previous/notes.txt"),
        (twice(), "previous/checkpoint/notes.txt"),
        (twice(), "previous/train/mine.csv"),
    ] {
        let file = out.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, "mine").unwrap();
        let before = snapshot(out.path());
        let message = one_line_refusal(out.path(), &["--epochs", "1"]);
        assert_has(&message, &[&format!("has a {name} that"), "another --out"]);
        assert_eq!(before, snapshot(out.path()), "{name}");
        std::fs::remove_file(&file).unwrap();
        assert!(PROGRAM.run(out.path(), &["--epochs", "1"]).status.success());
    }
}
