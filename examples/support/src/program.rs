//! An example's program as its tests run it: from outside, with settings that take little time.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// A program with the settings that its tests share.
#[derive(Debug, Clone, Copy)]
pub struct Program<'a> {
    /// The executable: `env!("CARGO_BIN_EXE_...")`.
    pub path: &'a str,
    /// Settings that make a run short; a test's own come behind them.
    pub settings: &'a [&'a str],
}

impl Program<'_> {
    /// The command that runs it with `--out out`.
    pub fn command(&self, out: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.path);
        command
            // The caller's choice of device is not the test's.
            .env_remove("BURN_DEVICE")
            .args(self.settings)
            .args(arguments)
            .arg("--out")
            .arg(out);
        command
    }

    /// Runs it with `--out out`.
    pub fn run(&self, out: &Path, arguments: &[&str]) -> Output {
        let output = self.command(out, arguments).output();
        output.expect("the program starts")
    }

    /// The report of a run with `--json`.
    ///
    /// # Panics
    ///
    /// Panics with what the program wrote to standard error if it fails, or if its last line is no JSON.
    pub fn report(&self, out: &Path, arguments: &[&str]) -> Value {
        let output = self.run(out, &[arguments, &["--json"]].concat());
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {stderr}");
        let text = String::from_utf8_lossy(&output.stdout);
        let last = text.lines().last().unwrap_or_default();
        serde_json::from_str(last).unwrap_or_else(|error| panic!("{error} in `{last}`"))
    }

    /// The report of a run with `--json` that can make folders and empty files, but write nothing into a file, as on a disk that is full.
    ///
    /// # Panics
    ///
    /// As [`report`](Self::report).
    #[cfg(unix)]
    pub fn report_without_room(&self, out: &Path, arguments: &[&str]) -> Value {
        // A write beyond the limit is to be an error, not a signal.
        let limited = [
            "-c",
            "trap '' XFSZ; ulimit -f 0; exec \"$@\"",
            "sh",
            self.path,
        ];
        let shell = Program {
            path: "sh",
            settings: &[&limited[..], self.settings].concat(),
        };
        shell.report(out, arguments)
    }

    /// What a run that must fail in order writes to standard error.
    ///
    /// # Panics
    ///
    /// Panics if it succeeds, panics itself, or ends by a signal.
    pub fn refusal(&self, out: &Path, arguments: &[&str]) -> String {
        let output = self.run(out, arguments);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
        assert!(!stderr.contains("panicked"), "{arguments:?}: {stderr}");
        stderr
    }
}

/// Panics unless a program's command line is consistent and has help for every option.
pub fn assert_has_help(command: clap::Command) {
    command.clone().debug_assert();
    assert!(
        command
            .get_arguments()
            .all(|argument| argument.get_help().is_some())
    );
}

/// Panics unless each of the arguments is refused with its reason.
pub fn assert_refused<C: clap::Parser>(refused: &[(&str, &str)]) {
    for (arguments, reason) in refused {
        let command = std::iter::once("program").chain(arguments.split(' '));
        let message = match C::try_parse_from(command) {
            Ok(_) => panic!("`{arguments}` was taken"),
            Err(error) => error.to_string(),
        };
        assert!(message.contains(reason), "{message}");
    }
}

/// Panics unless the file at the path in `report` is a PNG.
pub fn assert_png(path: &Value) {
    let path = path.as_str().expect("a path");
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    assert!(bytes.starts_with(b"\x89PNG\r\n\x1a\n"), "{path} is no PNG");
}
