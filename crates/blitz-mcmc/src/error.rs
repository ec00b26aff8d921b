//! Why there are no draws, or none that can be used.

use std::path::{Path, PathBuf};

use blitz_train::blitz_predict::InputError;
use blitz_train::{CheckpointError, ConfigError};

/// Why there are no draws of a posterior, or none that can be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum McmcError {
    /// A setting is out of range.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The network has nothing to sample.
    #[error("the network has no weight that trains: there is nothing to sample")]
    NoWeights,
    /// The network has posteriors already: its weights are other ones at each reading.
    #[error(
        "{path} has a posterior already, and a chain samples the weights of a deterministic network: take `mean_network()`, or one that was not \
         made Bayesian"
    )]
    Bayesian {
        /// The weight.
        path: String,
    },
    /// A prior that learns its scale is no fixed density.
    #[error(
        "{path}: {prior} learns its scale, which a chain can't: take a prior of fixed numbers, such as `PriorConfig::normal(1.0)`"
    )]
    LearnedPrior {
        /// The weight.
        path: String,
        /// The prior.
        prior: &'static str,
    },
    /// The same weights gave two densities.
    #[error(
        "the log density is {first} and then {second} at the same weights: a layer is random, or behaves in training as it does not in prediction \
         (dropout, batch norm). Give `network.valid()`; for Monte Carlo dropout, `freeze_sampling()` as well"
    )]
    Training {
        /// The log density.
        first: f64,
        /// The other one.
        second: f64,
    },
    /// The gradient of the density is not that of its values.
    #[error(
        "along one direction the log density has the slope {of_values} by its values and {of_gradient} by its gradient: a likelihood with a gradient of its own for \
         training, such as the β-NLL, is no density (take a beta of 0), nor can a layer be sampled that stops gradients or computes them otherwise"
    )]
    Gradient {
        /// The slope that the gradient says.
        of_gradient: f64,
        /// The slope that values beside each other say.
        of_values: f64,
    },
    /// The network can't be computed in `f64`.
    #[error(
        "the network can't be computed in `f64` ({reason}): {}. Make `f64` that type before the program's first tensor, by \
         `Device::flex().configure(FloatDType::F64)`; or take the `mean_network()` of blitz's own recurrent layers, which follow their input's type",
        at_fault(layers)
    )]
    Precision {
        /// The layers of Burn's that are known for it, with their types; none if it is another.
        layers: Vec<String>,
        /// What Burn says.
        reason: String,
    },
    /// The likelihood is no number for each example.
    #[error("the data have no examples: the likelihood is of none")]
    Empty,
    /// A chain can't start.
    #[error(
        "chain {chain} can't start: {what} is not finite there. Check the data for numbers that are not finite, lower `jitter` where chains start near one \
         network, or start from trained ones"
    )]
    Start {
        /// The chain, counted from 0.
        chain: usize,
        /// The log density, or the weight whose gradient it is.
        what: String,
    },
    /// More weights than a sampler gets through without patience.
    #[error(
        "the network has {weights} weights, more than {limit}, each a dimension that the chains have to explore: take a smaller network, or \
         `with_allow_many_weights(true)` and days of time"
    )]
    ManyWeights {
        /// The weights.
        weights: usize,
        /// The most without the flag.
        limit: usize,
    },
    /// A draw can't be a weight of the network.
    #[error(
        "{path} has the draw {value:e}, which is infinite in {dtype}, the type of the network: sample it in a wider one, or under a narrower prior"
    )]
    OutOfRange {
        /// The weight.
        path: String,
        /// The draw.
        value: f64,
        /// The type of the weight.
        dtype: String,
    },
    /// Not enough draws to tell whether the chains have converged.
    #[error("{draws} draws a chain are fewer than the {needed} that R-hat needs: raise `draws`")]
    TooFewDraws {
        /// The draws of a chain.
        draws: usize,
        /// The fewest that suffice.
        needed: usize,
    },
    /// No trajectory of any chain could be followed.
    #[error(
        "every draw of every chain diverged: raise `target_acceptance` towards 1 or `warm_up`, bring inputs and targets to mean 0 and deviation 1, and \
         check that the prior and the noise are not far too narrow"
    )]
    AllDivergent,
    /// The sampler stopped.
    #[error("chain {chain} stopped: {reason}")]
    Sampler {
        /// The chain, counted from 0.
        chain: usize,
        /// What the sampler says.
        reason: String,
    },
    /// There is not one start for each chain.
    #[error(
        "{chains} chains need as many networks to start at, got {starts}: give one for each, or set `chains`"
    )]
    Starts {
        /// The chains.
        chains: usize,
        /// The networks.
        starts: usize,
    },
    /// Weights of another network.
    #[error("the weights are not those of this network: {expected} were expected, and {got} found")]
    OtherNetwork {
        /// The weights of the network.
        expected: String,
        /// Those that there are.
        got: String,
    },
    /// A network whose sampled weights have the paths and shapes of the draws', and whose other numbers are not those
    /// that the draws were made with.
    #[error(
        "what is not sampled is not that of the network that the draws are of, such as weights that are frozen or the statistics of a batch norm: give the \
         network that was sampled"
    )]
    OtherFrozen,
    /// A file has a chain of another run.
    #[error(
        "{} is of another run: of another network, likelihood, prior, data or configuration. Take another folder, or remove it",
        path.display()
    )]
    OtherRun {
        /// The file.
        path: PathBuf,
    },
    /// A file is damaged, or can't be read or written.
    #[error(transparent)]
    File(#[from] CheckpointError),
    /// One of the numbers that should be judged can't be.
    #[error("number {number} (counted from 0): {reason}")]
    Number {
        /// Which number of those that are looked at.
        number: usize,
        /// What is wrong with its draws.
        reason: InputError,
    },
}

fn at_fault(layers: &[String]) -> String {
    match layers {
        [] => "a layer makes or holds a tensor of the type that its device has by default, or data given to `of_nll` are not in `f64`".into(),
        layers => format!("{} makes or holds tensors of the type that the device has by default", layers.join(", ")),
    }
}

impl McmcError {
    pub(crate) fn unreadable(path: &Path, reason: impl ToString) -> Self {
        let (path, reason) = (path.into(), reason.to_string());
        CheckpointError::Unreadable { path, reason }.into()
    }

    pub(crate) fn not_written(path: &Path, reason: impl ToString) -> Self {
        let (path, reason) = (path.into(), reason.to_string());
        CheckpointError::NotWritten { path, reason }.into()
    }
}
