//! The errors of training and prediction.

use std::fmt::{Debug, Display};
use std::path::{Path, PathBuf};

use blitz_layers::blitz_core::MomentsError;
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

/// A training step's loss was not a finite number. No checkpoint has weights of that step or a later one.
///
/// The epoch is the Learner's. In a loop by hand it is counted from the data set's size and the largest batch.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error(
    "the loss of epoch {epoch}, step {step} is not finite: nll {nll}, kl {kl}; what was saved \
     before it is kept (a smaller learning rate, a wider prior or clipped gradients may help; a target that the likelihood has no meaning \
     for does this too, see `check_targets`)"
)]
#[non_exhaustive]
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
    /// The last step of an epoch left a weight NaN or infinite, though its loss was finite: no loss comes after it. No
    /// checkpoint was written after it.
    #[error(
        "the last step of an epoch has left {path} not finite, though its loss was; what was saved before it is kept (a smaller learning rate or clipped gradients may help)"
    )]
    NonFiniteWeight {
        /// The weight.
        path: String,
    },
    /// The training data loader has no batches. No checkpoint was written.
    #[error("there is nothing to train on: the training data loader is empty")]
    NoExamples,
    /// No parameter of the network or of the likelihood trains.
    #[error(
        "there is nothing to train: all parameters of network and likelihood are frozen, quantized or fixed (`unfreeze` undoes `freeze`; Burn's \
         `apply_lora` freezes too, and comes before `bayesianize`)"
    )]
    NothingTrains,
    /// A weight trains and is off the autodiff graph, and the `train()` of its module does not bring it there.
    #[error(
        "{path} is to train and is not on the autodiff graph, where `train()` leaves it off: make its module on an autodiff device \
         (`device.autodiff()`), or have the `train()` of its module pass the call on; what is to stay as it is needs `freeze`"
    )]
    OffGraph {
        /// The weight.
        path: String,
    },
    /// An adapter such as LoRA came after the posteriors and is inside those that have a matrix among their parameters:
    /// the means are frozen.
    #[error(
        "the posteriors of {} hold an adapter inside, and their means don't train: it goes on the weights before they become Bayesian, as \
         `apply_lora` before `bayesianize`",
        weights.join(", ")
    )]
    InsidePosterior {
        /// The paths of the weights in the network.
        weights: Vec<String>,
    },
    /// The training has no epochs, and no checkpoint that it could be over with.
    #[error("there is nothing to train: the number of epochs is 0")]
    NoEpochs,
    /// The checkpoint that the training was to go on from could not be loaded, or one could not be written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The training was to go on after a checkpoint, and has no checkpointers to load it with.
    #[error(
        "the training began in epoch {epoch} with a model that has made no step: no checkpoint was loaded; `.checkpoint(..)` needs \
         `.with_default_checkpointers()`, or checkpointers of your own"
    )]
    NothingLoaded {
        /// The epoch in which it began.
        epoch: usize,
    },
    /// The training could not begin, for another reason than its checkpoint: its folder can't be written to, for
    /// instance.
    #[error("the training could not begin: {reason}")]
    Start {
        /// What Burn says.
        reason: String,
    },
    /// The values of a metric can't be written: its folder has vanished, or the disk is full.
    #[error("cannot write the metrics to {}: {reason}", path.display())]
    Metrics {
        /// The file.
        path: PathBuf,
        /// Why, in the words of the system.
        reason: String,
    },
    /// A loss can't be read from its device.
    #[error("cannot read the loss of step {step} from its device: {reason}")]
    Device {
        /// The optimizer step since the beginning of the training, counted from 1.
        step: u64,
        /// What the device says.
        reason: String,
    },
    /// Burn's training loop stopped: data, a checkpointer of Burn's or a device failed.
    #[error("training stopped: {0}")]
    Training(std::sync::Arc<burn::train::TrainingError>),
}

#[cfg(feature = "train")]
impl FitError {
    /// As Burn's training loop takes it, whose errors are of four kinds.
    pub(crate) fn into_burns(self) -> burn::train::TrainingError {
        let error = std::io::Error::other(self);
        burn::train::checkpoint::CheckpointerError::IOError(error).into()
    }

    /// The error that stopped the loop: the one inside if it is of this crate.
    pub(crate) fn of_burns(error: std::sync::Arc<burn::train::TrainingError>) -> Self {
        use burn::train::{TrainingError, checkpoint::CheckpointerError};

        let inside = match &*error {
            TrainingError::Checkpoint(CheckpointerError::IOError(error)) => error.get_ref(),
            _ => None,
        };
        if let Some(error) = inside.and_then(|inside| inside.downcast_ref::<Self>()) {
            return error.clone();
        }
        match inside.and_then(|inside| inside.downcast_ref::<CheckpointError>()) {
            Some(error) => error.clone().into(),
            None => Self::Training(error),
        }
    }
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
    /// No epoch had the metric by which the best was to be found.
    #[error(
        "no epoch of the training has the metric {metric:?} in its validation: give it to `.metrics(..)`, and the training a validation set"
    )]
    NoBest {
        /// The metric's name.
        metric: String,
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
    /// A file has no digest where others of its checkpoint have one: the training ended while it saved them.
    #[error(
        "{} has no digest, and other files of its checkpoint have one: it was not saved to its end",
        path.display()
    )]
    Incomplete {
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
    /// What was read is not what the training can go on from: it is of another model, for instance.
    #[error("the training can't go on from the checkpoint's {part}: {reason}")]
    Refused {
        /// The model, the optimizer or the learning rate scheduler.
        part: &'static str,
        /// Why, in the words of Burn.
        reason: String,
    },
    /// Another training saves in the same folder: the two would write over each other's checkpoints.
    #[error("another training saves in {}: take another folder, or wait for its end", folder.display())]
    InUse {
        /// The folder.
        folder: PathBuf,
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
        let reason = on_one_line(reason);
        let remedy = remedy(&reason);
        Self::Unreadable {
            path: path.into(),
            reason: format!("{reason}{remedy}"),
        }
    }

    /// The error of a checkpoint that is of other types than the training: so is the state of its optimizer.
    pub(crate) fn of_types(weight: &str, checkpoint: impl Debug, model: impl Debug) -> Self {
        Self::Refused {
            part: "model",
            reason: format!(
                "{weight} is {checkpoint:?} there and {model:?} here, and so is what the optimizer remembers of it: make the model in the types of \
                 the checkpoint, or begin another training from `ElboModel::load`, which casts the weights"
            ),
        }
    }

    pub(crate) fn not_written(path: &Path, reason: impl Display) -> Self {
        Self::NotWritten {
            path: path.into(),
            reason: on_one_line(reason),
        }
    }
}

/// What to do about a record that lacks the tensors of posteriors.
fn remedy(reason: &str) -> &'static str {
    let lacks_posteriors = reason
        .find("Missing")
        .is_some_and(|at| reason[at..].contains(".bayes.posterior"));
    match lacks_posteriors {
        true => {
            "; a record of a network without posteriors goes into the means, within `map_means`"
        }
        false => "",
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
    /// The input of an example, or the logarithm of its exposure, is NaN or infinite, and so is what the network makes
    /// of it.
    #[error("example {example}: its input{} is {value}", place(index))]
    Input {
        /// The example, counted from 0 in its batch or, where a whole data loader is predicted, in that.
        example: usize,
        /// Where in the example, counted from 0: the column of a row; empty for an exposure.
        index: Vec<usize>,
        /// The value.
        value: f64,
    },
    /// The network's outputs are none of the likelihood's.
    #[error(
        "a {likelihood} likelihood of its number of targets or classes needs outputs of shape [batch, {outputs}], got {got:?}"
    )]
    Shape {
        /// The likelihood.
        likelihood: &'static str,
        /// The columns that it needs.
        outputs: usize,
        /// The shape of the outputs.
        got: [usize; 2],
    },
    /// The network has no moments in one pass.
    #[error(transparent)]
    Moments(#[from] MomentsError),
    /// The data loader has no batches.
    #[error("there is nothing to predict: the data loader is empty")]
    Empty,
    /// The data loader failed.
    #[cfg(feature = "dataset")]
    #[error("the data can't be read: {0}")]
    Data(#[from] burn::data::dataset::DatasetError),
}

fn place(index: &[usize]) -> String {
    match index {
        [] => String::new(),
        [column] => format!(" in column {column}"),
        index => format!(" at {index:?}"),
    }
}

impl PredictError {
    /// The error of a batch with `examples` before it.
    #[cfg(feature = "dataset")]
    pub(crate) fn after(self, examples: usize) -> Self {
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
            Self::Input {
                example,
                index,
                value,
            } => Self::Input {
                example: example + examples,
                index,
                value,
            },
            other => other,
        }
    }
}
