//! How a Bayesian layer estimates its output under the posterior.

use burn::config::Config;

/// The estimator of a layer's output: the same mean, with different variance and cost.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Estimator {
    /// One sample of the weights per draw, shared by the whole batch (Blundell et al. 2015).
    ///
    /// Works for every posterior. The rows of a batch share their noise, so the variance of the gradient doesn't
    /// fall with the batch size.
    SharedWeights,
    /// Samples the layer's output instead of its weights, independently for each row (Kingma, Salimans & Welling,
    /// *Variational dropout and the local reparameterization trick*, 2015).
    ///
    /// For factorized normal posteriors; other posteriors fall back to shared weights. Its rows don't belong to one
    /// joint sample of the weights: use it to train, and note that a draw's network
    /// ([`sample_network`](blitz_core::BayesianModule::sample_network)) is not what it computed with.
    LocalReparameterization,
}
