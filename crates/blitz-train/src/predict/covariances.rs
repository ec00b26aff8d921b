//! Predictions in one pass that keep the covariances of units.

use blitz_layers::moments::{Correlated, Correlations, ForwardMoments, Independent, Moments};
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Tensor, TensorData};

/// The covariances of one layer that are in memory at a time: 16 MiB in `f32`, of which a pass holds a few.
const COVARIANCES_AT_ONCE: usize = 1 << 22;

/// A network whose moments a [`MomentsPredictor`](crate::MomentsPredictor) computes from such inputs: by one that counts
/// units as independent, each whose [`ForwardMoments`] take them; by one with covariances, each that has
/// `ForwardMoments<Moments<2, Correlated>>`, from rows.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no moments of `{I}` that are `{C}`",
    note = "with covariances a network takes rows, `Tensor<2>`, and implements `ForwardMoments<Moments<2, Correlated>>`, or `impl<C: Correlations> \
            ForwardMoments<Moments<2, C>>` for both kinds"
)]
pub trait Propagates<I, C: Correlations> {
    /// The moments of the output.
    type Output;

    /// The moments of the output for these inputs.
    fn propagated(&self, inputs: I) -> Self::Output;
}

impl<N: ForwardMoments<I>, I> Propagates<I, Independent> for N {
    type Output = N::Output;

    fn propagated(&self, inputs: I) -> N::Output {
        self.forward_moments(inputs)
    }
}

/// Few rows at a time.
impl<N> Propagates<Tensor<2>, Correlated> for N
where
    N: Module + ForwardMoments<Moments<2, Correlated>, Output = Moments<2, Correlated>>,
{
    type Output = Moments<2, Correlated>;

    fn propagated(&self, inputs: Tensor<2>) -> Moments<2, Correlated> {
        let [rows, _] = inputs.dims();
        let propagated =
            |x: Tensor<2>| self.forward_moments(Moments::certain(x).with_covariances());
        let mut widest = Widest(1);
        self.visit(&mut widest);
        let at_once = (COVARIANCES_AT_ONCE / widest.0.pow(2)).max(1);
        if rows <= at_once {
            return propagated(inputs);
        }
        let parts = (0..rows).step_by(at_once).map(|first| {
            let count = at_once.min(rows - first);
            propagated(inputs.clone().narrow(0, first, count))
        });
        Moments::of_rows(parts.collect())
    }
}

/// The most outputs of a matrix.
struct Widest(usize);

impl ModuleVisitor for Widest {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let [_, outputs] = param.lazy_shape().as_slice() {
            self.0 = self.0.max(*outputs);
        }
    }
}

/// Steps `[rows, outputs]` from the mean with these covariances `[rows, outputs, outputs]` and exactly these deviations:
/// the root of the covariance times each row of standard values.
pub(super) fn with_covariance(
    standard: &[Vec<f32>],
    covariance: Tensor<3>,
    std: Tensor<2>,
) -> Vec<Tensor<2>> {
    let [rows, outputs] = std.dims();
    let options = (&std.device(), std.dtype());
    let numbers: Vec<f64> = covariance.into_data().iter::<f64>().collect();
    let matrices = numbers.chunks(outputs * outputs);
    let roots: Vec<f64> = matrices.flat_map(|matrix| root(matrix, outputs)).collect();
    let roots = Tensor::<3>::from_data(TensorData::new(roots, [rows, outputs, outputs]), options);
    let values: Vec<f32> = standard.iter().flatten().copied().collect();
    let values = TensorData::new(values, [standard.len(), outputs]);
    let values = Tensor::<2>::from_data(values, options);
    // All rows of all roots in one product, `[values, rows, outputs]`.
    let roots = roots.reshape([rows * outputs, outputs]).transpose();
    let steps = values.matmul(roots);
    let steps: Tensor<3> = steps.reshape([standard.len(), rows, outputs]);
    let drawn = steps.clone().square().mean_dim(0).sqrt();
    let is_certain = drawn.clone().equal_elem(0.0);
    let scale = std.unsqueeze::<3>() / drawn.mask_fill(is_certain.clone(), 1.0);
    let steps = steps * scale.mask_fill(is_certain, 0.0);
    let steps = steps.split(1, 0).into_iter();
    steps.map(|step| step.squeeze_dim(0)).collect()
}

/// The lower triangular root of a covariance, row-major.
///
/// An output of which those before leave less than a millionth of its variance has no part of its own: that is rounding,
/// and may be negative.
fn root(covariance: &[f64], outputs: usize) -> Vec<f64> {
    const LEAST: f64 = 1e-6;
    let mut root = vec![0.0; outputs * outputs];
    for column in 0..outputs {
        let rest = |row: usize, root: &[f64]| {
            let (a, b) = (&root[row * outputs..], &root[column * outputs..]);
            let of_those_before = a.iter().zip(b).take(column).map(|(a, b)| a * b);
            covariance[row * outputs + column] - of_those_before.sum::<f64>()
        };
        let own = rest(column, &root);
        if own <= LEAST * covariance[column * (outputs + 1)] {
            continue;
        }
        let scale = own.sqrt().recip();
        for row in column..outputs {
            root[row * outputs + column] = rest(row, &root) * scale;
        }
    }
    root
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `R Rᵀ`.
    fn square(root: &[f64], n: usize) -> Vec<f64> {
        let product = |i: usize, j: usize| (0..n).map(|k| root[i * n + k] * root[j * n + k]).sum();
        (0..n * n)
            .map(|index| product(index / n, index % n))
            .collect()
    }

    #[test]
    fn a_root_of_a_singular_covariance_is_one_all_the_same() {
        let covariances = [
            vec![4.0, 2.0, 1.0, 2.0, 3.0, 0.5, 1.0, 0.5, 2.0],
            // Of (z, 2 z, y).
            vec![1.0, 2.0, 0.0, 2.0, 4.0, 0.0, 0.0, 0.0, 9.0],
            // Below zero by rounding.
            vec![1.0, 1.0 + 1e-7, 0.0, 1.0 + 1e-7, 1.0, 0.0, 0.0, 0.0, 0.0],
        ];
        for covariance in covariances {
            let back = square(&root(&covariance, 3), 3);
            let pairs = back.iter().zip(&covariance);
            let off = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(off < 1e-6, "{covariance:?}: {back:?}");
        }
    }
}
