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
    /// What runs it with `--out out`, for a test that has to do more than wait.
    pub fn command(&self, out: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.path);
        command
            // The caller's choice of device and of backtraces is not the test's.
            .env_remove("BURN_DEVICE")
            .env_remove("RUST_BACKTRACE")
            .args(self.settings)
            .args(arguments)
            .arg("--out")
            .arg(out);
        command
    }

    /// Runs it with `--out out`.
    pub fn run(&self, out: &Path, arguments: &[&str]) -> Output {
        let mut command = self.command(out, arguments);
        command.output().expect("the program starts")
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

    /// The report of a run with `--json` that can make folders and empty files, but write nothing into a file, as on a
    /// disk that is full.
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

    /// What a run that must fail in order writes to standard error: after any progress one sentence, which follows the
    /// program's name, or a refusal of the command line's.
    ///
    /// # Panics
    ///
    /// Panics if it succeeds, panics itself, ends by a signal, has written to standard output, or says anything else at
    /// the end.
    pub fn refusal(&self, out: &Path, arguments: &[&str]) -> String {
        let output = self.run(out, arguments);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
        assert!(!stderr.contains("panicked"), "{arguments:?}: {stderr}");
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert_eq!(stdout, "", "{arguments:?}");
        assert!(
            self.ends_in_one_sentence(&stderr),
            "{arguments:?}: {stderr}"
        );
        stderr
    }

    /// Whether the last line, and no other, follows the program's name. A refusal of the command line's has lines on
    /// how to call the program after it.
    fn ends_in_one_sentence(&self, stderr: &str) -> bool {
        let name = Path::new(self.path).file_stem().unwrap_or_default();
        let own = format!("{}: ", name.to_string_lossy());
        let mut lines = stderr.lines().rev();
        let last = lines.next().is_some_and(|line| line.starts_with(&own));
        let before = lines.any(|line| line.starts_with(&own));
        (last && !before) || stderr.starts_with("error: ")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_one_sentence_at_the_end() {
        let program = Program {
            path: "/bin/gold",
            settings: &[],
        };
        for said in [
            "gold: there is no file nowhere\n",
            "seed 0\nseed 1\ngold: no device is called `abacus`\n",
            "error: unexpected argument '-1'\n\nFor more information, try '--help'.\n",
        ] {
            assert!(program.ends_in_one_sentence(said), "{said}");
        }
        for said in [
            "",
            "seed 0\n",
            "there is no file nowhere\n",
            "gold: first\ngold: second\n",
            "gold: there is no file:\nnowhere\n",
        ] {
            assert!(!program.ends_in_one_sentence(said), "{said}");
        }
    }
}
