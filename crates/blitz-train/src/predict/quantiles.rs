//! The values that stand for the distribution of an output whose moments are known.

use blitz_layers::blitz_core::noise::{NoiseKey, layout};
use blitz_layers::moments::{Correlations, Moments};
use blitz_predict::distribution::{Distribution, Normal};
use burn::tensor::{Tensor, TensorData};
use nalgebra::{DMatrix, SymmetricEigen};

use super::covariances::with_covariance;

/// Panics unless the variance of so many quantiles can be scaled to 1.
pub(super) fn check_quantiles(count: usize) {
    assert!(
        count >= 2,
        "the distribution of an output needs at least two quantiles, got {count}"
    );
}

/// The most outputs whose covariance is worth its root. Beyond, as many quantiles have correlations below a tenth.
const MOST_WITHOUT_CORRELATIONS: usize = 128;

/// Quantiles of the standard normal, in an order of its own for each output: rows of all outputs.
///
/// Orders that are random have correlations of some `1/√count`, the same for every example. With at least twice as many
/// quantiles as outputs, and up to
/// [`MOST_WITHOUT_CORRELATIONS`] of these, there are none: each row is multiplied by the inverse root of their covariance.
#[derive(Debug)]
pub(crate) struct Quantiles(Vec<Vec<f32>>);

impl Quantiles {
    pub(crate) fn new(count: usize, outputs: usize, seed: u64) -> Self {
        let standard = standard_quantiles(count);
        let columns: Vec<f64> = (0..outputs)
            .flat_map(|output| shuffled(&standard, seed, output))
            .collect();
        let mut rows = DMatrix::from_vec(count, outputs, columns);
        let has_root = outputs <= MOST_WITHOUT_CORRELATIONS && 2 * outputs <= count;
        if has_root && let Some(root) = inverse_root(rows.tr_mul(&rows) / count as f64) {
            rows = &rows * root;
        }
        let rows = rows.row_iter();
        Self(
            rows.map(|row| row.iter().map(|z| *z as f32).collect())
                .collect(),
        )
    }

    /// One row for each quantile, a number for each output.
    #[cfg(feature = "dataset")] // for the Laplace approximations
    pub(crate) fn rows(&self) -> &[Vec<f32>] {
        &self.0
    }

    /// Outputs that have together the mean and the variance of `moments`, and the covariances that these have; one alone
    /// where they are certain.
    pub(crate) fn of<C: Correlations>(&self, moments: Moments<2, C>) -> Vec<Tensor<2>> {
        if moments.variance.is_none() {
            return vec![moments.mean];
        }
        let std = moments.variance().sqrt();
        let [_, outputs] = std.dims();
        let options = (&std.device(), std.dtype());
        // In the type of the variance, `f32` at least: half precision has few numbers beside a mean, or none.
        let mean = moments.mean.clone().cast(std.dtype());
        if let Some(covariance) = moments.covariance() {
            let steps = with_covariance(&self.0, covariance, std);
            return steps.into_iter().map(|step| mean.clone() + step).collect();
        }
        let rows = self.0.iter().map(|row| {
            let row = TensorData::new(row.clone(), [1, outputs]);
            let row = Tensor::<2>::from_data(row, options);
            mean.clone() + std.clone() * row
        });
        rows.collect()
    }
}

/// `C^−½` of the covariance of a few quantiles; none of orders that are nearly the same, as very few quantiles may
/// have.
fn inverse_root(covariance: DMatrix<f64>) -> Option<DMatrix<f64>> {
    let SymmetricEigen {
        eigenvalues,
        eigenvectors,
    } = SymmetricEigen::new(covariance);
    let is_clear = eigenvalues.iter().all(|value| *value > 0.01);
    is_clear.then(|| {
        let roots = DMatrix::from_diagonal(&eigenvalues.map(|value| value.sqrt().recip()));
        &eigenvectors * roots * eigenvectors.transpose()
    })
}

/// Quantiles of the standard normal at the middles of as many equal probabilities, scaled to a variance of 1.
fn standard_quantiles(count: usize) -> Vec<f64> {
    let standard = Normal {
        mean: 0.0,
        std: 1.0,
    };
    let middles = (0..count).map(|k| (k as f64 + 0.5) / count as f64);
    let quantiles: Vec<f64> = middles.map(|p| standard.quantile(p)).collect();
    let square = quantiles.iter().map(|z| z * z).sum::<f64>() / count as f64;
    quantiles.iter().map(|z| z / square.sqrt()).collect()
}

/// The values in an order of the output's own.
fn shuffled(values: &[f64], seed: u64, output: usize) -> Vec<f64> {
    let mut keys = vec![0f32; values.len()];
    NoiseKey::new(seed ^ layout::MOMENTS, 0, output as u32).fill_standard_normal(0, &mut keys);
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| keys[*a].total_cmp(&keys[*b]));
    order.into_iter().map(|k| values[k]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::likelihood::{GaussianLikelihoodConfig, Likelihood, LikelihoodParam};
    use burn::tensor::{DType, Device};

    #[test]
    fn a_mean_in_half_precision_keeps_a_deviation_below_its_digits() {
        let device = Device::flex();
        let likelihood = GaussianLikelihoodConfig::new()
            .with_noise(LikelihoodParam::Fixed(0.1))
            .init(&device);
        for dtype in [DType::BF16, DType::F16] {
            let mean = Tensor::<2>::full([1, 1], 3.0, (&device, dtype));
            let variance = Tensor::full([1, 1], 4e-6, (&device, DType::F32));
            let outputs = Quantiles::new(100, 1, 0).of(Moments::new(mean, variance));
            let predictive = likelihood.predictive(outputs);
            assert!((predictive.mean()[0] - 3.0).abs() < 1e-5);
            assert!((predictive.epistemic_std()[0] / 0.002 - 1.0).abs() < 1e-3);
        }
    }

    #[test]
    fn quantiles_have_the_mean_and_the_variance_that_they_stand_for() {
        let device = Device::flex();
        let mean = Tensor::<2>::from_floats([[1.0, -2.0], [0.0, 5.0]], &device);
        let variance = Tensor::<2>::from_floats([[0.25, 4.0], [1.0, 0.0]], &device);
        let moments = Moments::new(mean.clone(), variance.clone());
        for count in [2, 7, 100] {
            let outputs = Quantiles::new(count, 2, 3).of(moments.clone());
            let outputs: Tensor<3> = Tensor::stack(outputs, 0);
            let of_outputs = outputs.clone().mean_dim(0);
            let squares = (outputs - of_outputs.clone()).square().mean_dim(0);
            let largest = |off: Tensor<2>| off.abs().max().into_scalar::<f32>();
            assert!(largest(of_outputs.squeeze_dim(0) - mean.clone()) < 1e-5);
            assert!(largest(squares.squeeze_dim(0) - variance.clone()) < 1e-5);
        }
    }

    #[test]
    fn outputs_have_no_correlations() {
        for (count, outputs) in [(10, 2), (10, 5), (30, 3), (100, 10), (100, 50), (300, 128)] {
            for seed in 0..3 {
                let Quantiles(rows) = Quantiles::new(count, outputs, seed);
                for (i, j) in (0..outputs).flat_map(|i| (0..=i).map(move |j| (i, j))) {
                    let products = rows.iter().map(|row| f64::from(row[i]) * f64::from(row[j]));
                    let covariance = products.sum::<f64>() / count as f64;
                    let expected = f64::from(u8::from(i == j));
                    assert!((covariance - expected).abs() < 1e-6, "{covariance}");
                }
            }
        }
        // Two outputs of two quantiles have the same order, or the reverse.
        let Quantiles(rows) = Quantiles::new(2, 2, 0);
        assert!(rows.iter().flatten().all(|z| (z.abs() - 1.0).abs() < 1e-6));
    }

    #[test]
    fn outputs_have_orders_of_their_own() {
        let z = standard_quantiles(100);
        let columns: Vec<_> = (0..4).map(|output| shuffled(&z, 0, output)).collect();
        for (i, a) in columns.iter().enumerate() {
            for b in &columns[..i] {
                let correlation = a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>() / 100.0;
                assert!(correlation.abs() < 0.4, "{correlation}"); // four standard errors
            }
        }
    }
}
