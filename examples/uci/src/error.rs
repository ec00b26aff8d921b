//! Why a run has no report.

use std::path::PathBuf;

use blitz_train::blitz_core::device::DeviceError;
use blitz_train::{InputError, PredictError};
use example_support::tabular::DataError;
use thiserror::Error;

/// Why a run has no report.
#[derive(Debug, Error)]
pub enum RunError {
    /// The data or the splits are at fault.
    #[error(transparent)]
    Data(#[from] DataError),
    /// No such device in this build, or on this machine.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// A network that was trained with the chosen setting predicts no numbers.
    #[error(transparent)]
    Predict(#[from] PredictError),
    /// The predictions can't be scored.
    #[error(transparent)]
    Scores(#[from] InputError),
    /// More splits were asked for than there are.
    #[error("{} has {there} splits, {asked} were asked for", path.display())]
    TooFewSplits {
        /// The file.
        path: PathBuf,
        /// What it has.
        there: usize,
        /// What was asked for.
        asked: usize,
    },
    /// No setting gave the validation rows a likelihood.
    #[error(
        "every setting ended in predictions that are not finite; is a column of another scale than all others?"
    )]
    NoCandidate,
    /// The folder holds another run.
    #[error(
        "{} holds splits of a run with other data, method or seed (see its run.json): take another --out",
        path.display()
    )]
    OtherRun {
        /// The folder.
        path: PathBuf,
    },
    /// A file can't be read or written.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system, or the parser, says.
        reason: String,
    },
}
