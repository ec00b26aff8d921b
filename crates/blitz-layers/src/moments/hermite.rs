//! The covariance of functions of normals, by the Hermite series of each.
//!
//! For standard normals x and y of correlation ρ and orthonormal Hermite polynomials hₖ, `E[hₖ(x) hₗ(y)]` is `ρᵏ` of
//! the same order, and 0 of others (Mehler). So with `aₖ = E[f(m + σ x) hₖ(x)]`, `bₖ` likewise of g:
//!
//! ```text
//! Cov[f, g] = Σ ρᵏ aₖ bₖ    over k ≥ 1
//! Var f     = Σ aₖ²
//! ```
//!
//! Cut after four terms, what is missing is at most `|ρ|⁵ √(rest rest')`, of the rests of the variances. The first term
//! is the covariance of the linear functions with the mean slopes. A cut series has covariances that are a product of
//! positive semidefinite matrices, element by element, and so semidefinite; the variances add what is not negative.

use blitz_core::at_least_f32;
use burn::tensor::Tensor;

use super::quadrature::{NODES, wide_enough};

/// The terms of the series.
pub(super) const TERMS: usize = 4;

/// `1/√k!` of the first to the last term.
const SCALES: [f64; TERMS] = [
    1.0,
    std::f64::consts::FRAC_1_SQRT_2,
    0.408_248_290_463_863,
    0.204_124_145_231_931_5,
];

/// The largest ratio of a mean to its deviation that is looked at: the density is 0 there, and Φ 0 or 1.
const FARTHEST: f64 = 40.0;

/// The covariances `[rows, n, n]` of functions of normals with these covariances and deviations.
pub(super) fn covariance<const D: usize>(
    between: Tensor<3>,
    std: Tensor<D>,
    coefficients: [Tensor<D>; TERMS],
) -> Tensor<3> {
    let [rows, n, _] = between.dims();
    let outer = |values: Tensor<D>| {
        let columns = values.clone().reshape([rows, n, 1]);
        columns * values.reshape([rows, 1, n])
    };
    let inverse = nonzero(std).recip();
    let correlation = super::covariance::scaled(between, inverse).clamp(-1.0, 1.0);
    let [first, second, third, fourth] = coefficients.map(at_least_f32);
    let higher = [third, second, first].into_iter();
    let last = outer(fourth) * correlation.clone();
    higher.fold(last, |sum, term| (sum + outer(term)) * correlation.clone())
}

/// The deviations, 1 where one is zero.
fn nonzero<const D: usize>(std: Tensor<D>) -> Tensor<D> {
    let is_zero = std.clone().equal_elem(0.0);
    std.mask_fill(is_zero, 1.0)
}

/// The first is the deviation times `slope + (1 − slope) Φ(α)` for `α = m/σ`, those after it `(1 − slope) σ φ(α)
/// Heₖ₋₂(−α) / √k!`.
pub(super) fn of_leaky_relu<const D: usize>(
    [mean, std]: [Tensor<D>; 2],
    slope: f64,
) -> [Tensor<D>; TERMS] {
    let alpha = (mean / nonzero(std.clone())).clamp(-FARTHEST, FARTHEST);
    let erf = alpha.clone().mul_scalar(std::f64::consts::FRAC_1_SQRT_2);
    let positive = erf.erf().mul_scalar(0.5).add_scalar(0.5);
    let rest = 1.0 - slope;
    let first = positive.mul_scalar(rest).add_scalar(slope) * std.clone();
    let square = alpha.clone().square();
    let density = square.clone().mul_scalar(-0.5).exp();
    let density = density.mul_scalar(rest / std::f64::consts::TAU.sqrt()) * std;
    [
        first,
        density.clone().mul_scalar(SCALES[1]),
        (density.clone() * alpha).mul_scalar(-SCALES[2]),
        (density * square.sub_scalar(1.0)).mul_scalar(SCALES[3]),
    ]
}

/// By the quadrature of the moments.
pub(super) fn by_quadrature<const D: usize>(
    [mean, std]: [Tensor<D>; 2],
    f: impl Fn(Tensor<D>) -> Tensor<D>,
) -> [Tensor<D>; TERMS] {
    let zeros = mean.zeros_like();
    let mut sums: [Tensor<D>; TERMS] = std::array::from_fn(|_| zeros.clone());
    // From the value at the mean, whose share is zero: nothing large cancels.
    let center = f(mean.clone());
    for (x, weight) in NODES {
        let step = std.clone().mul_scalar(x);
        let above = f(mean.clone() + step.clone()) - center.clone();
        let below = f(mean.clone() - step) - center.clone();
        let parts = [above.clone() - below.clone(), above + below];
        let square = x * x;
        let polynomials = [
            x,
            square - 1.0,
            (square - 3.0) * x,
            (square - 6.0) * square + 3.0,
        ];
        for (k, polynomial) in polynomials.into_iter().enumerate() {
            let term = parts[k % 2]
                .clone()
                .mul_scalar(weight * polynomial * SCALES[k]);
            sums[k] = sums[k].clone() + term;
        }
    }
    sums
}

/// By the quadrature of activations: of a deviation that is too small for differences, a wider one's, shrunk by its
/// power.
pub(super) fn of_activation<const D: usize>(
    [mean, std]: [Tensor<D>; 2],
    f: impl Fn(Tensor<D>) -> Tensor<D>,
) -> [Tensor<D>; TERMS] {
    let [wide, share] = wide_enough(&mean, std);
    let mut power = share.clone();
    by_quadrature([mean, wide], f).map(|coefficient| {
        let shrunk = coefficient * power.clone();
        power = power.clone() * share.clone();
        shrunk
    })
}
