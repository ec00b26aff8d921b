//! Ways to a posterior beside the ELBO with an optimizer, one folder each.
//!
//! Each method implements what it plugs into beside its own type: [`NetworkPosterior`](crate::NetworkPosterior) if it draws whole networks, and
//! [`WeightUpdate`](crate::WeightUpdate) if it trains weights itself. Nothing outside this room knows a method by name.

pub(crate) mod adapter;
pub(crate) mod ensemble;
pub(crate) mod ivon;
#[cfg(feature = "dataset")]
pub mod laplace;
pub(crate) mod sgld;
pub(crate) mod swag;

use blitz_layers::blitz_core::BayesianModule;
use burn::module::Module;

/// The path of a weight that has a posterior already, if there is one: a method whose draws are of a deterministic network's weights refuses it.
fn posterior_in<M: Module>(module: &M) -> Option<String> {
    if module.num_bayesian_weights() == 0 {
        return None;
    }
    let marginals = module.weight_marginals();
    let path = marginals.first().map(|weight| weight.path.clone());
    Some(path.unwrap_or_default())
}
