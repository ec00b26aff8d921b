//! Folders and processes that do not outlive a trial.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A folder that is removed at the end.
pub(crate) fn scratch() -> TempDir {
    tempfile::tempdir().expect("a folder for temporary files")
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
    pub(crate) code: Option<i32>,
    /// Standard error.
    pub(crate) said: String,
}

impl Ended {
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

    pub(crate) fn end(mut self) -> Ended {
        let child = self.0.take().expect("a process that was not waited for");
        let output = child.wait_with_output().expect("a child");
        Ended {
            code: output.status.code(),
            said: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if let Some(child) = &mut self.0 {
            let _ = child.wait();
        }
    }
}
