//! A positive parameter of a likelihood for each target column, kept by its logarithm.

use blitz_layers::blitz_core::{ConstantError, at_least_f32};
use burn::config::Config;
use burn::module::Param;
use burn::tensor::{DType, Device, Tensor};

use super::evaluation::to_f64;

/// A positive parameter of a likelihood: a deviation, a scale, a dispersion, degrees of freedom.
#[derive(Config, Debug, Copy, PartialEq)]
#[non_exhaustive]
pub enum LikelihoodParam {
    /// Known, and kept, also when a model is unfrozen.
    Fixed(f64),
    /// Learned from the data by maximum likelihood, starting here.
    Learned(f64),
}

impl LikelihoodParam {
    /// Whether it is known, and kept.
    pub(super) fn is_fixed(self) -> bool {
        matches!(self, Self::Fixed(_))
    }

    /// The parameter's logarithm for each target column. `what` is its name in a panic.
    ///
    /// # Panics
    ///
    /// Panics if the value is not positive and finite, or without target columns.
    pub(super) fn init(self, what: &str, targets: usize, device: &Device) -> Param<Tensor<1>> {
        assert!(targets > 0, "a likelihood needs target columns, got 0");
        let (value, learned) = match self {
            Self::Fixed(value) => (value, false),
            Self::Learned(value) => (value, true),
        };
        assert!(
            value.is_finite() && value > 0.0,
            "a likelihood's {what} must be positive and finite, got {value}"
        );
        // In 16 bits a step of an optimizer would be rounded away, whatever is the device's own type.
        let dtype = at_least_f32(Tensor::<1>::zeros([1], device)).dtype();
        let log = Tensor::full([targets], value.ln(), (device, dtype));
        Param::from_tensor(log).set_require_grad(learned)
    }
}

/// The logarithm of a parameter for a loss. A fixed one is detached: Burn's `unfreeze` makes every parameter of a
/// module require a gradient.
pub(super) fn read(log: &Param<Tensor<1>>, is_fixed: bool) -> Tensor<1> {
    let value = log.val();
    match is_fixed {
        true => value.detach(),
        false => value,
    }
}

/// The largest logarithm that a loss exponentiates: `e⁸⁰` is 6e34, which `f32` holds with room for a factor.
pub(super) const MAX_LOG: f64 = 80.0;

/// The logarithm of a parameter as a loss exponentiates it: within [−40, 80]. Beyond, the loss is at its limit to the
/// last digit, and `f32` has no number for the parameter or for the square of its inverse, which gradients need.
pub(super) fn bounded(log: Tensor<2>) -> Tensor<2> {
    log.clamp(-40.0, MAX_LOG)
}

/// The inverse of a scale from its logarithm, to multiply with: the gradient of a quotient has the square of the scale,
/// for which `f32` has no number beyond 1e19 or below 1e-19.
///
/// Bounded, so that an output that meets its target exactly is no `0 · ∞`.
pub(super) fn inverse<const D: usize>(log: Tensor<D>) -> Tensor<D> {
    let most = match log.dtype() {
        DType::F64 => 700.0,
        _ => MAX_LOG,
    };
    log.neg().clamp(-most, most).exp()
}

/// The parameter of each target column, from its logarithm.
pub(super) fn values(log: &Param<Tensor<1>>) -> Vec<f64> {
    // On the host, in `f64`: the exponential of half precision would keep three digits.
    to_f64(log.val()).into_iter().map(f64::exp).collect()
}

/// A number of columns or classes out of a record, of at least `least`.
pub(super) fn count(name: &'static str, value: f64, least: usize) -> Result<usize, ConstantError> {
    // Any number of them that fits into memory is exact in `f64`.
    let is_count = value.fract() == 0.0 && (least as f64..1e9).contains(&value);
    ConstantError::unless(is_count, name, value, "a whole number of them")?;
    Ok(value as usize)
}
