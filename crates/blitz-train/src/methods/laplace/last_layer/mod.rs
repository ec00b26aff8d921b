//! The Laplace approximation of a network's last `Linear`, on the features that the network computes for it.

mod bernoulli;
mod class_sums;
mod curvature;
mod features;
mod gaussian;
mod kronecker;
mod logits;
mod network;
mod shape;
mod softmax;
mod stored;

pub use bernoulli::BernoulliLastLayer;
pub use gaussian::{GaussianLastLayer, LastLayerMean};
pub use network::{LastLayerNetwork, LastLayerPosterior};
pub use softmax::{ClassCovariance, SoftmaxLastLayer};
