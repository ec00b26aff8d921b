//! Covariances of the features of each row, `[rows, features, features]`, through what is linear.

use blitz_core::{ColumnMoments, at_least_f32};
use burn::tensor::{Bool, Tensor};

use crate::rows::linear as product;

/// 256 MiB for a row, in `f32`.
const MOST_FEATURES: usize = 8192;

/// The variances and what is between, together.
pub(super) fn matrices<const D: usize>(variance: Tensor<D>, between: Tensor<3>) -> Tensor<3> {
    let dims = between.dims();
    if dims.contains(&0) {
        return between;
    }
    let [rows, features, _] = dims;
    let diagonal = variance.reshape([rows, 1, features]).expand(dims);
    let on_diagonal = on_diagonal(&between).expand(dims);
    between.mask_where(on_diagonal, diagonal)
}

/// Of features that are independent.
pub(super) fn diagonal<const D: usize>(variance: Tensor<D>) -> Tensor<3> {
    let [rows, features] = rows_of(variance.dims());
    let options = (&variance.device(), variance.dtype());
    let between = Tensor::zeros([rows, features, features], options);
    matrices(variance, between)
}

/// The rows, and the features of each.
fn rows_of<const D: usize>(dims: [usize; D]) -> [usize; 2] {
    [dims[..D - 1].iter().product(), dims[D - 1]]
}

/// Where a matrix has its diagonal, `[1, features, features]`.
fn on_diagonal(matrices: &Tensor<3>) -> Tensor<3, Bool> {
    let [_, features, _] = matrices.dims();
    let below = Tensor::<2, Bool>::diag_mask([features, features], 0, &matrices.device());
    // Burn's mask is false on the diagonal.
    below.bool_not().unsqueeze()
}

/// `Cov[cᵢ xᵢ, cⱼ xⱼ]`, of factors that broadcast.
pub(super) fn scaled<const D: usize>(between: Tensor<3>, factors: Tensor<D>) -> Tensor<3> {
    let [rows, features] = rows_of(factors.dims());
    let factors = at_least_f32(factors);
    let columns = factors.clone().reshape([rows, features, 1]);
    between * columns * factors.reshape([rows, 1, features])
}

/// The variance of the features' mean, with 1 in the place of the last dimension.
pub(super) fn of_mean<const D: usize>(matrices: Tensor<3>, mut dims: [usize; D]) -> Tensor<D> {
    dims[D - 1] = 1;
    matrices.mean_dim(2).mean_dim(1).reshape(dims)
}

/// `P Σ P` for `P = I − (1 1ᵀ + u uᵀ)/n`, of a `u` whose sum is zero.
pub(super) fn projected<const D: usize>(
    variance: Tensor<D>,
    between: Option<Tensor<3>>,
    u: &Tensor<D>,
) -> (Tensor<D>, Option<Tensor<3>>) {
    let dims = variance.dims();
    let [rows, features] = rows_of(dims);
    let matrices = match between {
        Some(between) => matrices(variance, between),
        None => diagonal(variance),
    };
    let ones = Tensor::ones([1, features, 1], (&u.device(), u.dtype()));
    let u = u.clone().reshape([rows, features, 1]);
    let projected = without(without(matrices, ones), u);
    let variance = diagonals(&projected).clamp_min(0.0).reshape(dims);
    (variance, Some(projected))
}

/// `P Σ P` for `P = I − u uᵀ/n`, of a column `u`.
fn without(matrices: Tensor<3>, u: Tensor<3>) -> Tensor<3> {
    let products = (matrices.clone() * u.clone().transpose()).mean_dim(2);
    let square = (products.clone() * u.clone()).mean_dim(1);
    // Half of the square goes with each of the two, which are each other's transposes.
    let half = (products - u.clone() * square.mul_scalar(0.5)) * u.clone().transpose();
    matrices - half.clone() - half.transpose()
}

/// The diagonals, `[rows, features]`.
pub(super) fn diagonals(matrices: &Tensor<3>) -> Tensor<2> {
    let [rows, features, _] = matrices.dims();
    let elsewhere = on_diagonal(matrices).bool_not();
    let elsewhere = elsewhere.expand([rows, features, features]);
    let diagonals = matrices.clone().mask_fill(elsewhere, 0.0).sum_dim(2);
    diagonals.squeeze_dim(2)
}

/// The covariances of `x W` that are those of x, `Wᵀ Σ W` for the means W; and all of the variances but those that a
/// certain x would have. Weights that lead to different outputs are independent, so that their variance is on the
/// diagonal alone: `Σᵢⱼ Σ[i, j] Cov[wᵢ, wⱼ]` of the weights w to an output.
///
/// # Panics
///
/// Panics with more outputs than [`MOST_FEATURES`].
pub(super) fn linear<const D: usize>(
    variance: Tensor<D>,
    between: Option<Tensor<3>>,
    weight: &ColumnMoments,
) -> (Tensor<D>, Option<Tensor<3>>) {
    let [inputs, outputs] = weight.weights.mean.dims();
    let [rows, _] = rows_of(variance.dims());
    if rows == 0 || (outputs == 1 && between.is_none()) {
        return (
            product(variance, weight.weights.second_moment(), None),
            None,
        );
    }
    assert!(
        outputs <= MOST_FEATURES,
        "{outputs} features have {} covariances for each row: moments with covariances take {MOST_FEATURES} features at most",
        outputs * outputs
    );
    let mean = at_least_f32(weight.weights.mean.clone());
    let Some(between) = between else {
        let transposed = mean.clone().transpose().reshape([1, outputs, inputs]);
        let half = transposed * variance.clone().reshape([rows, 1, inputs]);
        let variance = product(variance, weight.weights.second_moment(), None);
        return (variance, Some(times(half, mean)));
    };
    let of_weights = weight.weights.variance.clone();
    let mut dims = variance.dims();
    dims[D - 1] = outputs;
    let covariance = matrices(variance.clone(), between);
    let of_weights = match &weight.factors {
        Some(factors) => Some(of_correlated_weights(&covariance, factors).reshape(dims)),
        None => of_weights.map(|weights| product(variance, weights, None)),
    };
    let half = times(covariance, mean.clone()).swap_dims(1, 2);
    let covariance = times(half, mean);
    let of_means = diagonals(&covariance).clamp_min(0.0).reshape(dims);
    let variance = match of_weights {
        Some(of_weights) => of_means + of_weights,
        None => of_means,
    };
    (variance, (outputs > 1).then_some(covariance))
}

/// Each matrix times the same weight, in one product.
fn times(matrices: Tensor<3>, weight: Tensor<2>) -> Tensor<3> {
    let [rows, features, inputs] = matrices.dims();
    let [_, outputs] = weight.dims();
    let product = matrices.reshape([rows * features, inputs]).matmul(weight);
    product.reshape([rows, features, outputs])
}

/// `Σᵢⱼ Σ[i, j] (L Lᵀ)[i, j]` of the factors L of each output, `[rows, outputs]`.
fn of_correlated_weights(covariance: &Tensor<3>, factors: &Tensor<3>) -> Tensor<2> {
    let [rows, inputs, _] = covariance.dims();
    let [outputs, ..] = factors.dims();
    let of_weights = factors.clone().matmul(factors.clone().swap_dims(1, 2));
    let of_weights = of_weights.reshape([outputs, inputs * inputs]);
    let covariance = covariance.clone().reshape([rows, inputs * inputs]);
    covariance.matmul(of_weights.transpose())
}
