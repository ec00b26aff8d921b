//! The complexity cost: `KL(q ‖ p)` summed over the weights of a model, in nats.

pub(crate) mod pair;
mod shared_scale;

pub(crate) use shared_scale::{SharedScale, resolve};

use burn::tensor::Tensor;

use crate::family::posterior::Posterior;
use crate::family::prior::Prior;
use crate::family::widest;
use crate::kernels::{self, linked::KlLink};

/// How the KL of one parameter was computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KlEstimator {
    /// The posterior and the prior have a closed form.
    ClosedForm,
    /// `ln q(w) − ln p(w)` at the weight `w` of the open draw: unbiased, with the noise of one sample.
    MonteCarlo,
}

/// The KL of one Bayesian parameter.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct KlTerm {
    /// The path of the weight, e.g. `"encoder.linear1.weight"`; the first one of a weight that is tied.
    pub path: String,
    /// Its KL, summed over its weights, in nats, of shape `[1]`: in `f32` for weights of 16 bits, of which a sum of
    /// nats would be too much.
    pub value: Tensor<1>,
    /// Where the value comes from.
    pub estimator: KlEstimator,
    /// Its link to the draw that it was computed with.
    link: Option<KlLink>,
}

impl KlTerm {
    pub(crate) fn new(value: Tensor<1>, estimator: KlEstimator) -> Self {
        Self {
            path: String::new(),
            value,
            estimator,
            link: None,
        }
    }

    /// `loss + weight Σ terms`, on the loss's device.
    ///
    /// The same as adding [`total`](Self::total), but for terms that were computed together with their weights
    /// ([`Draw::with_kl`](crate::Draw::with_kl)): their gradients come from the same pass over the parameters as those
    /// of the weights.
    ///
    /// ```
    /// use blitz_core::prelude::*;
    /// use blitz_core::KlTerm;
    /// use burn::nn::LinearConfig;
    /// use burn::tensor::{Device, Tensor};
    ///
    /// let device = Device::flex().autodiff();
    /// let net = LinearConfig::new(2, 1).init(&device).bayesianize(&BayesianizeConfig::new());
    /// let _draw = net.draw(1, 0).with_kl();
    /// let nll = net.forward(Tensor::<2>::ones([4, 2], &device)).square().mean();
    /// let loss = KlTerm::add_to(nll, net.kl_terms(), 1.0 / 1000.0);
    /// assert!(net.weight.base().grad(&loss.backward()).is_some());
    /// ```
    #[must_use]
    pub fn add_to(
        loss: Tensor<1>,
        terms: impl IntoIterator<Item = Self>,
        weight: f64,
    ) -> Tensor<1> {
        let device = loss.device();
        let mut others = Vec::new();
        let mut loss = loss;
        for term in terms {
            match term.link {
                Some(link) if term.value.device() == device => {
                    loss = kernels::add_linked(loss, term.value, weight, link);
                }
                _ => others.push(term),
            }
        }
        let others = Self::total(others).map(|others| others.mul_scalar(weight));
        sum([loss.clone()].into_iter().chain(others)).unwrap_or(loss)
    }

    /// The sum of the terms' values, or `None` without terms.
    ///
    /// A model split over devices pays its KL on the first; one of mixed types in the widest.
    pub fn total(terms: impl IntoIterator<Item = Self>) -> Option<Tensor<1>> {
        sum(terms.into_iter().map(|term| term.value))
    }
}

/// `KL(q ‖ p)` in closed form, summed over the weights of a tensor with the location `mu`, in nats, of shape `[1]`; or
/// `None` if the pair has no closed form.
///
/// ```
/// use blitz_core::{NormalPosteriorConfig, NormalPrior, kl_divergence};
/// use burn::tensor::{Device, Shape, Tensor};
///
/// let device = Device::flex();
/// let q = NormalPosteriorConfig::new().with_initial_std(0.5).init(&Shape::new([1]), &device);
/// let kl = kl_divergence(&q, &NormalPrior::new(1.0), &Tensor::<1>::ones([1], &device)).unwrap();
/// // ln (1 / 0.5) + (0.5² + 1²) / 2 − 1/2
/// assert!((kl.into_scalar::<f32>() - 0.818_147).abs() < 1e-6);
/// ```
pub fn kl_divergence<Q: Posterior, P: Prior, const D: usize>(
    q: &Q,
    p: &P,
    mu: &Tensor<D>,
) -> Option<Tensor<1>> {
    let kl = pair::closed_form(q, p, mu)?;
    let term = KlTerm::new(kl.value, KlEstimator::ClosedForm);
    KlTerm::total(resolve(vec![(term, kl.share)]))
}

/// The sum of the values, on the device of the first and in the widest of their types.
fn sum(values: impl IntoIterator<Item = Tensor<1>>) -> Option<Tensor<1>> {
    values.into_iter().reduce(|sum, value| {
        let value = value.to_device(&sum.device());
        let (sum, value) = widest(sum, value);
        sum + value
    })
}
