//! Functions of tensors that Burn lacks, in forms that keep their digits in `f32`.

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
    let (steps, terms) = match x.dtype() {
        DType::F64 => (9, 7),
        _ => (4, 3),
    };
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
    // Beyond it ln(1 + w²) is 2 ln w to the last digit.
    let beyond = w.clone().clamp_min(LARGE).div_scalar(LARGE).log();
    w.clamp_max(LARGE).square().log1p() + beyond.mul_scalar(2.0)
}
