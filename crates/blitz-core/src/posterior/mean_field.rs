//! What the families of independent weights `w = μ + scale · noise` share.

use burn::module::{Param, ParamId};
use burn::tensor::{Device, Tensor};

use super::Marginals;
use crate::deviation::{rho_from_std, std_from_rho};
use crate::prior::Prior;

/// Where ρ stops to count as a divisor: a weight whose scale is below e^-40 equals its mean in floating point, and the
/// derivative of a quotient, 1 / σ², would overflow.
const LEAST_RHO: f64 = -40.0;

/// A parameter of `len` scales, all of which start at `std`.
///
/// # Panics
///
/// Panics if `std` is not a positive, finite number.
pub(super) fn rho_param(len: usize, std: f64, device: &Device) -> Param<Tensor<1>> {
    let rho = rho_from_std(std);
    Param::uninitialized(
        ParamId::new(),
        move |device, require_grad| {
            let rho = Tensor::<1>::full([len], rho, device);
            if require_grad {
                rho.require_grad()
            } else {
                rho
            }
        },
        device.clone(),
        true,
        [len].into(),
    )
}

/// `(w − μ) / softplus(ρ)`.
pub(super) fn standardized<const D: usize>(
    weight: Tensor<D>,
    mu: Tensor<D>,
    rho: Tensor<D>,
) -> Tensor<D> {
    (weight - mu) / std_from_rho(rho.clamp_min(LEAST_RHO))
}

/// `KL(q ‖ p)` of independent weights with the marginals `q`, each with the entropy `log_std + entropy_of_unit`, where
/// `entropy_of_unit` is that of the family's member with deviation 1.
///
/// Summed as one elementwise term, since entropy and expectation are large and nearly cancel.
pub(super) fn kl_of_location_scale<P: Prior, const D: usize>(
    q: &Marginals<D>,
    entropy_of_unit: f64,
    prior: &P,
) -> Option<Tensor<1>> {
    let expected = prior.expected_log_density(q)?;
    let per_weight = expected + q.log_std.clone() + entropy_of_unit;
    Some(per_weight.sum().neg())
}
