//! The deviation σ of a posterior from its unconstrained parameter ρ, and back.
//!
//! σ = softplus(ρ) = ln(1 + e^ρ) (Blundell et al. 2015, section 3.2) is positive for every ρ, linear for large
//! ρ and exponential for small ones. Everything here stays finite, forward and backward, for |ρ| up to 100.

use burn::tensor::activation::softplus;
use burn::tensor::{DType, Tensor};

use super::{at_least_f32, in_type_of};
use crate::kernels::{self, formula::Spread};
use crate::math::{LOG_LINEAR_BELOW, LOG_LINEAR_BELOW_F64};

/// The smallest deviation [`rho_from_std`] accepts: below it, σ and its ρ are no longer told apart in `f32`.
pub(super) const MIN_STD: f64 = 1e-30;

/// The largest deviation that a posterior starts with and that a prior has. The square of one beyond 1.8e19 is infinite
/// in `f32`, and that of its inverse is zero; a tensor has many.
pub(crate) const MAX_STD: f64 = 1e15;

/// σ = ln(1 + e^ρ), elementwise.
///
/// ```
/// use blitz_core::deviation::std_from_rho;
/// use burn::tensor::{Device, Tensor};
///
/// let rho = Tensor::<1>::from_floats([-100.0, 0.0, 100.0], &Device::flex());
/// let sigma = std_from_rho(rho).into_data().try_to_vec::<f32>().unwrap();
/// assert!(sigma[0] > 0.0 && (sigma[1] - 2f32.ln()).abs() < 1e-6 && sigma[2] == 100.0);
/// ```
pub fn std_from_rho<const D: usize>(rho: Tensor<D>) -> Tensor<D> {
    kernels::spread(&rho, Spread::StdDev).unwrap_or_else(|| softplus(rho, 1.0))
}

/// σ² = ln²(1 + e^ρ), elementwise.
pub fn variance_from_rho<const D: usize>(rho: Tensor<D>) -> Tensor<D> {
    kernels::spread(&rho, Spread::Variance).unwrap_or_else(|| softplus(rho, 1.0).square())
}

/// ln σ = ln ln(1 + e^ρ), elementwise, without underflow: for very negative ρ it is ρ.
pub fn log_std_from_rho<const D: usize>(rho: Tensor<D>) -> Tensor<D> {
    let linear_below = match rho.dtype() {
        DType::F64 => LOG_LINEAR_BELOW_F64,
        _ => LOG_LINEAR_BELOW,
    };
    // By a mask: two clamps would both pass the gradient where they meet. A NaN is in none, and stays.
    let is_curved = rho.clone().greater_equal_elem(linear_below);
    let curved = std_from_rho(rho.clone().clamp_min(linear_below)).log();
    rho.mask_where(is_curved, curved)
}

/// The ρ whose deviation is `std`: ln(e^σ − 1), computed as σ + ln(1 − e^−σ).
///
/// # Panics
///
/// Panics if `std` is not a finite number of at least 1e-30.
///
/// ```
/// use blitz_core::deviation::rho_from_std;
///
/// assert!((rho_from_std(2f64.ln())).abs() < 1e-12);
/// // BLiTZ starts at ρ = -7:
/// assert!((rho_from_std(9.115e-4) + 7.0).abs() < 1e-3);
/// ```
pub fn rho_from_std(std: f64) -> f64 {
    assert!(
        std.is_finite() && std >= MIN_STD,
        "a posterior's standard deviation must be a finite number of at least {MIN_STD:?}, got {std:?}"
    );
    std + (-(-std).exp_m1()).ln()
}

/// The ρ whose deviation is `factor` times that of `rho`, elementwise, without a gradient: ln(e^σ − 1) at σ = factor ·
/// ln(1 + e^ρ).
pub(crate) fn scaled_rho<const D: usize>(rho: Tensor<D>, factor: f64) -> Tensor<D> {
    let wide = at_least_f32(rho.clone().detach());
    let std = std_from_rho(wide.clone()).mul_scalar(factor);
    let log_std = log_std_from_rho(wide).add_scalar(factor.ln());
    // ln(e^σ − 1) = ln σ + ln((e^σ − 1) / σ), whose second term is a power series up to 1; from there on e^−σ takes no
    // digits away.
    let small = std.clone().clamp_max(1.0);
    let square = small.clone().square();
    let series =
        square.clone() * (square.clone() * (square / 181_440.0 - 1.0 / 2880.0) + 1.0 / 24.0);
    let at_small = log_std + small * 0.5 + series;
    let large = std.clone().clamp_min(1.0);
    let at_large = large.clone() + (large.neg().exp().neg() + 1.0).log();
    let scaled = at_small.mask_where(std.greater_elem(1.0), at_large);
    in_type_of(scaled, &rho)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn gradient_of(f: impl Fn(Tensor<1>) -> Tensor<1>, at: &[f32]) -> Vec<f32> {
        let device = Device::flex().autodiff();
        let rho = Tensor::<1>::from_floats(at, &device).require_grad();
        let grads = f(rho.clone()).sum().backward();
        rho.grad(&grads).unwrap().into_data().try_to_vec().unwrap()
    }

    #[test]
    #[allow(deprecated)] // ndarray stays supported here.
    fn deviation_and_its_logarithm_are_finite_and_right_from_minus_100_to_100() {
        for device in [Device::flex(), Device::ndarray()] {
            let at = [-100.0f32, -30.0, -15.0, -14.9, -1.0, 0.0, 1.0, 30.0, 100.0];
            let rho = Tensor::<1>::from_floats(at, &device);
            let sigma: Vec<f32> = std_from_rho(rho.clone()).into_data().try_to_vec().unwrap();
            let log_sigma: Vec<f32> = log_std_from_rho(rho).into_data().try_to_vec().unwrap();
            for (i, rho) in at.iter().enumerate() {
                let want = (f64::from(*rho)).exp().ln_1p();
                let want = if *rho > 50.0 { f64::from(*rho) } else { want };
                let relative = (f64::from(sigma[i]) - want).abs() / want;
                // -100 lands among f32's subnormals, where only a few bits are left.
                assert!(
                    relative < if *rho < -80.0 { 0.05 } else { 2e-6 },
                    "sigma({rho}) = {}",
                    sigma[i]
                );
                assert!(
                    (f64::from(log_sigma[i]) - want.ln()).abs() < 1e-5 * want.ln().abs().max(1.0)
                );
            }
        }
    }

    #[test]
    fn gradients_are_finite_and_right_from_minus_100_to_100() {
        let at = [-100.0f32, -20.0, -15.5, -15.0, -14.5, -2.0, 0.0, 2.0, 100.0];
        let d_sigma = gradient_of(std_from_rho, &at);
        let d_log = gradient_of(log_std_from_rho, &at);
        for (i, rho) in at.iter().map(|r| f64::from(*r)).enumerate() {
            let sigmoid = 1.0 / (1.0 + (-rho).exp());
            let softplus = rho.max(0.0) + (-rho.abs()).exp().ln_1p();
            assert!(
                (f64::from(d_sigma[i]) - sigmoid).abs() < 1e-6,
                "dsigma({rho}) = {}",
                d_sigma[i]
            );
            assert!(
                (f64::from(d_log[i]) - sigmoid / softplus).abs() < 1e-5,
                "dlog({rho}) = {}",
                d_log[i]
            );
        }
    }

    #[test]
    fn the_logarithm_of_a_small_deviation_has_the_digits_of_f64() {
        for rho in [-100.0f64, -40.0, -36.9, -30.0, -20.0, -15.1, -14.9] {
            let log = || {
                let rho = Tensor::<1>::from_data([rho], (&Device::flex(), DType::F64));
                log_std_from_rho(rho).into_scalar::<f64>()
            };
            let want = rho.exp().ln_1p().ln();
            for got in [log(), kernels::without_fused(log)] {
                let off = (got - want).abs();
                assert!(off < 4.0 * f64::EPSILON * rho.abs(), "{rho}: {got}, {want}");
            }
        }
    }

    #[test]
    fn the_gradient_of_the_logarithm_has_its_digits_at_every_size_of_the_deviation() {
        let at = [30.0f32, 1e3, 1e6, 1e8, 1e12, 1e15];
        for gradients in [
            gradient_of(log_std_from_rho, &at),
            kernels::without_fused(|| gradient_of(log_std_from_rho, &at)),
        ] {
            for (rho, gradient) in at.iter().zip(gradients) {
                let share = f64::from(gradient) * f64::from(*rho);
                assert!((share - 1.0).abs() < 1e-6, "{rho}: {gradient}");
            }
        }
    }

    #[test]
    fn the_logarithm_of_no_number_is_none() {
        let rho = Tensor::<1>::from_floats([f32::NAN], &Device::flex());
        assert!(log_std_from_rho(rho).into_scalar::<f32>().is_nan());
    }

    #[test]
    fn rho_from_std_inverts_softplus_over_thirty_orders_of_magnitude() {
        for std in [1e-30, 1e-12, 1e-3, 0.5, 1.0, 30.0, 1e6] {
            let rho = rho_from_std(std);
            let back = if rho > 50.0 { rho } else { rho.exp().ln_1p() };
            assert!((back - std).abs() <= 1e-9 * std, "{std} -> {rho} -> {back}");
        }
    }

    #[test]
    fn a_scaled_deviation_is_its_multiple_at_every_size_of_either() {
        for device in [Device::flex(), Device::flex().autodiff()] {
            let at = [-60.0f32, -15.0, -1.0, 0.0, 0.5, 3.0, 60.0];
            for factor in [1e-6, 0.5, 1.0, 1.0541, 30.0] {
                let rho = Tensor::<1>::from_floats(at, &device);
                let scaled = scaled_rho(rho, factor).into_data().try_to_vec::<f32>();
                for (rho, scaled) in at.iter().zip(scaled.unwrap()) {
                    let softplus = |rho: f64| rho.max(0.0) + (-rho.abs()).exp().ln_1p();
                    let (want, got) = (factor * softplus(f64::from(*rho)), f64::from(scaled));
                    // ρ is rounded to `f32`, a share of its own size: so much of the deviation as well, where that is
                    // exponential in ρ.
                    let rounding = 4.0 * f64::from(f32::EPSILON) * got.abs().max(1.0);
                    assert!(
                        (softplus(got) / want - 1.0).abs() < rounding,
                        "{factor} times the deviation of {rho}: {got}"
                    );
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "got -0.5")]
    fn a_negative_deviation_is_refused_with_its_value() {
        rho_from_std(-0.5);
    }
}
