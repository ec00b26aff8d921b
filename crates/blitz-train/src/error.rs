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

/// What a metric or a calibration cannot be computed from: predictions, targets or a setting out of range.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// Nothing to compute from.
    #[error("there must be at least one {what}, got 0")]
    Empty {
        /// What is missing.
        what: &'static str,
    },
    /// Two inputs that go together differ in length.
    #[error("{expected} {expected_of} need as many {what}, got {got}")]
    Length {
        /// What the length follows from.
        expected_of: &'static str,
        /// The length it needs.
        expected: usize,
        /// What has the wrong length.
        what: &'static str,
        /// Its length.
        got: usize,
    },
    /// Values that should be rows of equal width are not.
    #[error("{len} values are no whole number of rows of {width}")]
    Rows {
        /// How many values there are.
        len: usize,
        /// The width of a row.
        width: usize,
    },
    /// One of many values is out of range.
    #[error("{what} {index} must be {range}, got {value}")]
    Value {
        /// What the value is.
        what: &'static str,
        /// Its place, counted from 0.
        index: usize,
        /// The value.
        value: f64,
        /// What it may be.
        range: &'static str,
    },
    /// The probabilities of an example don't sum to one.
    #[error("the probabilities of example {example} must sum to 1, got {sum}")]
    Sum {
        /// The example, counted from 0.
        example: usize,
        /// The sum.
        sum: f64,
    },
    /// A label that is no class.
    #[error("example {example}: there is no class {label} among {classes}")]
    Label {
        /// The example, counted from 0.
        example: usize,
        /// Its label.
        label: usize,
        /// The number of classes.
        classes: usize,
    },
    /// The lower end of an interval is above its upper end.
    #[error("interval {index} must have lower <= upper, got [{lower}, {upper}]")]
    Interval {
        /// The interval's place, counted from 0.
        index: usize,
        /// Its lower end.
        lower: f64,
        /// Its upper end.
        upper: f64,
    },
    /// A setting is out of range.
    #[error("{what} must be {range}, got {value}")]
    Setting {
        /// The setting.
        what: &'static str,
        /// Its value.
        value: f64,
        /// What it may be.
        range: &'static str,
    },
    /// No finite interval or set from so few examples has the level asked for.
    #[error(
        "conformal prediction at level {level} needs at least {needed} calibration examples, got {got}: hold out more, \
         or ask for a lower level"
    )]
    TooFewExamples {
        /// The level.
        level: f64,
        /// The fewest examples that suffice.
        needed: usize,
        /// The examples there are.
        got: usize,
    },
    /// The likelihood of the held-out labels has no unique, finite maximum.
    #[error("the likelihood of the held-out labels has no unique finite maximum: {reason}")]
    NoOptimum {
        /// Why.
        reason: &'static str,
    },
}

/// The value, or a panic that says what is wrong with the input.
#[track_caller]
pub(crate) fn or_panic<T>(result: Result<T, InputError>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{error}"),
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
    /// The network returned NaN or infinity.
    #[error("draw {draw}, example {example}: {what}")]
    NonFinite {
        /// The draw.
        draw: usize,
        /// The example, counted from 0 in its batch or, where a whole data loader is predicted, in that.
        example: usize,
        /// What is not finite.
        what: String,
    },
    /// An interval between quantiles of the draws lies beyond all of them.
    #[error(
        "an interval of level {level} between quantiles of the draws needs at least {needed} of them, got {draws}"
    )]
    TooFewDraws {
        /// The level asked for.
        level: f64,
        /// The least number of draws.
        needed: usize,
        /// The number of draws there are.
        draws: usize,
    },
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
            Self::NonFinite {
                draw,
                example,
                what,
            } => Self::NonFinite {
                draw,
                example: example + examples,
                what,
            },
            other => other,
        }
    }
}
