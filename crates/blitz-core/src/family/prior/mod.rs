//! Priors: the distribution `p(w)` that a posterior is pulled towards by the KL term.

mod builtin;
mod centered;
mod empirical_normal;
mod horseshoe;
mod laplace;
mod learned_normal;
mod normal;
mod posterior;
mod scale_mixture;
mod student_t;

pub use builtin::{BuiltinPrior, PriorConfig};
pub use centered::CenteredPrior;
pub(crate) use empirical_normal::expected_log_density_at_best_scale;
pub use empirical_normal::{EmpiricalNormalPrior, EmpiricalNormalPriorConfig};
pub use horseshoe::{HorseshoePrior, HorseshoePriorConfig};
pub(crate) use laplace::expected_abs;
pub use laplace::{
    LaplacePrior, LaplacePriorConfig, LearnedLaplacePrior, LearnedLaplacePriorConfig,
};
pub use learned_normal::{LearnedNormalPrior, LearnedNormalPriorConfig};
pub use normal::{NormalPrior, NormalPriorConfig};
pub use posterior::PosteriorPrior;
pub use scale_mixture::{ScaleMixturePrior, ScaleMixturePriorConfig};
pub(crate) use student_t::{
    NEARLY_NORMAL, log_normalizer as student_t_log_normalizer, working_df as student_t_working_df,
};
pub use student_t::{StudentTPrior, StudentTPriorConfig};

use burn::module::{Module, ModuleDisplay, Param};
use burn::tensor::{Device, Shape, Tensor};

use super::deviation::MAX_STD;
use super::{ConstantError, Constants, Marginals, scale_type};
use crate::math::HALF_LOG_TWO_PI;

/// A prior density over one weight tensor.
///
/// | prior | parameters | closed-form KL from | when |
/// |---|---|---|---|
/// | [`NormalPrior`] | s | every posterior with a known entropy | the default; s says how large weights are |
/// | [`LearnedNormalPrior`] | s, learned for each tensor | every posterior with a known entropy | the scale of the weights is not known beforehand |
/// | [`EmpiricalNormalPrior`] | none: s at its best, for a tensor or for a group of them | every posterior with a known entropy | the same, also for layers or a model with one scale |
/// | [`LaplacePrior`] | b | normal and Laplace marginals | many weights near zero, a few large |
/// | [`LearnedLaplacePrior`] | b, learned for each tensor | normal and Laplace marginals | the same, of unknown scale |
/// | [`ScaleMixturePrior`] | π, σ₁, σ₂ | none | Blundell's spike and slab, for pruning |
/// | [`StudentTPrior`] | ν, s | none | heavy tails without a spike |
/// | [`HorseshoePrior`] | τ, δ | none | strong sparsity with no penalty on large weights |
///
/// A pair without a closed form is estimated at the draw's own weights. All of these are centred at zero. Others are
/// made of a network: a [`CenteredPrior`] lies at its weights, and a [`PosteriorPrior`] is its posterior.
///
/// # Priors that are left out
///
/// *Improper ones.* Under a flat "density" the KL would be `−H(q)`, up to a constant that does not exist: the loss
/// would be the likelihood with a reward for entropy, unbounded below in every direction that the data leave free, such
/// as a unit whose outgoing weights are zero. A [`NormalPrior`] that is wide compared with the weights differs from it
/// by that constant and has a bound. The log-uniform prior of variational dropout (Kingma, Salimans & Welling 2015) has
/// an improper posterior as well (Hron, Matthews & Ghahramani, *Variational Bayesian dropout: pitfalls and fixes*,
/// 2018); for sparsity take the horseshoe.
///
/// *A learned parameter that several tensors share.* Burn's optimizer takes a gradient out of its map at the first
/// parameter with an id: the clone of a learned scale in a second tensor's prior would stay behind. An
/// [`EmpiricalNormalPrior`] shares its scale without a parameter.
///
/// # A prior of your own
///
/// A log-density is enough, and the KL is then estimated at the draw's weights. Parameters of a prior, learned or not,
/// are ordinary Burn parameters. A plain number such as the scale here is saved with the weights if
/// [`constants`](Self::constants) says so.
///
/// ```
/// use blitz_core::prelude::*;
/// use blitz_core::{KlEstimator, NormalPosteriorConfig, Prior};
/// use burn::module::Module;
/// use burn::nn::LinearConfig;
/// use burn::tensor::activation::softplus;
/// use burn::tensor::{Device, Tensor};
///
/// /// The logistic density, `p(w) = e^(−w/s) / s (1 + e^(−w/s))²`.
/// #[derive(Module, Debug)]
/// struct LogisticPrior {
///     scale: f64,
/// }
///
/// impl Prior for LogisticPrior {
///     fn log_density<const D: usize>(&self, weight: Tensor<D>) -> Tensor<1> {
///         // Symmetric, so |w| serves, and e^−|w| does not overflow.
///         let z = weight.abs() / self.scale;
///         (z.clone() + softplus(z.neg(), 1.0) * 2.0 + self.scale.ln()).sum().neg()
///     }
/// }
///
/// let device = Device::flex();
/// let layer = LinearConfig::new(3, 2).init(&device).attach_posteriors(|weight| {
///     let posterior = NormalPosteriorConfig::new().init(weight.shape, weight.device);
///     Some((posterior, LogisticPrior { scale: 0.5 }))
/// });
/// assert_eq!(layer.kl_terms()[0].estimator, KlEstimator::MonteCarlo);
/// let at_zero = LogisticPrior { scale: 0.5 }.log_density(Tensor::<1>::zeros([1], &device));
/// assert!((at_zero.into_scalar::<f32>() - 0.5f32.ln()).abs() < 1e-6);
/// ```
pub trait Prior: Module + ModuleDisplay + Sync + 'static {
    /// `ln p(weight)` summed over the elements, in nats, of shape `[1]`.
    fn log_density<const D: usize>(&self, weight: Tensor<D>) -> Tensor<1>;

    /// `E_q[ln p(w_i)]` of each weight in closed form, for weights with the marginal distributions `q`, in nats; or
    /// `None` (the default) where it has none.
    ///
    /// A density that factorizes over the weights needs no more of a posterior than its marginals. Whether it is `None`
    /// may depend on `q.family`, and must not change during training. The marginals of 16-bit weights come in `f32`.
    fn expected_log_density<const D: usize>(&self, q: &Marginals<D>) -> Option<Tensor<D>> {
        let _ = q;
        None
    }

    /// This prior of the rows `rows` alone, positions on the first axis of a weight of `shape`, in that order: for a KL
    /// that leaves the others out.
    ///
    /// The default is the prior itself, which is right for all that treat every weight alike. One that holds a number
    /// for each weight has to select.
    #[must_use]
    fn of_rows(&self, shape: &Shape, rows: &[usize]) -> Self {
        let _ = (shape, rows);
        self.clone()
    }

    /// Which of the families that are known by name it is, for what can be computed of them in one pass over memory.
    fn form(&self) -> PriorForm {
        PriorForm::Other
    }

    /// The numbers that it is made of and that do not train, such as a scale. They are saved with the weights, and
    /// loading a record restores them. The default, `None`, leaves them out: what is loaded then has those of the
    /// module that it is loaded into.
    ///
    /// How many there are must depend on the type alone.
    fn constants(&self) -> Option<Constants> {
        None
    }

    /// Takes the constants of a record: as many, in the same order, as [`constants`](Self::constants) returns.
    ///
    /// # Errors
    ///
    /// Returns an error if one is out of its range, and leaves the prior as it was. The record is then refused.
    fn set_constants(&mut self, values: &[f64]) -> Result<(), ConstantError> {
        let _ = values;
        Ok(())
    }
}

/// A prior's family and its parameters, as data.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum PriorForm {
    /// `N(0, std²)`.
    Normal {
        /// The deviation.
        std: f64,
    },
    /// `N(0, s²)` of a learned deviation.
    LearnedNormal {
        /// ln s, of shape `[1]`.
        log_std: Tensor<1>,
    },
    /// `N(0, s²)` at the deviation that makes the KL least.
    BestNormal {
        /// The tensors that share it; `None` for one of this tensor's own.
        group: Option<String>,
    },
    /// `π N(0, σ₁²) + (1 − π) N(0, σ₂²)`.
    ScaleMixture {
        /// π.
        pi: f64,
        /// σ₁, the larger one.
        sigma1: f64,
        /// σ₂.
        sigma2: f64,
    },
    /// Another one, moved.
    Centered {
        /// Where its zero lies, flat, in the row-major order of the weight.
        center: Tensor<1>,
        /// The prior before it was moved.
        prior: Box<PriorForm>,
    },
    /// Known by what [`Prior`] says of it.
    Other,
}

/// `Σ ln N(w; m, s²)` from `z = (w − m) / s` and `ln s`.
pub(crate) fn normal_log_density<const D: usize>(z: Tensor<D>, log_std: Tensor<D>) -> Tensor<1> {
    (z.square().mul_scalar(-0.5) - log_std)
        .sub_scalar(HALF_LOG_TWO_PI)
        .sum()
}

/// The smallest scale of a prior. In parts of a smaller one, the square of a weight of 10⁴ is beyond `f32`, and so is
/// the precision before long.
pub(crate) const MIN_SCALE: f64 = 1e-15;

/// What [`MIN_SCALE`] and [`MAX_STD`] say.
const SCALE_RANGE: &str = "a number from 1e-15 to 1e15";

fn is_scale(value: f64) -> bool {
    (MIN_SCALE..=MAX_STD).contains(&value)
}

/// Panics unless `value` is a usable scale of a prior.
fn assert_scale(name: &str, value: f64) {
    assert!(
        is_scale(value),
        "a prior's {name} must be {SCALE_RANGE}, got {value:?}"
    );
}

/// An error unless `value`, a constant of a record, is a usable scale of a prior.
fn check_scale(name: &'static str, value: f64) -> Result<(), ConstantError> {
    ConstantError::unless(is_scale(value), name, value, SCALE_RANGE)
}

/// The parameter of a scale that is learned, its logarithm.
fn learned_log(initial: f64, device: &Device) -> Param<Tensor<1>> {
    let options = (device, scale_type(device));
    Param::from_tensor(Tensor::full([1], initial.ln(), options))
}
