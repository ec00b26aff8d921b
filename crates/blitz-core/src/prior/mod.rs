//! Priors: the distribution `p(w)` that a posterior is pulled towards by the KL term.

mod builtin;
mod centered;
mod learned_normal;
mod normal;
mod scale_mixture;

pub use builtin::{BuiltinPrior, PriorConfig};
pub use centered::CenteredPrior;
pub use learned_normal::{LearnedNormalPrior, LearnedNormalPriorConfig};
pub use normal::{NormalPrior, NormalPriorConfig};
pub use scale_mixture::{ScaleMixturePrior, ScaleMixturePriorConfig};

use burn::module::{Module, ModuleDisplay};
use burn::tensor::Tensor;

use crate::posterior::Marginals;

/// A prior density over one weight tensor.
///
/// Implement this for a prior of your own: a log-density is enough, and the KL is then estimated at the draw's
/// weights. Parameters of a prior, learned or not, are ordinary Burn parameters.
///
/// ```
/// use blitz_core::prelude::*;
/// use burn::module::Module;
/// use burn::tensor::Tensor;
///
/// /// `p(w) = exp(-|w| / b) / 2b`.
/// #[derive(Module, Debug)]
/// struct LaplacePrior {
///     b: f64,
/// }
///
/// impl Prior for LaplacePrior {
///     fn log_density<const D: usize>(&self, weight: Tensor<D>) -> Tensor<1> {
///         let log_2b = (2.0 * self.b).ln();
///         (weight.abs() / -self.b - log_2b).sum()
///     }
/// }
/// ```
pub trait Prior: Module + ModuleDisplay + Sync + 'static {
    /// `ln p(weight)` summed over the elements, in nats, of shape `[1]`.
    fn log_density<const D: usize>(&self, weight: Tensor<D>) -> Tensor<1>;

    /// `E_q[ln p(w_i)]` of each weight in closed form, for weights with the marginal distributions `q`, in nats; or
    /// `None` (the default) where it has none.
    ///
    /// A density that factorizes over the weights needs no more of a posterior than its marginals. Whether it is `None`
    /// may depend on `q.family`, and must not change during training.
    fn expected_log_density<const D: usize>(&self, q: &Marginals<D>) -> Option<Tensor<D>> {
        let _ = q;
        None
    }
}

/// `Σ ln N(w; m, s²)` from `z = (w − m) / s` and `ln s`.
pub(crate) fn normal_log_density<const D: usize>(z: Tensor<D>, log_std: Tensor<D>) -> Tensor<1> {
    (z.square().mul_scalar(-0.5) - log_std)
        .sub_scalar(half_log_two_pi())
        .sum()
}

/// `ln √(2π)`, the normalizer of the standard normal density.
pub(crate) fn half_log_two_pi() -> f64 {
    0.5 * (2.0 * core::f64::consts::PI).ln()
}

/// Panics unless `value` is a usable scale of a prior.
fn assert_scale(name: &str, value: f64) {
    assert!(
        value.is_finite() && value > 0.0,
        "a prior's {name} must be a positive, finite number, got {value}"
    );
}
