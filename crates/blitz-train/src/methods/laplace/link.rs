//! The mean of a softmax over draws of normal logits.

use nalgebra::{DMatrix, SymmetricEigen};

use super::layer::normals;
use crate::predict::link::softmax;

/// `E[softmax(f)]` over so many draws from `N(logits, covariance)`.
pub(super) fn mean_softmax(
    logits: &[f64],
    covariance: Vec<f64>,
    draws: usize,
    seed: u64,
) -> Vec<f64> {
    assert!(draws > 0, "a mean over draws needs draws, got 0");
    let classes = logits.len();
    let eigen = SymmetricEigen::new(DMatrix::from_vec(classes, classes, covariance));
    let scales = eigen.eigenvalues.map(|v| v.max(0.0).sqrt());
    let q = eigen.eigenvectors;
    let root = &q * DMatrix::from_diagonal(&scales) * q.transpose();
    let mut mean = vec![0.0; classes];
    for draw in 0..draws {
        let noise = DMatrix::from_vec(classes, 1, normals(seed, draw as u64, 0, classes));
        let step = &root * noise;
        let drawn: Vec<f64> = logits.iter().zip(step.iter()).map(|(z, s)| z + s).collect();
        for (mean, p) in mean.iter_mut().zip(softmax(&drawn)) {
            *mean += p / draws as f64;
        }
    }
    mean
}
