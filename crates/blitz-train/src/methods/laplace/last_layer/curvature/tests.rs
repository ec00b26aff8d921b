//! The shortcuts of each structure, against the whole covariance.

use burn::tensor::FloatDType;
use nalgebra::{DMatrix, SymmetricEigen};

use super::super::super::numbers::normals;
use super::*;

const SHAPE: LayerShape = LayerShape {
    d_input: 3,
    outputs: 4,
    bias: true,
    dtype: FloatDType::F64,
};
const FEATURES: [f64; 3] = [0.5, -2.0, 1.25];
const PRECISION: f64 = 0.3;

fn positive(dim: usize, seed: u64) -> DMatrix<f64> {
    let root = DMatrix::from_vec(dim, dim, normals(seed, 0, 0, dim * dim));
    &root * root.transpose()
}

fn all() -> [Curvature; 3] {
    let (row, outputs) = (SHAPE.row(), SHAPE.outputs);
    let block = |output| Spectrum::new(positive(row, output as u64));
    [
        Curvature::Joint(Spectrum::new(positive(SHAPE.parameters(), 1))),
        Curvature::PerOutput((0..outputs).map(block).collect()),
        Curvature::Kronecker(Kronecker::new(
            positive(outputs, 2),
            positive(SHAPE.d_input, 3),
            SHAPE.bias,
        )),
    ]
}

fn assert_close(got: &[f64], expected: &[f64]) {
    assert_eq!(got.len(), expected.len());
    for (got, expected) in got.iter().zip(expected) {
        let off = (got - expected).abs();
        assert!(
            off < 1e-11 * expected.abs().max(1.0),
            "{got} for {expected}"
        );
    }
}

#[test]
fn the_root_is_that_of_an_eigendecomposition_of_the_covariance() {
    for curvature in all() {
        let spread = curvature.spread(&SHAPE, &FEATURES);
        let dim = SHAPE.outputs;
        let covariance = DMatrix::from_vec(dim, dim, spread.covariance(PRECISION));
        let eigen = SymmetricEigen::new(covariance);
        let q = eigen.eigenvectors;
        let roots = DMatrix::from_diagonal(&eigen.eigenvalues.map(|v| v.max(0.0).sqrt()));
        let expected = &q * roots * q.transpose();
        let root = spread.root(PRECISION);
        let z = normals(7, 0, 0, dim);
        let stepped = expected * DMatrix::from_column_slice(dim, 1, &z);
        assert_close(&root.times(&z), stepped.as_slice());
    }
}

#[test]
fn the_variances_are_those_of_the_whole_covariance_of_the_weights() {
    let phi = SHAPE.phi(&FEATURES);
    for curvature in all() {
        let spread = curvature.spread(&SHAPE, &FEATURES);
        let covariance = spread.covariance(PRECISION);
        let at = |a: usize, b: usize| covariance[a * SHAPE.outputs + b];
        if let Curvature::Joint(spectrum) = &curvature {
            // The features of each output among zeros for the others.
            let weights = spectrum.covariance(1.0, PRECISION);
            let row = SHAPE.row();
            for a in 0..SHAPE.outputs {
                for b in 0..SHAPE.outputs {
                    let mut sum = 0.0;
                    for (i, x) in phi.iter().enumerate() {
                        for (j, y) in phi.iter().enumerate() {
                            sum += x * y * weights[(a * row + i) * 4 * row + b * row + j];
                        }
                    }
                    assert_close(&[at(a, b)], &[sum]);
                }
            }
        }
        let variances: Vec<f64> = (0..SHAPE.outputs).map(|k| at(k, k)).collect();
        assert_close(&spread.variances(PRECISION), &variances);
        let contrast = |k: usize| {
            let weight = |a: usize| if a == k { 1.0 } else { -1.0 / 3.0 };
            let pairs = (0..4).flat_map(|a| (0..4).map(move |b| (a, b)));
            pairs.map(|(a, b)| weight(a) * weight(b) * at(a, b)).sum()
        };
        let contrasts: Vec<f64> = (0..SHAPE.outputs).map(contrast).collect();
        assert_close(&spread.contrast_variances(PRECISION), &contrasts);
    }
}
