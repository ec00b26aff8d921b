//! Why there is no Laplace approximation.

use blitz_layers::blitz_core::posterior_in;
use burn::module::Module;

/// Why there is no Laplace approximation, or none with these settings.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LaplaceError {
    /// The data loader has no examples.
    #[error("there is nothing to approximate a posterior from: the data loader is empty")]
    Empty,
    /// A batch does not fit the layer.
    #[error("{what} of a batch must be {expected}, got {got}")]
    Shape {
        /// What has the wrong shape.
        what: &'static str,
        /// The size it must have.
        expected: usize,
        /// The size it has.
        got: usize,
    },
    /// A number is NaN or infinite.
    #[error("{what} of example {example} is not finite")]
    NonFinite {
        /// What is not finite.
        what: &'static str,
        /// The example, counted from 0 in the data loader's order.
        example: usize,
    },
    /// A label that is no class.
    #[error("example {example}: there is no class {label} among {classes}")]
    Label {
        /// The example, counted from 0 in the data loader's order.
        example: usize,
        /// Its label.
        label: i64,
        /// The number of classes.
        classes: usize,
    },
    /// A target that the likelihood gives no meaning; examples are counted in the data loader's order.
    #[error(transparent)]
    Target(#[from] crate::error::TargetError),
    /// A setting is out of range.
    #[error("{what} must be positive and finite, got {value}")]
    Setting {
        /// The setting.
        what: &'static str,
        /// Its value.
        value: f64,
    },
    /// The posterior precision can't be inverted in `f64`: features are collinear or gradients vanish, and the prior is
    /// too wide to make up for it.
    #[error(
        "features are collinear, or gradients vanish: the posterior precision has eigenvalues from {smallest} to {largest}; raise the prior precision"
    )]
    Singular {
        /// The smallest eigenvalue.
        smallest: f64,
        /// The largest.
        largest: f64,
    },
    /// A joint covariance over all classes would be too large.
    #[error(
        "a joint covariance of {parameters} weights exceeds {limit}; use Kronecker factors, or one block for each class"
    )]
    TooLarge {
        /// The weights of the layer.
        parameters: usize,
        /// The most a joint covariance may have.
        limit: usize,
    },
    /// The marginal likelihood has no maximum inside the range searched.
    #[error("the marginal likelihood has no maximum: {reason}")]
    NoOptimum {
        /// Why.
        reason: &'static str,
    },
    /// Batches of several examples, where gradients of single ones are needed.
    #[error(
        "each batch must be one example, got {batches} batches of {examples} examples: set the batch size to 1"
    )]
    NotSingle {
        /// The batches.
        batches: usize,
        /// The examples.
        examples: usize,
    },
    /// The network, or the layer, has posteriors already: its weights are other ones at each reading.
    #[error(
        "{path} has a posterior already, and a Laplace approximation is of a trained, deterministic network: take `mean_network()`"
    )]
    Bayesian {
        /// The weight.
        path: String,
    },
    /// The layer's weights are of few bits: a draw would be rounded to them.
    #[error(
        "the layer is quantized, and a draw of it would be rounded to so few bits: leave the last layer out of the quantization"
    )]
    Quantized,
    /// Features on an autodiff device, where dropout drops and a batch norm takes in each batch.
    #[error(
        "the features are on an autodiff device, where layers may behave as in training: compute them with the network's `valid()`, from data on \
         a device without autodiff"
    )]
    Training,
    /// The same example gave two results.
    #[error(
        "{what} of example {example} is another one each time: a network in training mode, or a layer that is random in prediction too, which \
         `with_mean` switches off"
    )]
    Random {
        /// What differs.
        what: &'static str,
        /// The example, counted from 0 in the data loader's order.
        example: usize,
    },
    /// The likelihood's curvature depends on what was observed.
    #[error("there is no Gauss–Newton matrix of this likelihood: {reason}")]
    Likelihood {
        /// Why.
        reason: &'static str,
    },
    /// An output has no predictive distribution.
    #[error(transparent)]
    Prediction(#[from] crate::error::PredictError),
    /// A training came to a loss that is NaN or infinite.
    #[error(
        "the loss of epoch {epoch} is not finite: nll {nll} an example; a smaller learning rate may help"
    )]
    Diverged {
        /// The epoch, counted from 1.
        epoch: usize,
        /// The mean negative log likelihood of an example.
        nll: f64,
    },
    /// No parameter of the network received a gradient.
    #[error("no parameter received a gradient: is the network on an autodiff device?")]
    NoGradient,
    /// A training without epochs, or without one before which the evidence is asked.
    #[error("{what} must be at least 1, got 0")]
    Zero {
        /// The setting.
        what: &'static str,
    },
    /// The data loader failed.
    #[error("the data can't be read: {0}")]
    Data(#[from] burn::data::dataset::DatasetError),
}

/// A setting that must be positive and finite.
pub(super) fn positive(what: &'static str, value: f64) -> Result<f64, LaplaceError> {
    if value > 0.0 && value.is_finite() {
        return Ok(value);
    }
    Err(LaplaceError::Setting { what, value })
}

/// As many as there have to be.
pub(super) fn size(what: &'static str, expected: usize, got: usize) -> Result<(), LaplaceError> {
    match expected == got {
        true => Ok(()),
        false => Err(LaplaceError::Shape {
            what,
            expected,
            got,
        }),
    }
}

/// Refuses what has posteriors, whose weights are random.
pub(super) fn deterministic<M: Module>(module: &M) -> Result<(), LaplaceError> {
    match posterior_in(module) {
        None => Ok(()),
        Some(path) => Err(LaplaceError::Bayesian { path }),
    }
}

/// How far apart two results for one example may be: sums on a GPU may come in another order, a dropped unit changes
/// more.
const ROUNDING: f64 = 1e-3;
/// The examples that are computed twice. Of one alone two masks may be the same.
pub(super) const TWICE: usize = 8;

/// The first of the values, `width` an example, that differs from its counterpart.
pub(super) fn repeats(
    what: &'static str,
    first: &[f64],
    second: &[f64],
    width: usize,
    before: usize,
) -> Result<(), LaplaceError> {
    let differs = |(a, b): (&f64, &f64)| (a - b).abs() > ROUNDING * (a.abs() + b.abs());
    match first.iter().zip(second).position(differs) {
        Some(at) => Err(LaplaceError::Random {
            what,
            example: before + at / width,
        }),
        None => Ok(()),
    }
}
