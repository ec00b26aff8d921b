//! Why a run has no report.

use std::path::{Path, PathBuf};

use blitz_train::blitz_core::device::DeviceError;
use blitz_train::{FitError, PredictError};
use burn::train::Interruption;
use thiserror::Error;

use crate::images::ImageError;
use crate::tabular::DataError;
use crate::{Failure, KeptError, NotFiniteScore};
use blitz_train::plot::PlotError;

/// Why a run has no report. Every message names the file or the value at fault.
#[derive(Debug, Error)]
pub enum RunError {
    /// The data are at fault.
    #[error("{path}: {reason}", path = path.display())]
    Data {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A table or a series is at fault.
    #[error(transparent)]
    Table(#[from] DataError),
    /// Images and labels don't fit.
    #[error(transparent)]
    Images(#[from] ImageError),
    /// No such device in this build, or on this machine.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// A setting that the command line alone cannot judge.
    #[error("{0}")]
    Setting(String),
    /// The folder cannot be made or written to.
    #[error("cannot write to {path}: {reason}", path = path.display())]
    NotWritable {
        /// The folder or file.
        path: PathBuf,
        /// What the operating system says.
        reason: String,
    },
    /// The training was stopped, by Ctrl-C or from the dashboard.
    #[error("stopped ({reason}): there is no report of a training that did not end; {} has its logs", path.display())]
    Stopped {
        /// Who stopped it.
        reason: String,
        /// The folder.
        path: PathBuf,
    },
    /// The training failed.
    #[error(transparent)]
    Fit(#[from] FitError),
    /// A network that was trained with the settings predicts nothing.
    #[error(transparent)]
    Predict(#[from] PredictError),
    /// A score is not finite.
    #[error(transparent)]
    Score(#[from] NotFiniteScore),
    /// What is finished can't be kept, or not gone on with.
    #[error(transparent)]
    Kept(#[from] KeptError),
    /// The plot failed.
    #[error(transparent)]
    Plot(#[from] PlotError),
}

impl Failure for RunError {
    fn was_stopped(&self) -> bool {
        matches!(self, Self::Stopped { .. })
    }
}

impl RunError {
    /// The training in `folder` was stopped.
    pub fn stopped(interruption: Interruption, folder: &Path) -> Self {
        Self::Stopped {
            reason: interruption
                .reason
                .unwrap_or_else(|| "without a reason".into()),
            path: folder.into(),
        }
    }

    /// The data at `path` are at fault.
    pub fn data(path: impl Into<PathBuf>, reason: impl std::fmt::Display) -> Self {
        Self::Data {
            path: path.into(),
            reason: reason.to_string(),
        }
    }
}
