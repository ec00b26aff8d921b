//! Why no posterior was found.

use super::super::error::AdapterError;

/// Why no deviation was found.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TfbError {
    /// The network has no adapters, or none that can be used.
    #[error(transparent)]
    Adapter(#[from] AdapterError),
    /// An adapter adds nothing to its weight, whatever `a` is.
    #[error("the adapter of {path} is not trained: its factor b is zero")]
    Untrained {
        /// The weight.
        path: String,
    },
    /// There are no examples to measure the loss on.
    #[error("there are no examples to measure the loss on")]
    Empty,
    /// The trained network's own loss is NaN or infinite.
    #[error("the loss of the trained network on batch {batch} is {loss}")]
    NonFinite {
        /// The batch, counted from 0.
        batch: usize,
        /// The mean loss of its examples.
        loss: f64,
    },
    /// No deviation is too large.
    #[error(
        "the loss stays within {tolerance} of {at_mean} up to a deviation of {std:e}: it does not depend on the adapters"
    )]
    Unbounded {
        /// The tolerance.
        tolerance: f64,
        /// The loss of the trained network.
        at_mean: f64,
        /// The largest deviation that was tried.
        std: f64,
    },
    /// No deviation is small enough.
    #[error("the loss is not within {tolerance} of {at_mean} even at a deviation of {std:e}")]
    NothingWithin {
        /// The tolerance.
        tolerance: f64,
        /// The loss of the trained network.
        at_mean: f64,
        /// The smallest deviation that was tried.
        std: f64,
    },
    /// The passes ended first.
    #[error(
        "{passes} passes over the examples ended at a deviation of {std:e}: the search needs more passes, or smaller batches"
    )]
    Budget {
        /// The passes that were allowed.
        passes: f64,
        /// The deviation that the search had come to.
        std: f64,
    },
}
