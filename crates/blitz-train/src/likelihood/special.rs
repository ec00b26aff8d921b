//! Functions of tensors that Burn lacks, in forms that keep their digits in `f32`.

use blitz_layers::blitz_core::kernels::leaky_relu_moments;
use blitz_layers::moments::Moments;
use burn::tensor::activation::log_sigmoid;
use burn::tensor::{DType, Tensor};

/// `exp(x) − 1`: `tanh(x/2) (exp(x) + 1)`, which cancels nowhere.
pub(super) fn exp_m1(x: Tensor<2>) -> Tensor<2> {
    x.clone().mul_scalar(0.5).tanh() * (x.exp() + 1.0)
}

/// `S(x) = ln Γ(x) − [(x − ½) ln x − x + ½ ln 2π]` for x > 0: what Stirling's formula leaves.
///
/// The likelihoods need differences of `ln Γ`, which have no digits left in `f32` at large arguments; written with S
/// they keep them. The error is below 1e-6 everywhere, in `f64` below 1e-13.
pub(super) fn stirling_remainder<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    // B₂ₖ / 2k(2k − 1), the coefficients of x^(1 − 2k).
    const SERIES: [f64; 7] = [
        1.0 / 12.0,
        -1.0 / 360.0,
        1.0 / 1260.0,
        -1.0 / 1680.0,
        1.0 / 1188.0,
        -691.0 / 360_360.0,
        1.0 / 156.0,
    ];
    // S(x) = S(x + 1) + (x + ½) ln(1 + 1/x) − 1, some times; then the series, whose first omitted term is below
    // 1/(1680 · 4⁷), or 0.03/9¹⁵.
    let (steps, terms, largest) = match x.dtype() {
        DType::F64 => (9, 7, 1e15),
        _ => (4, 3, 1e8),
    };
    // Beyond it S is less than the error. Gradients would have the square of x, for which `f32` has no number beyond
    // 1e19.
    let x = x.clamp_max(largest);
    let step = |k: i32| {
        let x = x.clone().add_scalar(k);
        (x.clone().recip().log1p() * (x + 0.5)) - 1.0
    };
    let inverse = x.clone().add_scalar(steps).recip();
    let square = inverse.clone().square();
    let mut series = square.clone().mul_scalar(SERIES[terms - 1]);
    for coefficient in SERIES[1..terms - 1].iter().rev() {
        series = (series + *coefficient) * square.clone();
    }
    let series = (series + SERIES[0]) * inverse;
    (0..steps).map(step).fold(series, |sum, step| sum + step)
}

/// `ln(1 + w²)`, also where the square overflows.
pub(super) fn log1p_square(w: Tensor<2>) -> Tensor<2> {
    const LARGE: f64 = 1e15;
    let w = w.abs();
    // Beyond it ln(1 + w²) is 2 ln w to the last digit. By a mask: two clamps would both pass the gradient where they
    // meet.
    let is_large = w.clone().greater_elem(LARGE);
    let large = w.clone().clamp_min(LARGE).log().mul_scalar(2.0);
    let near = w.mask_fill(is_large.clone(), 0.0).square().log1p();
    near.mask_where(is_large, large)
}

/// `E ln(1 + eˣ)` of normals `x ~ N(m, v)`, within 3e-4 of the truth, and its gradients within 7e-4.
///
/// By quadrature up to a deviation of 3. The wider x is, the further its nodes lie apart, and at last none meets the
/// place where softplus bends. But `ln(1 + eˣ) = E max(x + ℓ, 0)` for a logistic ℓ, and `x + ℓ` is nearly normal where
/// x is wide. With `s² = v + π²/3`, `z = m/s` and the cumulants `κ₂ₙ = (2n)! ζ(2n)/n` of ℓ, the Edgeworth series is
///
/// ```text
/// m Φ(z) + s φ(z) + φ(z) (ζ(4)/2 (z² − 1)/s³ + ζ(6)/3 (z⁴ − 6z² + 3)/s⁵ + …)
/// ```
pub(super) fn expected_softplus(x: Moments<2>) -> Tensor<2> {
    use std::f64::consts::{PI, TAU};
    const WIDE: f64 = 9.0;
    // φ is zero there.
    const FARTHEST: f64 = 14.0;
    let (fourth, sixth) = (PI.powi(4) / 180.0, PI.powi(6) / 2835.0);
    let softplus = |x: Tensor<1>| [log_sigmoid(x.neg()).neg()];
    let [by_quadrature] = x.clone().expectations(softplus);
    let Some(variance) = x.variance else {
        return by_quadrature;
    };
    let is_wide = variance.clone().greater_elem(WIDE);
    let sum = variance + PI * PI / 3.0;
    let inverse = sum.clone().sqrt().recip();
    let z = (x.mean.clone() * inverse.clone()).clamp(-FARTHEST, FARTHEST);
    let [rectified, _] = leaky_relu_moments(x.mean, sum, 0.0);
    let square = z.square();
    let density = square.clone().mul_scalar(-0.5).exp() * TAU.sqrt().recip();
    let inverse_square = inverse.clone().square();
    let sixth = ((square.clone() - 6.0) * square.clone() + 3.0) * sixth * inverse_square.clone();
    let more = density * inverse * inverse_square * ((square - 1.0) * fourth + sixth);
    by_quadrature.mask_where(is_wide, rectified + more)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn the_logarithm_of_a_square_has_one_gradient_where_its_forms_meet() {
        let at = [-0.5f32, 9e14, 1e15, -1e15, 2e15, 1e30];
        let w = Tensor::<2>::from_floats([at], &Device::flex().autodiff()).require_grad();
        let value = log1p_square(w.clone());
        let grads = value.clone().backward();
        let gradients = w.grad(&grads).unwrap().into_data();
        let values = value.into_data();
        let got = values.iter::<f64>().zip(gradients.iter::<f64>());
        for (w, (value, gradient)) in at.map(f64::from).into_iter().zip(got) {
            let expected = 2.0 * w / (1.0 + w * w);
            let off = gradient / expected - 1.0;
            assert!(off.abs() < 1e-6, "{w}: {gradient}");
            assert!((value / (w * w).ln_1p() - 1.0).abs() < 1e-6, "{w}: {value}");
        }
    }
}
