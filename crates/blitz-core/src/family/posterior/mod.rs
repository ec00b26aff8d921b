//! Posteriors: the distribution `q(w)` that a Bayesian parameter draws its weights from.
//!
//! A posterior's location μ is the parameter's own stored tensor, so a deterministic checkpoint loads straight into
//! it; a [`Posterior`] holds the rest (ρ, ...) and is an ordinary Burn module.

mod builtin;
mod full_rank_normal;
mod laplace;
mod location_scale;
mod low_rank_normal;
mod matrix_normal;
mod normal;
mod radial;
mod student_t;
mod weight_info;

pub use builtin::{BuiltinPosterior, PosteriorConfig};
pub use full_rank_normal::{FullRankNormalPosterior, FullRankNormalPosteriorConfig};
pub use laplace::{LaplacePosterior, LaplacePosteriorConfig, LaplaceUnit};
pub use location_scale::{LocationScale, UnitNoise};
pub use low_rank_normal::{LowRankNormalPosterior, LowRankNormalPosteriorConfig};
pub use matrix_normal::{MatrixNormalPosterior, MatrixNormalPosteriorConfig};
pub use normal::{NormalPosterior, NormalPosteriorConfig, NormalUnit};
pub use radial::{RadialPosterior, RadialPosteriorConfig, RadialUnit};
pub use student_t::{StudentTPosterior, StudentTPosteriorConfig, StudentTUnit};
pub use weight_info::WeightInfo;

use burn::module::{Module, ModuleDisplay};
use burn::tensor::{Shape, Tensor};

use super::deviation::{MAX_STD, MIN_STD};
use super::{ConstantError, Constants, MarginalFamily, Marginals, Nats, Noise};
use crate::kernels::Precision;

/// A family of distributions over one weight tensor, given its location μ.
///
/// | posterior | parameters a weight | structure | closed-form KL with | when |
/// |---|---|---|---|---|
/// | [`NormalPosterior`] | 2 | independent normals | normal, Laplace | the default: every estimator works with it |
/// | [`MatrixNormalPosterior`] | 1 + (rows + columns) / n | independent normals | normal, Laplace | half the memory; noisy deviations |
/// | [`LowRankNormalPosterior`] | 2 + rank | general | normal, Laplace | the weights of a tensor should vary together |
/// | [`FullRankNormalPosterior`] | 2 + rows | general | normal, Laplace | the last linear layer: all covariances of the weights of an output |
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
/// One of the form `w = μ + scale · noise` is a [`UnitNoise`]: thirty lines. Any other derives Burn's `Module` (its
/// parameters are then trained, saved and moved like any other) and says how to draw from it. Numbers in plain fields
/// are not parameters: what is to be saved of them is said by [`constants`](Self::constants). Parameters are stored
/// flat, with one rank for every weight rank, because Burn attaches the same type to weights of all ranks. A complete
/// one, with a width shared by the whole tensor:
///
/// ```
/// use blitz_core::prelude::*;
/// use blitz_core::{KlEstimator, Marginals, Nats, Noise, NormalPrior, Posterior, Variational};
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
///         let u = noise.standard_normal(&mu).mul_scalar(0.5f64.sqrt()).erf();
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
///     fn entropy<const D: usize>(&self, q: &Marginals<D>) -> Option<Nats<D>> {
///         let mu = q.mean.clone();
///         Some(Nats::of_tensor(self.log_density(mu.clone(), mu).neg()))
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

    /// The variances as products of two factors each, in the type of `mu`, where they are that: local
    /// reparameterization then needs no product of variances. The default, `None`, is for all others.
    fn variance_factors<const D: usize>(&self, mu: &Tensor<D>) -> Option<VarianceFactors> {
        let _ = mu;
        None
    }

    /// Factors `L_j` of the covariances of the weight's columns, `[columns, rows, k]`, in the type of `mu`, where the
    /// columns are independent normals `w_j ~ N(E w_j, L_j L_jᵀ)`. Rows are the weight's first axis, columns all others
    /// together. The moments of a linear layer's outputs are exact with them. The default, `None`, is for all others.
    fn column_factors<const D: usize>(&self, mu: &Tensor<D>) -> Option<Tensor<3>> {
        let _ = mu;
        None
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

    /// The differential entropy `−E_q[ln q(w)]` of the whole tensor in closed form, in nats, or `None` (the default) if
    /// it has none. `q` are its [`marginals`](Self::marginals): of independent weights the entropy is a function of
    /// them.
    ///
    /// With it, and a prior that has its [expected log density](super::prior::Prior::expected_log_density), the KL has
    /// a closed form. Whether it is `None` must depend on the configuration alone, not on values: the estimator of a
    /// model's KL must not change during training.
    fn entropy<const D: usize>(&self, q: &Marginals<D>) -> Option<Nats<D>> {
        let _ = q;
        None
    }

    /// Whether [`log_density`](Self::log_density) is that of a density over *all* weights, also those that it never
    /// draws: what a [prior made of it](super::prior::PosteriorPrior) is asked for. The default is no: a family of
    /// one's own may have taken the liberty.
    fn has_density(&self) -> bool {
        false
    }

    /// `E_q[ln p(w_i)]` of each weight in closed form, where p is this distribution at the location `mu` and q has
    /// these marginals; or `None` (the default) where it has none. As
    /// [`Prior::expected_log_density`](super::prior::Prior::expected_log_density), for a prior made of it.
    fn expected_log_density<const D: usize>(
        &self,
        mu: Tensor<D>,
        q: &Marginals<D>,
    ) -> Option<Tensor<D>> {
        let _ = (mu, q);
        None
    }

    /// Which of the families that are known by name it is, for what can be computed of them in one pass over memory.
    fn form(&self) -> PosteriorForm {
        PosteriorForm::Other
    }

    /// This posterior of the rows `rows` alone, positions on the first axis of a weight of `shape`, in that order; or
    /// `None` (the default) where rows can't be had without the others.
    ///
    /// To return one is to promise that the rows are independent, and that [`sample`](Self::sample) makes a weight out
    /// of the first [standard normal](Noise::standard_normal) at the weight's own place. An embedding then samples the
    /// rows it looks up and no others.
    fn rows(&self, shape: &Shape, rows: &[usize]) -> Option<Self> {
        let _ = (shape, rows);
        None
    }

    /// The marginal distribution of the rows `rows`, as for [`rows`](Self::rows), or `None` where it is not of this
    /// family.
    ///
    /// With it a row that a model never reads, such as an embedding's padding, is left out of the KL. It is the
    /// distribution alone: how a draw of it would be made does not matter, so families have it that have no `rows`. The
    /// default is `rows`.
    fn marginal_of_rows(&self, shape: &Shape, rows: &[usize]) -> Option<Self> {
        self.rows(shape, rows)
    }

    /// Whether an algorithm updates the posterior by a rule of its own, with prior and entropy in it, as IVON does. The
    /// KL then has a value, so that an ELBO can be reported, and no gradient. The default is no.
    fn has_own_update(&self) -> bool {
        false
    }

    /// What the estimators that don't sample a layer's weights may assume. The default is nothing.
    fn structure(&self) -> PosteriorStructure {
        PosteriorStructure::General
    }

    /// Whether the distribution of `w − E w` stays the same when all of its elements change sign together: `2 E w − w`
    /// is then a draw like w, the other one of an [antithetic](crate::Draw::antithetic) pair. The default is yes,
    /// unless the structure is general.
    fn is_symmetric(&self) -> bool {
        self.structure() != PosteriorStructure::General
    }

    /// This posterior with every deviation `factor` times as large about the same mean, its parameters those of before
    /// by identity; or `None` (the default) where the family does not say how. `factor` is positive and finite.
    fn with_deviations_scaled(self, factor: f64) -> Option<Self> {
        let _ = factor;
        None
    }

    /// The numbers that it is made of and that do not train, such as degrees of freedom. They are saved with the
    /// weights, and loading a record restores them. The default, `None`, leaves them out: what is loaded then has those
    /// of the module that it is loaded into.
    ///
    /// How many there are must depend on the type alone.
    fn constants(&self) -> Option<Constants> {
        None
    }

    /// Takes the constants of a record: as many, in the same order, as [`constants`](Self::constants) returns.
    ///
    /// # Errors
    ///
    /// Returns an error if one is out of its range, and leaves the posterior as it was. The record is then refused.
    fn set_constants(&mut self, values: &[f64]) -> Result<(), ConstantError> {
        let _ = values;
        Ok(())
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

/// Variances of rank one: `Var[w_ij] = rows_i · columns_j`, of a weight whose first axis is i and whose other axes
/// together are j.
#[derive(Debug, Clone)]
pub struct VarianceFactors {
    /// One for each place on the first axis.
    pub rows: Tensor<1>,
    /// One for each place on the other axes, flat, in row-major order.
    pub columns: Tensor<1>,
}

/// A posterior's family and its parameters, as data.
#[derive(Debug, Clone)]
#[non_exhaustive]
#[expect(
    clippy::large_enum_variant,
    reason = "made and taken apart at once; a box would cost each KL an allocation"
)]
pub enum PosteriorForm {
    /// Independent normals `N(μ_i, ln²(1 + e^ρ_i))`.
    Normal {
        /// ρ, flat, in the row-major order of the weight.
        rho: Tensor<1>,
    },
    /// Independent normals `N(μ_i, 1 / (λ (h_i + δ)))`.
    Precise {
        /// h, flat, in the row-major order of the weight.
        h: Tensor<1>,
        /// λ and δ.
        precision: Precision,
    },
    /// Independent normals `N(μ_ij, ln²(1 + e^ρ_i) ln²(1 + e^κ_j))`, i the place on the first axis and j that on all
    /// others together.
    MatrixNormal {
        /// ρ.
        row_rho: Tensor<1>,
        /// κ.
        column_rho: Tensor<1>,
    },
    /// Known by what [`Posterior`] says of it.
    Other,
}

/// Panics unless `value` can be a posterior's initial deviation.
fn assert_initial_std(value: f64) {
    assert!(
        (MIN_STD..=MAX_STD).contains(&value),
        "a posterior's initial deviation must be a number from {MIN_STD:e} to {MAX_STD:e}, got {value:?}"
    );
}
