//! Why a run has no report.

use std::path::PathBuf;

use blitz_train::blitz_core::device::DeviceError;
use blitz_train::{InputError, PredictError};
use example_support::methods::MethodError;
use example_support::tabular::DataError;
use example_support::{Failure, KeptError, NotFiniteScore};
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
    /// The method has no predictive distribution.
    #[error(transparent)]
    Method(#[from] MethodError),
    /// A row has no prediction.
    #[error("row {row}: its prediction is not finite ({what})")]
    NonFinite {
        /// The row, counted from 0 in the data.
        row: usize,
        /// What is not finite.
        what: String,
    },
    /// There is no prediction.
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
    /// A split leaves nothing to train with beside what the rule validates on.
    #[error(
        "a split leaves {left} of {rows} rows to train with: at least 2 are needed, of which the rule validates on one"
    )]
    TooFewRows {
        /// The rows that the split leaves.
        left: usize,
        /// All rows.
        rows: usize,
    },
    /// A setting gives the validation rows no likelihood.
    #[error(
        "the predictions have no finite likelihood; is a column of another scale than all others?"
    )]
    NoCandidate,
    /// A score of the test rows is not finite, and has no mean with those of other splits.
    #[error(transparent)]
    NotFiniteScore(#[from] NotFiniteScore),
    /// No split has scores.
    #[error("{0}")]
    NoSplit(String),
    /// What is finished can't be kept, or not gone on with.
    #[error(transparent)]
    Kept(#[from] KeptError),
}

impl Failure for RunError {}

impl RunError {
    /// Whether it says something of one split's training or prediction alone.
    pub fn is_of_one_split(&self) -> bool {
        // Each by its name: a new one has to be decided on.
        match self {
            Self::Data(error) => error.is_of_one_split(),
            Self::Method(_)
            | Self::NonFinite { .. }
            | Self::Predict(_)
            | Self::Scores(_)
            | Self::NoCandidate
            | Self::NotFiniteScore(_) => true,
            // Splits without rows are refused before any trains.
            Self::TooFewRows { .. }
            | Self::TooFewSplits { .. }
            | Self::Device(_)
            | Self::NoSplit(_)
            | Self::Kept(_) => false,
        }
    }
}
