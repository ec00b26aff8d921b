//! What the curvature of a softmax layer is made of, summed over examples.

use nalgebra::{DMatrix, DVector};

use super::super::error::LaplaceError;
use super::super::spectrum::{MAX_JOINT_PARAMETERS, Spectrum};
use super::curvature::Curvature;
use super::kronecker::Kronecker;
use super::shape::LayerShape;
use super::softmax::ClassCovariance;

/// Sums over the features φ and the class probabilities p of examples.
pub(super) enum ClassSums {
    /// `Σ (diag p − p pᵀ) ⊗ φφᵀ`.
    Joint(DMatrix<f64>),
    /// Its blocks on the diagonal, one for each class.
    PerClass(Vec<DMatrix<f64>>),
    Kronecker {
        /// `Σ diag p − p pᵀ`.
        outputs: DMatrix<f64>,
        /// `Σ φφᵀ`, without the 1 for the bias.
        features: DMatrix<f64>,
        bias: bool,
        examples: usize,
    },
}

impl ClassSums {
    /// Of no examples yet.
    pub(super) fn new(
        covariance: ClassCovariance,
        shape: LayerShape,
    ) -> Result<Self, LaplaceError> {
        let (row, classes, parameters) = (shape.row(), shape.outputs, shape.parameters());
        let zeros = |side| DMatrix::zeros(side, side);
        match covariance {
            ClassCovariance::Joint if parameters > MAX_JOINT_PARAMETERS => {
                Err(LaplaceError::TooLarge {
                    parameters,
                    limit: MAX_JOINT_PARAMETERS,
                })
            }
            ClassCovariance::Joint => Ok(Self::Joint(zeros(parameters))),
            ClassCovariance::PerClass => Ok(Self::PerClass(vec![zeros(row); classes])),
            ClassCovariance::Kronecker => Ok(Self::Kronecker {
                outputs: zeros(classes),
                features: zeros(shape.d_input),
                bias: shape.bias,
                examples: 0,
            }),
        }
    }

    /// Adds examples, a row each.
    pub(super) fn add(&mut self, phi: &DMatrix<f64>, probabilities: &DMatrix<f64>) {
        let (row, classes) = (phi.ncols(), probabilities.ncols());
        match self {
            Self::Joint(matrix) => {
                for (a, b) in (0..classes).flat_map(|a| (0..classes).map(move |b| (a, b))) {
                    let mut block = matrix.view_mut((a * row, b * row), (row, row));
                    block += weighted_squares(phi, probabilities, a, b);
                }
            }
            Self::PerClass(blocks) => {
                for (class, block) in blocks.iter_mut().enumerate() {
                    *block += weighted_squares(phi, probabilities, class, class);
                }
            }
            Self::Kronecker {
                outputs,
                features,
                examples,
                ..
            } => {
                let inputs = phi.columns(0, features.ncols());
                *features += inputs.tr_mul(&inputs);
                *outputs -= probabilities.tr_mul(probabilities);
                for (class, column) in probabilities.column_iter().enumerate() {
                    outputs[(class, class)] += column.sum();
                }
                *examples += phi.nrows();
            }
        }
    }

    pub(super) fn curvature(self) -> Curvature {
        match self {
            Self::Joint(matrix) => Curvature::Joint(Spectrum::new(matrix)),
            Self::PerClass(blocks) => {
                Curvature::PerOutput(blocks.into_iter().map(Spectrum::new).collect())
            }
            Self::Kronecker {
                outputs,
                features,
                bias,
                examples,
            } => Curvature::Kronecker(Kronecker::new(outputs, features / examples as f64, bias)),
        }
    }
}

/// `Σ (δ_ab p_a − p_a p_b) φφᵀ` over the rows of both.
fn weighted_squares(
    phi: &DMatrix<f64>,
    probabilities: &DMatrix<f64>,
    a: usize,
    b: usize,
) -> DMatrix<f64> {
    let weights = DVector::from_fn(phi.nrows(), |i, _| {
        let p = probabilities[(i, a)];
        f64::from(u8::from(a == b)) * p - p * probabilities[(i, b)]
    });
    let mut weighted = phi.clone();
    for mut column in weighted.column_iter_mut() {
        column.component_mul_assign(&weights);
    }
    phi.tr_mul(&weighted)
}
