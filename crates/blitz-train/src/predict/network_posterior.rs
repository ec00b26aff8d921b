//! Distributions over whole networks, whatever they were made by.

use blitz_layers::blitz_core::BayesianModule;
use burn::module::Module;
#[cfg(feature = "train")]
use burn::nn::Linear;

#[cfg(feature = "train")]
use crate::laplace::{DiagonalLaplace, LastLayerNetwork, LastLayerPosterior};
use crate::optim::Chain;
use crate::swag::Swag;

/// Draws of whole networks: what a deep ensemble, a chain, SWAG and a Laplace approximation have in common.
///
/// [`PredictorConfig::init_with`](crate::PredictorConfig::init_with) predicts with any of them. A Bayesian network needs none of this: its own
/// draws are those of [`BayesianModule::sample_network`], and [`PredictorConfig::init`](crate::PredictorConfig::init) takes it as it is.
pub trait NetworkPosterior<N> {
    /// Draw `index` of `seed`: the same network for the same numbers, always.
    fn draw_network(&self, seed: u64, index: u64) -> N;
}

/// Networks that were trained from different starts, each as likely as any other.
///
/// Lakshminarayanan, Pritzel & Blundell, *Simple and scalable predictive uncertainty estimation using deep ensembles* (2017). The
/// members may be deterministic or Bayesian: draw i is draw `i / M` of member `i mod M`, which for a deterministic one is the member itself.
/// So M draws are the members, and a multiple of M gives each the same weight. Its record is a Burn record.
///
/// ```
/// use blitz_train::Ensemble;
/// use blitz_train::prelude::*;
/// # use burn::module::Module;
/// # use burn::nn::{Linear, LinearConfig};
/// # use burn::tensor::{Device, Tensor};
/// # #[derive(Module, Debug)]
/// # struct Net { layer: Linear }
/// # impl Network for Net {
/// #     type Input = Tensor<2>;
/// #     type Output = Tensor<2>;
/// #     fn forward(&self, input: Tensor<2>) -> Tensor<2> { self.layer.forward(input) }
/// # }
/// # let device = Device::flex();
/// // Each trained by itself, from weights and batches of its own:
/// let members = (0..5).map(|_| Net { layer: LinearConfig::new(2, 1).init(&device) }).collect();
/// let ensemble = Ensemble::new(members);
/// let likelihood = GaussianLikelihoodConfig::new().init(&device);
/// let predictor = PredictorConfig::new(5).init_with(&ensemble, &likelihood);
/// let predictive = predictor.predict(Tensor::ones([3, 2], &device))?;
/// assert_eq!((predictive.draws(), predictive.len()), (5, 3));
/// # Ok::<(), PredictError>(())
/// ```
#[derive(Module, Debug)]
pub struct Ensemble<N: Module> {
    members: Vec<N>,
}

impl<N: Module> Ensemble<N> {
    /// Of these members.
    ///
    /// # Panics
    ///
    /// Panics without any.
    pub fn new(members: Vec<N>) -> Self {
        assert!(
            !members.is_empty(),
            "an ensemble needs at least one member, got none"
        );
        Self { members }
    }

    /// The members.
    pub fn members(&self) -> &[N] {
        &self.members
    }
}

impl<N: Module> NetworkPosterior<N> for Ensemble<N> {
    fn draw_network(&self, seed: u64, index: u64) -> N {
        let members = self.members.len() as u64;
        self.members[(index % members) as usize].sample_network(seed, index / members)
    }
}

/// The networks that the chain kept, in turn; the seed has no part in it.
///
/// # Panics
///
/// Panics if the chain has kept none yet.
impl<N: Module> NetworkPosterior<N> for Chain<N> {
    fn draw_network(&self, _seed: u64, index: u64) -> N {
        let networks = self.networks();
        assert!(
            !networks.is_empty(),
            "the chain has kept no network yet: it is still burning in"
        );
        networks[(index % networks.len() as u64) as usize].clone()
    }
}

impl<N: Module> NetworkPosterior<N> for Swag<N> {
    fn draw_network(&self, seed: u64, index: u64) -> N {
        self.sample_network(seed, index)
    }
}

#[cfg(feature = "train")]
impl<N: Module> NetworkPosterior<N> for DiagonalLaplace<N> {
    fn draw_network(&self, seed: u64, index: u64) -> N {
        self.sample_network(seed, index)
    }
}

#[cfg(feature = "train")]
impl<N, P, F> NetworkPosterior<N> for LastLayerNetwork<N, P, F>
where
    N: Module,
    P: LastLayerPosterior,
    F: Fn(&mut N, Linear),
{
    fn draw_network(&self, seed: u64, index: u64) -> N {
        self.sample_network(seed, index)
    }
}
