//! The errors of training and prediction.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use blitz_predict::MixtureError;

/// A configuration holds a value outside of its range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} must be {range}, got {value}")]
pub struct ConfigError {
    /// The setting.
    pub field: &'static str,
    /// Its value.
    pub value: String,
    /// What it may be.
    pub range: &'static str,
}

impl ConfigError {
    pub(crate) fn new(field: &'static str, value: impl Display, range: &'static str) -> Self {
        Self {
            field,
            value: value.to_string(),
            range,
        }
    }
}

/// A training step's loss was not a finite number. The model was not updated with it.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error(
    "the loss of epoch {epoch}, step {step} is not finite: nll {nll}, kl {kl}; the weights of the step before and the \
     last checkpoint are kept (a smaller learning rate, a wider prior or clipped gradients may help; a target that the likelihood has no meaning \
     for does this too, see `check_targets`)"
)]
pub struct NonFiniteLoss {
    /// The epoch, counted from 1.
    pub epoch: u64,
    /// The optimizer step since the beginning of the training, counted from 1.
    pub step: u64,
    /// The negative log likelihood per example.
    pub nll: f64,
    /// The KL of the model.
    pub kl: f64,
}

/// Why a training ended before its last epoch without being asked to.
#[cfg(feature = "train")]
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum FitError {
    /// The loss became NaN or infinite.
    #[error(transparent)]
    NonFiniteLoss(#[from] NonFiniteLoss),
    /// Burn's training loop stopped: data, a checkpoint or a device failed.
    #[error("training stopped: {0}")]
    Training(std::sync::Arc<burn::train::TrainingError>),
}

/// Why a checkpoint or a saved model can't be used, or could not be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// No checkpoint was saved after this epoch, or only a part of one.
    #[error("{} has no checkpoint of epoch {epoch}, {}", folder.display(), those_of(epochs))]
    Missing {
        /// Where it was looked for.
        folder: PathBuf,
        /// The epoch that was asked for.
        epoch: usize,
        /// Those that are there.
        epochs: Vec<usize>,
    },
    /// The bytes are not those that were written.
    #[error(
        "{} is damaged: it is not the file whose digest lies beside it in {}.sha256",
        path.display(),
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The file can't be read, or holds something else.
    #[error("cannot read {}: {reason}", path.display())]
    Unreadable {
        /// The file, or the folder.
        path: PathBuf,
        /// Why, in the words of Burn or of the system.
        reason: String,
    },
    /// The file can't be written.
    #[error("cannot write {}: {reason}", path.display())]
    NotWritten {
        /// The file.
        path: PathBuf,
        /// Why, in the words of Burn or of the system.
        reason: String,
    },
}

impl CheckpointError {
    pub(crate) fn unreadable(path: &Path, reason: impl Display) -> Self {
        Self::Unreadable {
            path: path.into(),
            reason: on_one_line(reason),
        }
    }

    pub(crate) fn not_written(path: &Path, reason: impl Display) -> Self {
        Self::NotWritten {
            path: path.into(),
            reason: on_one_line(reason),
        }
    }
}

fn on_one_line(reason: impl Display) -> String {
    reason.to_string().replace('\n', " ")
}

fn those_of(epochs: &[usize]) -> String {
    match epochs {
        [] => "nor one of another".into(),
        [epoch] => format!("only one of epoch {epoch}"),
        epochs => {
            let epochs: Vec<_> = epochs.iter().map(usize::to_string).collect();
            format!("only those of epochs {}", epochs.join(", "))
        }
    }
}

/// A target that the likelihood gives no meaning.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error(
    "example {example}, target {column}: {value} is no target of this likelihood, which needs {needs}"
)]
pub struct TargetError {
    /// The example, counted from 0 in what was checked.
    pub example: usize,
    /// The target column, counted from 0.
    pub column: usize,
    /// The target.
    pub value: f64,
    /// What targets must be.
    pub needs: String,
}

/// Why a data set's targets can't be trained on.
#[cfg(feature = "train")]
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// A target is out of its range; examples are counted in the order of the data loader.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The data loader failed.
    #[error("the data can't be read: {0}")]
    Data(#[from] burn::data::dataset::DatasetError),
}

/// Why there is no prediction.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PredictError {
    /// The draws make no predictive distribution.
    #[error(transparent)]
    Mixture(#[from] MixtureError),
    /// The data loader has no batches.
    #[error("there is nothing to predict: the data loader is empty")]
    Empty,
    /// The data loader failed.
    #[cfg(feature = "train")]
    #[error("the data can't be read: {0}")]
    Data(#[from] burn::data::dataset::DatasetError),
}

impl PredictError {
    /// The error of a batch with `examples` before it.
    #[cfg(feature = "train")]
    pub(crate) fn behind(self, examples: usize) -> Self {
        match self {
            Self::Mixture(MixtureError::NonFinite {
                draw,
                example,
                what,
            }) => MixtureError::NonFinite {
                draw,
                example: example + examples,
                what,
            }
            .into(),
            other => other,
        }
    }
}
