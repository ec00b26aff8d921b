//! What the posteriors of a module are, weight by weight.

use burn::module::{Module, ParamId};
use burn::tensor::Tensor;

use crate::attach::{Attachment, Walk, Weight, attachments};
use crate::family::posterior::Posterior;

/// A posterior and the weight that it is attached to, from
/// [`BayesianModule::posteriors`](crate::BayesianModule::posteriors).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AttachedPosterior<Q> {
    /// The path of the weight, e.g. `"encoder.linear1.weight"`; the first one of a weight that is tied.
    pub path: String,
    /// The id of the parameter that holds the location μ.
    pub id: ParamId,
    /// A copy of the posterior: its parameters have the ids of the module's.
    pub posterior: Q,
}

/// The means and deviations of a weight tensor, from
/// [`BayesianModule::weight_marginals`](crate::BayesianModule::weight_marginals).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct WeightMarginals {
    /// The path of the weight, e.g. `"encoder.linear1.weight"`; the first one of a weight that is tied.
    pub path: String,
    /// The mean of each weight, in row-major order; zero for one that is pruned.
    pub means: Vec<f32>,
    /// The deviation of each weight's posterior, also of one that is pruned.
    pub std_devs: Vec<f32>,
}

impl WeightMarginals {
    /// The signal-to-noise ratio `|mean| / σ` of each weight, by which
    /// [`prune_by_signal_to_noise`](crate::BayesianModule::prune_by_signal_to_noise) ranks them; zero for one that is pruned.
    ///
    /// ```
    /// use blitz_core::prelude::*;
    /// use burn::nn::LinearConfig;
    /// use burn::tensor::Device;
    ///
    /// let config = BayesianizeConfig::new().with_posterior(PosteriorConfig::normal(0.1));
    /// let net = LinearConfig::new(2, 3).init(&Device::flex()).bayesianize(&config);
    /// let weight = &net.weight_marginals()[0];
    /// assert!((weight.signal_to_noise()[0] - weight.means[0].abs() / 0.1).abs() < 1e-4);
    /// ```
    pub fn signal_to_noise(&self) -> Vec<f32> {
        let weights = self.means.iter().zip(&self.std_devs);
        weights.map(|(mean, std)| mean.abs() / std).collect()
    }
}

/// The marginals of all posteriors, in the order of the traversal.
pub(crate) fn of<M: Module>(module: &M) -> Vec<WeightMarginals> {
    let host = |tensor: Tensor<1>| tensor.into_data().iter::<f32>().collect();
    each(module, |weight, attachment| {
        Some(WeightMarginals {
            path: weight.path().to_string(),
            means: host(attachment.mean()),
            std_devs: host(attachment.std_dev()),
        })
    })
}

/// The posteriors of type `Q`, in the order of the traversal.
pub(super) fn posteriors<M: Module, Q: Posterior>(module: &M) -> Vec<AttachedPosterior<Q>> {
    each(module, |weight, attachment| {
        Some(AttachedPosterior {
            path: weight.path().to_string(),
            id: weight.id,
            posterior: attachment.posterior().downcast_ref::<Q>()?.clone(),
        })
    })
}

fn each<M: Module, T>(module: &M, f: impl Fn(&Weight, &dyn Attachment) -> Option<T>) -> Vec<T> {
    let walk = Walk::of(module);
    let attachments = attachments(module);
    let values = walk.posteriors().filter_map(|(weight, id)| {
        let attachment = attachments
            .iter()
            .find(|attachment| attachment.id() == id)?;
        f(weight, &**attachment)
    });
    values.collect()
}

/// The path of a weight that has a posterior, if there is one: what is made for the weights of a deterministic network
/// refuses a module by it. For the crates of blitz.
pub fn posterior_in<M: Module>(module: &M) -> Option<String> {
    let walk = Walk::of(module);
    let (weight, _) = walk.posteriors().next()?;
    Some(weight.path().to_string())
}
