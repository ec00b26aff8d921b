//! A curvature matrix by its eigenvalues: every precision `scale · H + λ I` is then inverted for nothing.

use nalgebra::{DMatrix, DMatrixView, SymmetricEigen};
use serde::{Deserialize, Serialize};

use super::error::LaplaceError;
use super::numbers::dot;

/// The most weights a joint covariance may have: its matrix then takes 32 MB, its eigendecomposition minutes at most.
pub const MAX_JOINT_PARAMETERS: usize = 2048;

/// `H = Q diag(s) Qᵀ`, positive semidefinite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Spectrum {
    /// The eigenvalues s, not negative.
    pub(super) values: Vec<f64>,
    /// Q, one eigenvector after the other.
    vectors: Vec<f64>,
}

impl Spectrum {
    /// Of a symmetric matrix of finite numbers.
    pub(super) fn new(matrix: DMatrix<f64>) -> Self {
        if matrix.is_empty() {
            return Self {
                values: Vec::new(),
                vectors: Vec::new(),
            };
        }
        let eigen = SymmetricEigen::new(matrix);
        Self {
            // Rounding makes zeros of a singular matrix slightly negative. What is no number stays none, for
            // `check_invertible`.
            values: eigen
                .eigenvalues
                .iter()
                .map(|s| if *s < 0.0 { 0.0 } else { *s })
                .collect(),
            vectors: eigen.eigenvectors.as_slice().to_vec(),
        }
    }

    pub(super) fn dim(&self) -> usize {
        self.values.len()
    }

    /// Q, one eigenvector after the other.
    pub(super) fn vectors(&self) -> &[f64] {
        &self.vectors
    }

    /// The eigenvectors.
    pub(super) fn columns(&self) -> impl Iterator<Item = &[f64]> {
        self.vectors.chunks(self.dim().max(1))
    }

    /// Q, an eigenvector a column.
    pub(super) fn matrix(&self) -> DMatrixView<'_, f64> {
        DMatrixView::from_slice(&self.vectors, self.dim(), self.dim())
    }

    /// `Qᵀ x`.
    pub(super) fn coordinates(&self, x: &[f64]) -> Vec<f64> {
        self.coordinates_from(0, x)
    }

    /// `Qᵀ x` of an x that is zero but for these elements, the first of them element `start`.
    pub(super) fn coordinates_from(&self, start: usize, x: &[f64]) -> Vec<f64> {
        self.columns().map(|q| dot(&q[start..], x)).collect()
    }

    /// `Q c`.
    pub(super) fn vector(&self, coordinates: &[f64]) -> Vec<f64> {
        let mut out = vec![0.0; self.dim()];
        for (q, c) in self.columns().zip(coordinates) {
            for (out, q) in out.iter_mut().zip(q) {
                *out += q * c;
            }
        }
        out
    }

    /// The diagonal of `U diag(v) Uᵀ`, where U has the eigenvectors for its columns, each of them less the number that
    /// `centre` makes of it.
    pub(super) fn squares_about(&self, v: &[f64], centre: impl Fn(&[f64]) -> f64) -> Vec<f64> {
        let mut out = vec![0.0; self.dim()];
        for (column, v) in self.columns().zip(v) {
            let centre = centre(column);
            for (out, u) in out.iter_mut().zip(column) {
                *out += (u - centre).powi(2) * v;
            }
        }
        out
    }

    /// The eigenvalues of `scale · H + precision · I`.
    fn precisions(&self, scale: f64, precision: f64) -> impl Iterator<Item = f64> {
        self.values.iter().map(move |s| scale * s + precision)
    }

    /// An error unless the posterior precision can be inverted to some digits.
    pub(super) fn check(&self, scale: f64, precision: f64) -> Result<(), LaplaceError> {
        check_invertible(self.precisions(scale, precision), self.dim())
    }

    pub(super) fn log_det(&self, scale: f64, precision: f64) -> f64 {
        self.precisions(scale, precision).map(f64::ln).sum()
    }

    /// MacKay's number of well-determined parameters, `γ = Σ s / (s + λ)`.
    pub(super) fn well_determined(&self, scale: f64, precision: f64) -> f64 {
        let values = self.values.iter().map(|s| scale * s);
        values.map(|s| s / (s + precision)).sum()
    }

    /// `xᵀ (scale · H + precision · I)⁻¹ y` of vectors given by their [`coordinates`](Self::coordinates).
    pub(super) fn inverse_form_at(&self, x: &[f64], y: &[f64], scale: f64, precision: f64) -> f64 {
        let terms = x.iter().zip(y).zip(self.precisions(scale, precision));
        terms.map(|((x, y), p)| x * y / p).sum()
    }

    /// `(scale · H + precision · I)⁻¹`, row-major.
    pub(super) fn covariance(&self, scale: f64, precision: f64) -> Vec<f64> {
        let dim = self.dim();
        let mut out = vec![0.0; dim * dim];
        for (q, p) in self.columns().zip(self.precisions(scale, precision)) {
            for (row, a) in out.chunks_mut(dim).zip(q) {
                for (out, b) in row.iter_mut().zip(q) {
                    *out += a * b / p;
                }
            }
        }
        out
    }

    /// A draw from `N(0, (scale · H + precision · I)⁻¹)`, of standard normals.
    ///
    /// By the symmetric root, which does not depend on the signs of the eigenvectors or on their choice among equal
    /// eigenvalues.
    pub(super) fn draw(&self, normals: &[f64], scale: f64, precision: f64) -> Vec<f64> {
        let mut coordinates = self.coordinates(normals);
        for (c, p) in coordinates
            .iter_mut()
            .zip(self.precisions(scale, precision))
        {
            *c /= p.sqrt();
        }
        self.vector(&coordinates)
    }
}

/// An error unless a precision of these eigenvalues can be inverted to some digits: they are good to dim · ε of the
/// largest.
pub(super) fn check_invertible(
    precisions: impl Iterator<Item = f64>,
    dim: usize,
) -> Result<(), LaplaceError> {
    let (mut smallest, mut largest) = (f64::INFINITY, 0.0f64);
    for value in precisions {
        if value.is_nan() {
            // The squares of what it was computed from are beyond the numbers.
            return Err(LaplaceError::Singular {
                smallest: value,
                largest: value,
            });
        }
        smallest = smallest.min(value);
        largest = largest.max(value);
    }
    if smallest > largest * dim as f64 * f64::EPSILON {
        return Ok(());
    }
    Err(LaplaceError::Singular { smallest, largest })
}
