//! What is wrong with a network whose adapters were asked for.

/// Why a network is none with adapters.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AdapterError {
    /// No weight has an adapter.
    #[error(
        "the network has no LoRA adapter: call `apply_lora`, whose group has to match a matrix"
    )]
    None,
    /// An adapter has more columns than its weight has rank, and so is larger than the weight it stands for.
    #[error("the adapter of {path} has rank {rank}, its weight of {rows} × {columns} has no more than {}", rows.min(columns))]
    Rank {
        /// The weight.
        path: String,
        /// The adapter's rank.
        rank: usize,
        /// The weight's rows.
        rows: usize,
        /// The weight's columns.
        columns: usize,
    },
    /// An adapter has no columns, and so nothing that could train.
    #[error("the adapter of {path} has rank 0")]
    NoRank {
        /// The weight.
        path: String,
    },
    /// The product of an adapter's factors is multiplied with 0, or with no finite number.
    #[error(
        "the product of the adapter of {path} is multiplied with {scale}: its alpha is at fault"
    )]
    Scale {
        /// The weight.
        path: String,
        /// What it is multiplied with.
        scale: f64,
    },
    /// A weight with an adapter trains as well.
    #[error(
        "{path} has an adapter and trains itself: `unfreeze` after `apply_lora` reached it; leave it out by a group"
    )]
    BaseTrains {
        /// The weight.
        path: String,
    },
    /// A factor that is to be trained is frozen.
    #[error("{path} does not train: `unfreeze_group` the factors, or attach before `freeze`")]
    Frozen {
        /// The factor.
        path: String,
    },
    /// A factor has a posterior already.
    #[error("{path} has a posterior already")]
    Posterior {
        /// The factor.
        path: String,
    },
    /// A factor has a number that is NaN or infinite.
    #[error("{path} is not finite")]
    NonFinite {
        /// The factor.
        path: String,
    },
}
