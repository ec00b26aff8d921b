//! A training that a signal stops.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use example_support::program::Program;
use serde_json::Value;

use super::{PROGRAM, STEPS_PER_EPOCH, assert_has, checkpoints, exists, folder, steps, text};

/// A run in the background, killed if the test fails on the way.
struct Running(Child);

impl Running {
    fn start(out: &Path, arguments: &[&str]) -> Self {
        Self::of(PROGRAM.command(out, arguments))
    }

    fn of(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(command.spawn().expect("the program starts"))
    }

    /// Presses Ctrl-C as soon as `file` is there.
    fn interrupt_at(&mut self, file: &Path) {
        self.signal_at(file, "-INT");
    }

    /// Sends a signal as soon as `file` is there.
    fn signal_at(&mut self, file: &Path, signal: &str) {
        self.until(&format!("{}", file.display()), |_| file.exists());
        self.signal(signal);
    }

    fn signal(&self, signal: &str) {
        let id = self.0.id().to_string();
        let sent = Command::new("kill")
            .args([signal, &id])
            .status()
            .expect("`kill`");
        assert!(sent.success());
    }

    /// The exit code, standard output and standard error.
    fn end(mut self) -> (Option<i32>, String, String) {
        self.until("the end", |child| {
            child.try_wait().expect("a child").is_some()
        });
        let (mut stdout, mut stderr) = (String::new(), String::new());
        self.0
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut stdout)
            .unwrap();
        self.0
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut stderr)
            .unwrap();
        (self.0.wait().unwrap().code(), stdout, stderr)
    }

    fn until(&mut self, what: &str, mut done: impl FnMut(&mut Child) -> bool) {
        let start = Instant::now();
        while !done(&mut self.0) {
            assert!(
                start.elapsed() < Duration::from_secs(60),
                "waited too long for {what}"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended, unless the test failed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn sigterm_ends_a_training_in_order() {
    let out = folder();
    let mut running = Running::start(out.path(), &["--epochs", "4000"]);
    running.signal_at(&out.path().join("checkpoint/scheduler-1.bpk"), "-TERM");
    let (code, _, stderr) = running.end();
    assert_eq!(code, Some(130), "{stderr}");
    assert_has(
        stderr.lines().last().expect("a message"),
        &["stopped", "--resume"],
    );
}

#[test]
fn a_training_that_ignores_hangups_goes_on_without_its_terminal_and_ends_in_order() {
    let ignoring = ["-c", "trap '' HUP; exec \"$@\"", "sh", PROGRAM.path];
    let nohup = Program {
        path: "sh",
        settings: &[&ignoring[..], PROGRAM.settings].concat(),
    };
    for (signal, expected, said) in [("-HUP", 0, "40 epochs"), ("-TERM", 130, "--resume")] {
        let out = folder();
        let mut running = Running::of(nohup.command(out.path(), &["--epochs", "40"]));
        running.signal_at(&out.path().join("checkpoint/scheduler-1.bpk"), signal);
        let (code, stdout, stderr) = running.end();
        assert_eq!(code, Some(expected), "{stderr}");
        assert_has(&format!("{stdout}{stderr}"), &[said]);
    }
}

#[test]
fn a_folder_in_which_a_training_runs_is_refused_to_a_second() {
    let out = folder();
    let mut first = Running::start(out.path(), &["--epochs", "4000"]);
    let saved = out.path().join("checkpoint/scheduler-1.bpk");
    first.until("a checkpoint", |_| saved.exists());
    for resume in [&[][..], &["--resume"]] {
        let output = PROGRAM.run(out.path(), &[&["--epochs", "4000"], resume].concat());
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert_has(
            stderr,
            &["another training runs in", out.path().to_str().unwrap()],
        );
    }
    // The first checkpoint may be gone: a training keeps the last ones.
    first.signal("-INT");
    let (code, _, stderr) = first.end();
    assert_eq!(code, Some(130), "{stderr}");
    assert!(
        !exists(out.path(), "previous"),
        "the first training's files were moved"
    );
}

#[test]
fn a_signal_while_a_prediction_is_drawn_ends_the_program_at_once() {
    let out = folder();
    let mut running = Running::start(out.path(), &["--predict-samples", "100000"]);
    // Written when the training is over.
    running.interrupt_at(&out.path().join("model.bpk"));
    let (code, stdout, stderr) = running.end();
    assert_eq!(code, Some(130), "{stderr}");
    assert_eq!(stdout, "");
    assert_has(stderr.lines().last().expect("a message"), &["stopped"]);
    // The training is kept.
    PROGRAM.report(out.path(), &["--resume"]);
}

/// The epochs that standard error has lines of.
fn epochs(stderr: &str) -> Vec<usize> {
    let of_line = |line: &str| line.strip_prefix("epoch ")?.split_once('/')?.0.parse().ok();
    stderr.lines().filter_map(of_line).collect()
}

#[test]
fn interrupted_training_says_how_to_go_on_and_going_on_finishes_it() {
    let settings = ["--epochs", "40"];
    let out = folder();
    let mut running = Running::start(out.path(), &settings);
    running.interrupt_at(&out.path().join("checkpoint/scheduler-1.bpk"));
    let (code, stdout, stderr) = running.end();
    assert_eq!(code, Some(130), "{stderr}");
    assert_eq!(stdout, "");
    assert!(!stderr.contains("panicked at"), "{stderr}");
    let message = stderr.lines().last().expect("a message");
    assert_has(
        message,
        &[
            "regression: stopped",
            "--resume",
            out.path().to_str().unwrap(),
        ],
    );
    assert!(
        !exists(out.path(), "model.bpk"),
        "a model of a training that did not end"
    );
    let last = *checkpoints(out.path()).last().expect("a checkpoint");
    assert!(last < 40, "the training was faster than the signal");
    let model = out.path().join(format!("checkpoint/model-{last}.bpk"));
    assert_eq!(steps(&model), last as i32 * STEPS_PER_EPOCH);

    let output = PROGRAM.run(
        out.path(),
        &[&settings[..], &["--resume", "--json"]].concat(),
    );
    let stderr = text(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let report: Value = serde_json::from_str(text(&output.stdout)).expect("JSON");
    assert!(report["rmse"].as_f64().is_some_and(f64::is_finite));
    let seen = epochs(stderr);
    assert!(
        seen.iter().all(|epoch| *epoch > last),
        "{seen:?} after {last}"
    );
    assert_eq!(seen.last(), Some(&40));
    assert_eq!(steps(&out.path().join("model.bpk")), 40 * STEPS_PER_EPOCH);
}

#[test]
fn training_interrupted_before_its_first_checkpoint_does_not_promise_one() {
    let out = folder();
    // Batches of one row make the first epoch long enough to stop in.
    let mut running = Running::start(out.path(), &["--batch-size", "1"]);
    running.interrupt_at(&out.path().join("experiment.log"));
    let (code, _, stderr) = running.end();
    assert_eq!(code, Some(130), "{stderr}");
    assert_eq!(checkpoints(out.path()), [0; 0]);
    let message = stderr.lines().last().expect("a message");
    assert!(!message.contains("--resume"), "{message}");
}
