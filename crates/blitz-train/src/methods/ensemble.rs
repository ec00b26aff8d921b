//! Deep ensembles.

use blitz_layers::blitz_core::noise::layout;
use blitz_layers::blitz_core::{BayesianModule, posterior_in};
use burn::module::Module;

use crate::module_state::with_own_statistics;
use crate::predict::NetworkPosterior;

/// Networks that were trained from different starts, each as likely as any other.
///
/// Lakshminarayanan, Pritzel & Blundell, *Simple and scalable predictive uncertainty estimation using deep ensembles*
/// (2017). The members may be deterministic or Bayesian: network i is draw i of a prediction with member `i mod M`,
/// which for a deterministic one is the member itself, adapters and all. So M draws of deterministic members are the
/// members, and a multiple of M gives each the same weight. Bayesian ones draw noise of their own: no two networks
/// share it. A draw of one with adapters is merged, and so dense. Its record is a Burn record.
///
/// ```
/// use blitz_train::{Ensemble, PredictError};
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
        // What trains a clone of a member on moves its batch norms' statistics.
        let members = members.iter().map(with_own_statistics).collect();
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
        let member = &self.members[(index % members) as usize];
        match posterior_in(member) {
            Some(_) => member.sample_network(seed, layout::prediction(index)),
            // As it is: an adapter would be merged into a dense copy of its weight.
            None => member.clone(),
        }
    }
}
