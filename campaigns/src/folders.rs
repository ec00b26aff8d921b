//! Folders and processes that do not outlive a trial.

use std::io::{self, Read};
use std::panic::resume_unwind;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long a process may take to end: none of them needs a tenth of it.
const PATIENCE: Duration = Duration::from_secs(600);

/// Why a campaign cannot go on: there is no room for its own files. It unwinds, so that the folders made so far are
/// removed.
#[derive(Debug)]
pub(crate) struct NoRoom(pub(crate) String);

/// What was made among the temporary files.
///
/// # Panics
///
/// Unwinds with [`NoRoom`] if it was not made.
pub(crate) fn room<T>(made: io::Result<T>) -> T {
    made.unwrap_or_else(|error| {
        let folder = std::env::temp_dir();
        let reason = format!(
            "no room for temporary files in {}: {error}",
            folder.display()
        );
        resume_unwind(Box::new(NoRoom(reason)))
    })
}

/// A folder that is removed at the end.
pub(crate) fn scratch() -> TempDir {
    room(tempfile::tempdir())
}

/// This program's training in `out`.
pub(crate) fn training(out: &Path, epochs: usize, resume: bool) -> Command {
    let program = std::env::current_exe().expect("the path of this program");
    let mut command = Command::new(program);
    command
        .args(["child", "--epochs", &epochs.to_string(), "--out"])
        .arg(out);
    if resume {
        command.arg("--resume");
    }
    command
}

/// A process whose output is kept, and which is killed if it is forgotten.
#[derive(Debug)]
pub(crate) struct Process(Option<Child>);

/// How a process ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// `None` if a signal ended it.
    code: Option<i32>,
    /// The signal that ended it.
    signal: Option<i32>,
    /// Whether it did not end, and was killed for it.
    hung: bool,
    /// Standard error.
    pub(crate) said: String,
}

impl Ended {
    /// Whether it ended by itself, with this status.
    pub(crate) fn by_itself(&self, code: i32) -> bool {
        !self.hung && self.code == Some(code)
    }

    /// Whether −9 ended it, as asked. A signal of its own, such as that of an abort, is a crash.
    pub(crate) fn was_killed(&self) -> bool {
        !self.hung && self.signal == Some(9)
    }

    pub(crate) fn panicked(&self) -> bool {
        self.said.contains("panicked at")
    }
}

impl Process {
    pub(crate) fn start(command: &mut Command) -> Self {
        let child = command
            .env_remove("BURN_DEVICE")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        Self(Some(child.expect("the program starts")))
    }

    /// Waits until `path` is there, the process ends, or too long.
    pub(crate) fn wait_for(&mut self, path: &Path) {
        let start = Instant::now();
        while !path.exists() && start.elapsed() < Duration::from_secs(60) {
            let child = self.0.as_mut().expect("a process that was not waited for");
            if child.try_wait().expect("a child").is_some() {
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Kills it with −9.
    pub(crate) fn kill(&mut self) {
        // It may have ended.
        let _ = self.0.as_mut().map(Child::kill);
    }

    /// Sends it the signal of this name.
    pub(crate) fn signal(&self, signal: &str) {
        let child = self.0.as_ref().expect("a process that was not waited for");
        let sent = Command::new("kill")
            .args(["-s", signal, &child.id().to_string()])
            .status();
        // It may have ended.
        let _ = sent;
    }

    /// Waits for its end. One that hangs is killed.
    pub(crate) fn end(self) -> Ended {
        self.end_within(PATIENCE)
    }

    fn end_within(mut self, patience: Duration) -> Ended {
        let child = self.0.as_mut().expect("a process that was not waited for");
        // Read meanwhile: a process whose pipe is full waits for its reader.
        let said = child.stderr.take().map(|mut stderr| {
            std::thread::spawn(move || {
                let mut said = Vec::new();
                // What was read until then is said.
                let _ = stderr.read_to_end(&mut said);
                said
            })
        });
        let start = Instant::now();
        let mut hung = false;
        let status = loop {
            if let Some(status) = child.try_wait().expect("a child") {
                break status;
            }
            if start.elapsed() >= patience {
                hung = true;
                // It may have ended just now.
                let _ = child.kill();
                break child.wait().expect("a child");
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        self.0 = None;
        let said = said.map(|said| said.join().expect("a reader that does not panic"));
        Ended {
            code: status.code(),
            signal: signal_of(status),
            hung,
            said: String::from_utf8_lossy(&said.unwrap_or_default()).into_owned(),
        }
    }
}

#[cfg(unix)]
fn signal_of(status: ExitStatus) -> Option<i32> {
    std::os::unix::process::ExitStatusExt::signal(&status)
}

#[cfg(not(unix))]
fn signal_of(_: ExitStatus) -> Option<i32> {
    None
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if let Some(child) = &mut self.0 {
            let _ = child.wait();
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn bash(script: &str) -> Process {
        Process::start(Command::new("bash").args(["-c", script]))
    }

    #[test]
    fn a_crash_is_no_kill() {
        for signal in ["ABRT", "SEGV", "TERM"] {
            let ended = bash(&format!("kill -{signal} $$")).end();
            assert!(!ended.was_killed() && !ended.by_itself(0), "{ended:?}");
        }
        let mut process = bash("sleep 60");
        process.kill();
        let ended = process.end();
        assert!(ended.was_killed() && !ended.by_itself(0), "{ended:?}");
    }

    #[test]
    fn a_process_that_hangs_is_ended_and_counts_as_nothing_else() {
        let start = Instant::now();
        let ended = bash("echo working >&2; exec sleep 60").end_within(Duration::from_millis(300));
        assert!(start.elapsed() < Duration::from_secs(30));
        assert!(!ended.was_killed() && !ended.by_itself(0), "{ended:?}");
        assert_eq!(ended.said, "working\n");
    }

    #[test]
    fn a_process_that_says_more_than_a_pipe_holds_ends() {
        let ended = bash("head -c 1000000 /dev/zero | tr '\\0' x >&2; exit 3").end();
        assert!(ended.by_itself(3));
        assert_eq!(ended.said.len(), 1_000_000);
    }
}
