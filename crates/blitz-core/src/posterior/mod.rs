//! Posteriors: the distribution `q(w)` that a Bayesian parameter draws its weights from.
//!
//! A posterior's location μ is the parameter's own stored tensor, so a deterministic checkpoint loads straight into
//! it; a [`Posterior`] holds the rest (ρ, ...) and is an ordinary Burn module.

mod builtin;
mod normal;

pub use builtin::{BuiltinPosterior, PosteriorConfig};
pub use normal::{NormalPosterior, NormalPosteriorConfig};

use burn::module::{Module, ModuleDisplay};
use burn::tensor::{Device, Shape, Tensor};

use crate::noise_source::Noise;
use crate::prior::Prior;

/// A family of distributions over one weight tensor, given its location μ.
///
/// Implement this for a posterior of your own: derive Burn's `Module` (its parameters are then trained, saved and
/// moved like any other) and say how to draw from it. Parameters are stored flat, with one rank for every weight
/// rank, because Burn attaches the same type to weights of all ranks. A complete one, with μ as its median and a
/// deviation shared by the whole tensor:
///
/// ```
/// use blitz_core::prelude::*;
/// use burn::module::{Module, Param};
/// use burn::nn::LinearConfig;
/// use burn::tensor::{Device, Shape, Tensor};
///
/// /// w = μ + b · s, with s from a standard Laplace distribution.
/// #[derive(Module, Debug)]
/// struct LaplacePosterior {
///     /// ln b, one number.
///     log_scale: Param<Tensor<1>>,
/// }
///
/// impl LaplacePosterior {
///     fn scale<const D: usize>(&self) -> Tensor<D> {
///         self.log_scale.val().exp().reshape([1; D])
///     }
/// }
///
/// impl Posterior for LaplacePosterior {
///     fn sample<const D: usize>(&self, mu: Tensor<D>, noise: &mut Noise) -> Tensor<D> {
///         // The inverse of the Laplace distribution function at u, with u = Φ(z) in (0, 1).
///         let z = noise.standard_normal(&mu);
///         let u = (z.div_scalar(2f64.sqrt()).erf() * 0.5).clamp(-0.499_999_9, 0.499_999_9);
///         let laplace = (u.clone().abs() * -2.0).log1p().neg() * u.sign();
///         mu + laplace * self.scale()
///     }
///
///     fn std_dev<const D: usize>(&self, mu: Tensor<D>) -> Tensor<D> {
///         mu.ones_like() * self.scale() * 2f64.sqrt()
///     }
///
///     fn log_density<const D: usize>(&self, mu: Tensor<D>, weight: Tensor<D>) -> Tensor<1> {
///         let scale = self.scale();
///         let log_density = ((weight - mu).abs() / scale.clone()).neg() - (scale * 2.0).log();
///         log_density.sum()
///     }
/// }
///
/// let device = Device::flex().autodiff();
/// let net = LinearConfig::new(3, 2).init(&device).attach_posteriors(|weight| {
///     let log_scale = Param::from_tensor(Tensor::from_floats([-3.0], weight.device));
///     Some((LaplacePosterior { log_scale }, NormalPrior::new(1.0)))
/// });
/// // No closed form is known for this pair, so the KL is a Monte Carlo estimate at the draw's own weights.
/// let _draw = net.draw(1, 0);
/// assert_eq!(net.kl_terms()[0].estimator, KlEstimator::MonteCarlo);
/// let y = net.forward(Tensor::<2>::ones([4, 3], &device));
/// let grads = (y.sum() + net.kl_cost()).backward();
/// let posterior = net.weight.reparameterization::<Variational<LaplacePosterior, NormalPrior>>().unwrap();
/// assert!(posterior.posterior.log_scale.val().grad(&grads).is_some());
/// ```
pub trait Posterior: Module + ModuleDisplay + Sync + 'static {
    /// One weight tensor drawn from `q`, reparameterized: differentiable in μ and in the posterior's parameters.
    ///
    /// `noise` is the only source of randomness, so that the same draw can be made again.
    fn sample<const D: usize>(&self, mu: Tensor<D>, noise: &mut Noise) -> Tensor<D>;

    /// `E_q[w]`, the weight used in the mean mode. The default is μ.
    fn mean<const D: usize>(&self, mu: Tensor<D>) -> Tensor<D> {
        mu
    }

    /// `sqrt(Var_q[w])` elementwise, in the shape of `mu`.
    fn std_dev<const D: usize>(&self, mu: Tensor<D>) -> Tensor<D>;

    /// `ln q(weight)` summed over the elements, in nats, of shape `[1]`.
    ///
    /// Used for the Monte Carlo estimate of the KL where the prior knows no closed form.
    fn log_density<const D: usize>(&self, mu: Tensor<D>, weight: Tensor<D>) -> Tensor<1>;

    /// The marginal distribution of each weight, for a prior's closed forms. The default knows the moments alone.
    fn marginals<const D: usize>(&self, mu: Tensor<D>) -> Marginals<D> {
        let std = self.std_dev(mu.clone());
        Marginals {
            mean: self.mean(mu),
            log_std: std.clone().log(),
            std,
            family: MarginalFamily::Other,
        }
    }

    /// The differential entropy `−E_q[ln q(w)]` of the whole tensor in closed form, in nats, of shape `[1]`, or
    /// `None` (the default) if it has none.
    fn entropy<const D: usize>(&self, mu: Tensor<D>) -> Option<Tensor<1>> {
        let _ = mu;
        None
    }

    /// `KL(q ‖ prior)` in closed form, summed over the elements, of shape `[1]`, or `None` if this pair has none.
    ///
    /// The default is `−H(q) − Σ E_q[ln p(w_i)]` where both are known. Whether it is `None` must depend on the
    /// configuration alone, not on values: the estimator of a model's KL must not change during training.
    fn kl<P: Prior, const D: usize>(&self, mu: Tensor<D>, prior: &P) -> Option<Tensor<1>> {
        let entropy = self.entropy(mu.clone())?;
        let expected = prior.expected_log_density(&self.marginals(mu))?;
        Some((entropy + expected.sum()).neg())
    }

    /// This posterior of the rows `rows` alone, positions on the first axis of a weight of `shape`, in that order; or `None`
    /// (the default) where rows can't be had without the others.
    ///
    /// To return one is to promise that the rows are independent, and that [`sample`](Self::sample) makes a weight out of
    /// the first [standard normal](Noise::standard_normal) at the weight's own place. An embedding then samples the rows
    /// it looks up and no others.
    fn rows(&self, shape: &Shape, rows: &[usize]) -> Option<Self> {
        let _ = (shape, rows);
        None
    }

    /// What the estimators that don't sample a layer's weights may assume. The default is nothing.
    fn structure(&self) -> PosteriorStructure {
        PosteriorStructure::General
    }
}

/// What is known of the joint distribution of a posterior's weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PosteriorStructure {
    /// Independent normals, `w ~ N(mean, std_dev²)`: local reparameterization and flipout are exact.
    IndependentNormal,
    /// The distribution of `w − E w` stays the same when any of its elements change sign: flipout is exact.
    SignSymmetric,
    /// Anything else: the weights themselves have to be sampled.
    General,
}

/// The marginal distributions of the weights of one tensor.
#[derive(Debug, Clone)]
pub struct Marginals<const D: usize> {
    /// The means.
    pub mean: Tensor<D>,
    /// The deviations.
    pub std: Tensor<D>,
    /// The logarithms of the deviations, kept apart since they stay finite where the deviation underflows.
    pub log_std: Tensor<D>,
    /// What they are besides.
    pub family: MarginalFamily,
}

/// The family of a weight's marginal distribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MarginalFamily {
    /// Normal.
    Normal,
    /// Laplace (double exponential).
    Laplace,
    /// Known by its mean and deviation only.
    Other,
}

/// What a new posterior can know of the weight that it is attached to.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct WeightInfo<'a> {
    /// The parameter's path in the module, e.g. `"encoder.linear1.weight"`.
    pub path: &'a str,
    /// The shape of the weight as the layer holds it.
    pub shape: &'a Shape,
    /// The device of the weight, with its autodiff context.
    pub device: &'a Device,
}
