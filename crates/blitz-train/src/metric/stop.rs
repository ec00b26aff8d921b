//! The end of a training whose metrics can't be written.

use std::io;
use std::path::PathBuf;

use burn::train::Interrupter;

use crate::error::FitError;

/// Stops a training at the first file that can't be written: what comes after it is nothing without it.
pub(super) struct StopAtFailure {
    interrupter: Interrupter,
    failed: bool,
}

impl StopAtFailure {
    pub(super) fn new(interrupter: Interrupter) -> Self {
        Self {
            interrupter,
            failed: false,
        }
    }

    /// Whether there was such a file.
    pub(super) fn has_failed(&self) -> bool {
        self.failed
    }

    pub(super) fn failed(&mut self, path: PathBuf, reason: &io::Error) {
        self.failed = true;
        let reason = reason.to_string();
        let error = FitError::Metrics { path, reason };
        self.interrupter.fail(error.into_burns());
    }
}
