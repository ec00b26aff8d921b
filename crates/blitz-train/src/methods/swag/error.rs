//! Why a network's weights were not taken.

/// Why a network's weights were not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SwagError {
    /// The network has another number of parameters.
    #[error("a network of {got} parameters was collected, the posterior is of {expected}")]
    Parameters {
        /// Those of the network that the posterior was made for.
        expected: usize,
        /// Those of the one that was to be collected.
        got: usize,
    },
    /// A parameter has another size, or does not train.
    #[error("parameter {path} has {got} weights that train, the posterior has {expected} of it")]
    Shape {
        /// The parameter.
        path: String,
        /// Its weights that train in the network that the posterior was made for.
        expected: usize,
        /// Those in the one that was to be collected.
        got: usize,
    },
    /// The network has posteriors: its draws would have their noise and SWAG's from the same numbers.
    #[error(
        "{path} has a posterior already, and SWAG makes one of the weights of a network that was not made Bayesian"
    )]
    Bayesian {
        /// The weight.
        path: String,
    },
    /// A weight that trains is NaN or infinite.
    #[error("a weight of {path} is not finite")]
    NonFinite {
        /// The parameter.
        path: String,
    },
}
