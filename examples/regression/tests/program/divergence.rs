//! A training whose numbers leave those that there are.

use super::{
    PROGRAM, STEPS_PER_EPOCH, assert_has, exists, folder, line, refusal, remove_checkpoint,
    remove_digest, set_log_noise, snapshot, steps, too_large, write,
};

#[test]
fn loss_that_is_not_finite_is_named_by_epoch_and_step_and_keeps_what_was_saved() {
    // No data and no learning rate up to 1 make this training diverge, so the checkpoint of epoch 3 does: its noise is
    // so small that the next loss overflows.
    let settings = ["--epochs", "4"];
    let out = folder();
    PROGRAM.report(out.path(), &settings);
    remove_checkpoint(out.path(), 4);
    let model = out.path().join("checkpoint/model-3.bpk");
    assert_eq!(steps(&model), 3 * STEPS_PER_EPOCH);
    // Of a checkpoint all files have a digest, or none.
    for part in ["model", "optim", "scheduler"] {
        remove_digest(&out.path().join(format!("checkpoint/{part}-3.bpk")));
    }
    set_log_noise(&model, -200.0);
    let kept = ["model.bpk", "intervals.png", "config.json"];
    let contents = || {
        let files = kept.map(|name| std::fs::read(out.path().join(name)).unwrap());
        (files, snapshot(&out.path().join("checkpoint")))
    };
    let before = contents();

    // The steps go on from those of the checkpoint: the first of epoch 4 is the 25th.
    let lines = refusal(out.path(), &[&settings[..], &["--resume"]].concat());
    let message = lines.last().expect("a message");
    assert_has(
        message,
        &["regression: the loss of epoch 4, step 25 is not finite"],
    );
    assert!(before == contents(), "a saved file changed");
    // It still loads: the second attempt comes as far.
    let lines = refusal(out.path(), &[&settings[..], &["--resume"]].concat());
    assert_eq!(lines.last(), Some(message));
}

#[test]
fn table_too_large_to_scale_ends_without_a_report_or_a_model() {
    let (tables, out) = (folder(), folder());
    let data = write(&tables, "large.csv", &too_large());
    let lines = refusal(out.path(), &["--data", &data]);
    assert!(
        lines.last().expect("a message").starts_with("regression: "),
        "{lines:#?}"
    );
    for name in ["model.bpk", "intervals.png", "checkpoint/model-1.bpk"] {
        assert!(!exists(out.path(), name), "{name}");
    }
}

#[test]
fn test_row_beyond_all_numbers_is_named_instead_of_reported_as_nan() {
    let (tables, out) = (folder(), folder());
    let data = write(&tables, "line.csv", &format!("{}1e300,1,9\n", line(60)));
    let splits = write(&tables, "splits.txt", "4 60\n");
    let lines = refusal(out.path(), &["--data", &data, "--splits-file", &splits]);
    let message = lines.last().expect("a message");
    assert_has(message, &["regression: ", "row 60", "not finite"]);
    assert!(!exists(out.path(), "intervals.png"));
}

#[test]
fn checkpoints_survive_two_failed_trainings() {
    let (tables, out) = (folder(), folder());
    PROGRAM.report(out.path(), &[]);
    let saved = std::fs::read(out.path().join("checkpoint/model-3.bpk")).unwrap();
    let data = write(&tables, "large.csv", &too_large());
    for attempt in 1..=2 {
        refusal(out.path(), &["--data", &data]);
        // Not the model.bpk, whose bytes are the same.
        let kept = snapshot(out.path()).into_iter().any(|(path, content)| {
            path.ends_with("model-3.bpk") && content.as_ref() == Some(&saved)
        });
        assert!(kept, "lost after failed training {attempt}");
    }
}

#[test]
fn failed_training_does_not_leave_its_settings_beside_another_model() {
    let (tables, out) = (folder(), folder());
    PROGRAM.report(out.path(), &[]);
    let config = std::fs::read(out.path().join("config.json")).unwrap();
    let data = write(&tables, "large.csv", &too_large());
    refusal(out.path(), &["--data", &data]);
    let same = std::fs::read(out.path().join("config.json")).unwrap() == config;
    assert_eq!(same, exists(out.path(), "model.bpk"));
}

#[test]
fn first_step_that_is_not_finite_is_named_too() {
    let out = folder();
    let lines = refusal(out.path(), &["--initial-std", "1e10"]);
    assert_has(&lines.join("\n"), &["epoch 1, step 1 is not finite"]);
    assert!(!exists(out.path(), "model.bpk"));
}
