//! Posteriors: the distribution `q(w)` that a Bayesian parameter draws its weights from.
//!
//! A posterior's location μ is the parameter's own stored tensor, so a deterministic checkpoint loads straight into
//! it; a [`Posterior`] holds the rest (ρ, ...) and is an ordinary Burn module.

mod builtin;
mod laplace;
mod low_rank_normal;
mod matrix_normal;
mod mean_field;
mod normal;
mod radial;
mod student_t;

pub use builtin::{BuiltinPosterior, PosteriorConfig};
pub use laplace::{LaplacePosterior, LaplacePosteriorConfig};
pub use low_rank_normal::{LowRankNormalPosterior, LowRankNormalPosteriorConfig};
pub use matrix_normal::{MatrixNormalPosterior, MatrixNormalPosteriorConfig};
pub use normal::{NormalPosterior, NormalPosteriorConfig};
pub use radial::{RadialPosterior, RadialPosteriorConfig};
pub use student_t::{StudentTPosterior, StudentTPosteriorConfig};

use burn::module::{Module, ModuleDisplay, ParamId};
use burn::tensor::{Device, Shape, Tensor};

use crate::noise_source::Noise;
use crate::prior::Prior;

/// A family of distributions over one weight tensor, given its location μ.
///
/// | posterior | parameters a weight | structure | closed-form KL with | when |
/// |---|---|---|---|---|
/// | [`NormalPosterior`] | 2 | independent normals | normal, Laplace | the default: every estimator works with it |
/// | [`MatrixNormalPosterior`] | 1 + (rows + columns) / n | independent normals | normal, Laplace | half the memory; noisy deviations |
/// | [`LowRankNormalPosterior`] | 2 + rank | general | normal, Laplace | the weights of a tensor should vary together |
/// | [`LaplacePosterior`] | 2 | sign-symmetric | normal, Laplace | sharp posteriors; under a Laplace prior |
/// | [`StudentTPosterior`] | 2 | sign-symmetric | normal | heavy tails: rare, far excursions of single weights |
/// | [`RadialPosterior`] | 2 | sign-symmetric | normal | large layers, whose mean-field noise drowns the gradient |
///
/// "Normal" and "Laplace" among the priors stand for the fixed and the learned one. n is the number of weights in the
/// tensor. The KL of other pairs is estimated at the draw's weights. Which estimators a structure allows is said at
/// [`PosteriorStructure`].
///
/// # A posterior of your own
///
/// Derive Burn's `Module` (its parameters are then trained, saved and moved like any other) and say how to draw from it.
/// Parameters are stored flat, with one rank for every weight rank, because Burn attaches the same type to weights of all
/// ranks. A complete one, with a width shared by the whole tensor:
///
/// ```
/// use blitz_core::prelude::*;
/// use burn::module::{Module, Param};
/// use burn::nn::LinearConfig;
/// use burn::tensor::{Device, Tensor};
///
/// /// w = μ + a · u, with u uniform in (−1, 1).
/// #[derive(Module, Debug)]
/// struct UniformPosterior {
///     /// ln a, one number.
///     log_width: Param<Tensor<1>>,
/// }
///
/// impl UniformPosterior {
///     fn width<const D: usize>(&self) -> Tensor<D> {
///         self.log_width.val().exp().reshape([1; D])
///     }
/// }
///
/// impl Posterior for UniformPosterior {
///     fn sample<const D: usize>(&self, mu: Tensor<D>, noise: &mut Noise) -> Tensor<D> {
///         // 2 Φ(z) − 1 of a standard normal z is uniform.
///         let u = noise.standard_normal(&mu).div_scalar(2f64.sqrt()).erf();
///         mu + u * self.width()
///     }
///
///     fn std_dev<const D: usize>(&self, mu: Tensor<D>) -> Tensor<D> {
///         mu.ones_like() * self.width() / 3f64.sqrt()
///     }
///
///     fn log_density<const D: usize>(&self, mu: Tensor<D>, _weight: Tensor<D>) -> Tensor<1> {
///         // −n ln 2a wherever a draw can be.
///         (self.log_width.val() + 2f64.ln()) * -(mu.shape().num_elements() as f64)
///     }
///
///     // Optional: with it the KL to a normal prior has a closed form.
///     fn entropy<const D: usize>(&self, mu: Tensor<D>) -> Option<Tensor<1>> {
///         Some(self.log_density(mu.clone(), mu).neg())
///     }
/// }
///
/// let device = Device::flex().autodiff();
/// let net = LinearConfig::new(3, 2).init(&device).attach_posteriors(|weight| {
///     let log_width = Param::from_tensor(Tensor::from_floats([-3.0], weight.device));
///     Some((UniformPosterior { log_width }, NormalPrior::new(1.0)))
/// });
/// assert_eq!(net.kl_terms()[0].estimator, KlEstimator::ClosedForm);
/// let _draw = net.draw(1, 0);
/// let y = net.forward(Tensor::<2>::ones([4, 3], &device));
/// let grads = (y.sum() + net.kl_cost()).backward();
/// let posterior = net.weight.reparameterization::<Variational<UniformPosterior, NormalPrior>>().unwrap();
/// assert!(posterior.posterior.log_width.val().grad(&grads).is_some());
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

    /// `Var_q[w]` elementwise, in the shape of `mu`.
    fn variance<const D: usize>(&self, mu: Tensor<D>) -> Tensor<D> {
        self.std_dev(mu).square()
    }

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

    /// `ln q(w) − ln p(w)` at the weight w that [`sample`](Self::sample) makes of `noise`, summed, of shape `[1]`, where it can be
    /// had without making w; or `None` (the default).
    ///
    /// The value and its gradient are those of the two log densities at w.
    fn kl_at_draw<P: Prior, const D: usize>(
        &self,
        mu: &Tensor<D>,
        prior: &P,
        noise: Noise,
    ) -> Option<Tensor<1>> {
        let _ = (mu, prior, noise);
        None
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
    /// The id of the parameter.
    pub id: ParamId,
    /// The types of the modules that contain it, outermost first: the last one, e.g. `"Linear"`, owns it.
    pub modules: &'a [String],
    /// Whether it belongs to the [last layer](crate::WeightFilter::last_layer).
    pub in_last_layer: bool,
    /// The shape of the weight as the layer holds it.
    pub shape: &'a Shape,
    /// The device of the weight, with its autodiff context.
    pub device: &'a Device,
}

/// Panics unless `value` can be a posterior's initial deviation.
fn assert_initial_std(value: f64) {
    assert!(
        value.is_finite() && value > 0.0,
        "a posterior's initial deviation must be a positive, finite number, got {value}"
    );
}
