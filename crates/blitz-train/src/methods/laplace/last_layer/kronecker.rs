//! A curvature matrix of a linear layer as a Kronecker product (KFAC: Martens & Grosse 2015; Ritter et al. 2018).

use nalgebra::DMatrix;
use serde::{Deserialize, Serialize};

use super::super::error::LaplaceError;
use super::super::spectrum::{Spectrum, check_invertible};

/// `G ⊗ A` for the weights and `G` for the bias: `G = Σ Λ` sums the Hessians of the likelihood by the outputs, `A` is
/// the mean of `x xᵀ` over the inputs.
///
/// The bias has a block of its own, as in laplace-torch: covariances between weights and bias are left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Kronecker {
    pub(super) outputs: Spectrum,
    pub(super) inputs: Spectrum,
    pub(super) bias: bool,
}

impl Kronecker {
    pub(super) fn new(outputs: DMatrix<f64>, inputs: DMatrix<f64>, bias: bool) -> Self {
        Self {
            outputs: Spectrum::new(outputs),
            inputs: Spectrum::new(inputs),
            bias,
        }
    }

    /// All eigenvalues of the curvature: those of the bias are G's.
    pub(super) fn eigenvalues(&self) -> impl Iterator<Item = f64> {
        let products = self
            .outputs
            .values
            .iter()
            .flat_map(|g| self.inputs.values.iter().map(move |a| g * a));
        let bias = self.outputs.values.iter().take(match self.bias {
            true => self.outputs.dim(),
            false => 0,
        });
        products.chain(bias.copied())
    }

    /// An error unless the posterior precision can be inverted to some digits.
    pub(super) fn check(&self, precision: f64) -> Result<(), LaplaceError> {
        let dim = self.outputs.dim().max(self.inputs.dim());
        check_invertible(self.eigenvalues().map(|s| s + precision), dim)
    }

    pub(super) fn log_det(&self, precision: f64) -> f64 {
        self.eigenvalues().map(|s| (s + precision).ln()).sum()
    }

    /// An example's input in the coordinates of A.
    pub(super) fn coordinates(&self, input: &[f64]) -> Vec<f64> {
        self.inputs.coordinates(input)
    }

    /// The variances of the logits along the eigenvectors of G, at an input given by its coordinates.
    pub(super) fn along_outputs(&self, coordinates: &[f64], precision: f64) -> Vec<f64> {
        let along = |g: &f64| {
            let inputs = coordinates.iter().zip(&self.inputs.values);
            let weights: f64 = inputs.map(|(q, a)| q * q / (g * a + precision)).sum();
            let bias = match self.bias {
                true => 1.0 / (g + precision),
                false => 0.0,
            };
            weights + bias
        };
        self.outputs.values.iter().map(along).collect()
    }

    /// A draw about 0, output after output with the bias last, of standard normals in the same order.
    ///
    /// By the symmetric root, as in [`Spectrum::draw`].
    pub(super) fn draw(&self, normals: &[f64], precision: f64) -> Vec<f64> {
        let (d, outputs) = (self.inputs.dim(), self.outputs.dim());
        let row = d + usize::from(self.bias);
        // A column for each output.
        let noise = DMatrix::from_column_slice(row, outputs, normals);
        let (u, v) = (self.outputs.matrix(), self.inputs.matrix());
        let mut weights = v.tr_mul(&noise.rows(0, d)) * u;
        for (k, g) in self.outputs.values.iter().enumerate() {
            for (j, a) in self.inputs.values.iter().enumerate() {
                weights[(j, k)] /= (g * a + precision).sqrt();
            }
        }
        let weights = v * weights * u.transpose();
        let mut step = DMatrix::zeros(row, outputs);
        step.rows_mut(0, d).copy_from(&weights);
        if self.bias {
            let bias: Vec<f64> = noise.row(d).iter().copied().collect();
            let bias = self.outputs.draw(&bias, 1.0, precision);
            step.row_mut(d).copy_from_slice(&bias);
        }
        step.as_slice().to_vec()
    }
}
