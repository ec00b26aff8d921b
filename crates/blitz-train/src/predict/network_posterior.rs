//! Distributions over whole networks, whatever they were made by.

/// Draws of whole networks: what a deep ensemble, a chain, SWAG and a Laplace approximation have in common.
///
/// [`PredictorConfig::init_with`](crate::PredictorConfig::init_with) predicts with any of them. A Bayesian network needs none of this: its own
/// draws are those of [`BayesianModule::sample_network`](blitz_layers::blitz_core::BayesianModule::sample_network), and
/// [`PredictorConfig::init`](crate::PredictorConfig::init) takes it as it is.
///
/// The method has a name of its own because a posterior may be a module, as SWAG is, and every module has a
/// `sample_network`.
pub trait NetworkPosterior<N> {
    /// Network `index` of `seed`, counted from 0: the same network for the same numbers, always.
    ///
    /// If noise is drawn for it, draw it as a *prediction* does
    /// ([`layout::prediction`](blitz_layers::blitz_core::noise::layout::prediction)): no training with the same seed
    /// has drawn that before.
    fn draw_network(&self, seed: u64, index: u64) -> N;
}
