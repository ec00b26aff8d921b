//! The errors of training and prediction.

use std::fmt::Display;

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
     last checkpoint are kept (a smaller learning rate, a wider prior or clipped gradients may help)"
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
