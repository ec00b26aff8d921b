//! Laplace approximations: a normal posterior about the weights of a network that is trained already (MacKay 1992; Daxberger
//! et al. 2021, "Laplace Redux").
//!
//! | | posterior | likelihood |
//! |---|---|---|
//! | [`GaussianLastLayer`] | of the last `Linear`, full covariance, in closed form | normal noise σ², of each output |
//! | [`BernoulliLastLayer`] | of the last `Linear`, full covariance of each output | a logit, or several |
//! | [`SoftmaxLastLayer`] | of the last `Linear`, full covariance, one block a class, or Kronecker factors | softmax |
//! | [`NetworkLaplace`] | of all weights that train, whole, in Kronecker factors or diagonal | normal, Bernoulli, categorical, Poisson, or your own |
//! | [`DiagonalLaplace`] | of all weights, independent | any, as a negative log likelihood |
//!
//! The prior is `N(0, 1/λ)` for each weight. Its precision λ is given, found where the marginal likelihood is largest, or found for the best predictions of
//! held-out examples, which is the way for classifiers. [`EvidenceTrainingConfig`] finds it while the network trains.
//! Data stream over a loader; matrices are `f64` on the host, of a size that does not depend on the number of examples.
//! `docs/laplace.md` shows it at work.

mod bernoulli;
mod class_sums;
mod curvature;
mod diagonal;
mod error;
mod evidence;
mod features;
mod gaussian;
mod gradients;
mod held_out;
mod kronecker;
mod last_layer_network;
mod layer;
mod link;
mod logits;
mod network;
mod random_weights;
mod softmax;
mod spectrum;
mod stored;

pub use crate::predict::Link;
pub use bernoulli::BernoulliLastLayer;
pub use diagonal::DiagonalLaplace;
pub use error::LaplaceError;
pub use gaussian::{GaussianLastLayer, LastLayerMean};
pub use held_out::HeldOut;
pub use last_layer_network::{LastLayerNetwork, LastLayerPosterior};
pub use network::{
    EvidenceEpoch, EvidenceTrainingConfig, GaussNewton, LossCurvature, NetworkLaplace,
    NetworkLaplaceConfig, NormalOutput, WeightCovariance,
};
pub use softmax::{ClassCovariance, MAX_JOINT_PARAMETERS, SoftmaxLastLayer};
