//! Laplace approximations: a normal posterior about the weights of a network that is trained already (MacKay 1992;
//! Daxberger et al. 2021, "Laplace Redux").
//!
//! | | posterior | likelihood |
//! |---|---|---|
//! | [`GaussianLastLayer`] | of the last `Linear`, full covariance, in closed form | normal noise σ², of each output |
//! | [`BernoulliLastLayer`] | of the last `Linear`, full covariance of each output | a logit, or several |
//! | [`SoftmaxLastLayer`] | of the last `Linear`, full covariance, one block a class, or Kronecker factors | softmax |
//! | [`NetworkLaplace`] | of all weights that train, whole, in Kronecker factors or diagonal | normal, Bernoulli, categorical, Poisson, or your own |
//! | [`DiagonalLaplace`] | of all weights, independent | any, as a negative log likelihood |
//!
//! The prior is `N(0, 1/λ)` for each weight. Its precision λ is given, found where the marginal likelihood is largest,
//! or found for the best predictions of held-out examples, which is the way for classifiers. [`EvidenceTrainingConfig`]
//! finds it while the network trains. Data stream over a loader; matrices are `f64` on the host, of a size that does
//! not depend on the number of examples. `docs/laplace.md` shows it at work.

mod error;
mod labels;
mod last_layer;
mod network;
mod normal_logits;
mod numbers;
mod prior_precision;
mod spectrum;

pub use crate::predict::Link;
pub use error::LaplaceError;
pub use last_layer::{
    BernoulliLastLayer, ClassCovariance, GaussianLastLayer, LastLayerMean, LastLayerNetwork,
    LastLayerPosterior, SoftmaxLastLayer,
};
pub use network::{
    DiagonalLaplace, EvidenceEpoch, EvidenceTrainingConfig, GaussNewton, LossCurvature,
    NetworkLaplace, NetworkLaplaceConfig, NormalOutput, WeightCovariance,
};
pub use prior_precision::held_out::HeldOut;
pub use spectrum::MAX_JOINT_PARAMETERS;
