//! Why a run has no report.

use std::path::PathBuf;

use blitz_train::blitz_core::device::DeviceError;
use blitz_train::{CheckpointError, FitError};
use thiserror::Error;

use example_support::tabular::DataError;
use example_support::{Failure, NotFiniteScore};

/// Why a run has no report. Every message names the file or the value at fault.
#[derive(Debug, Error)]
pub enum RunError {
    /// The data or the splits are at fault.
    #[error(transparent)]
    Data(#[from] DataError),
    /// No such device in this build, or on this machine.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// A setting that the command line alone cannot judge.
    #[error("{0}")]
    Setting(String),
    /// The folder cannot be made or written to.
    #[error("cannot write to the output folder {}: {reason}", path.display())]
    NotWritable {
        /// The folder.
        path: PathBuf,
        /// What the operating system says.
        reason: std::io::Error,
    },
    /// The folder has files of someone else.
    #[error(
        "{} has a {} that is of no run of this program: move it away, or take another --out",
        path.display(),
        name.display()
    )]
    Foreign {
        /// The folder.
        path: PathBuf,
        /// The file or folder in it.
        name: PathBuf,
    },
    /// Another program trains there.
    #[error("another training runs in {}: take another --out, or wait for its end", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// There is nothing to resume.
    #[error("{} has no checkpoint to resume from", path.display())]
    NoCheckpoint {
        /// The folder.
        path: PathBuf,
    },
    /// A checkpoint cannot be read, or the model not be saved.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The folder's training had other settings, or other rows.
    #[error(
        "{} holds a training with other settings or rows than these (see its config.json): \
         resume with the same, or with more --epochs, or take another --out",
        path.display()
    )]
    OtherSettings {
        /// The folder.
        path: PathBuf,
    },
    /// The saved configuration cannot be read.
    #[error(
        "cannot read {}: {reason}; if the training had these settings and rows, remove the file, and --resume goes on from the checkpoints with them",
        path.display()
    )]
    Config {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The training failed.
    #[error(transparent)]
    Fit(#[from] FitError),
    /// The training was stopped, by Ctrl-C or from the dashboard, after a checkpoint.
    #[error("stopped ({reason}); {} holds the checkpoint of epoch {epoch}: go on with --resume", path.display())]
    Interrupted {
        /// Who stopped it.
        reason: String,
        /// The folder.
        path: PathBuf,
        /// The last epoch that was saved.
        epoch: usize,
    },
    /// The training was stopped in its first epoch.
    #[error("stopped ({reason}) in the first epoch: there is no checkpoint yet")]
    InterruptedEarly {
        /// Who stopped it.
        reason: String,
    },
    /// The network cannot compute with a row.
    #[error("row {row}: its prediction is not finite ({what})")]
    NonFinite {
        /// The row, counted from 0 in the data.
        row: usize,
        /// What the network returned.
        what: String,
    },
    /// A score of the test rows is not finite, and has no mean with those of other splits.
    #[error(transparent)]
    Score(#[from] NotFiniteScore),
    /// There is no prediction.
    #[error(transparent)]
    Predict(#[from] blitz_train::PredictError),
}

impl Failure for RunError {
    fn was_stopped(&self) -> bool {
        matches!(
            self,
            Self::Interrupted { .. } | Self::InterruptedEarly { .. }
        )
    }
}

impl RunError {
    /// Whether it says something of one split's training or prediction alone.
    pub fn is_of_one_split(&self) -> bool {
        // Each by its name: a new one has to be decided on.
        match self {
            Self::Data(error) => error.is_of_one_split(),
            Self::Fit(_) | Self::NonFinite { .. } | Self::Score(_) | Self::Predict(_) => true,
            // Of what was asked for, of the folder, or a stop that was meant for all.
            Self::Device(_)
            | Self::Setting(_)
            | Self::NotWritable { .. }
            | Self::Foreign { .. }
            | Self::InUse { .. }
            | Self::NoCheckpoint { .. }
            | Self::Checkpoint(_)
            | Self::OtherSettings { .. }
            | Self::Config { .. }
            | Self::Interrupted { .. }
            | Self::InterruptedEarly { .. } => false,
        }
    }
}
