//! The mean of a softmax over draws of normal logits.

use super::curvature::Root;
use super::layer::normals;
use crate::predict::link::softmax;

/// `E[softmax(f)]` over so many draws of f, normal about these logits, whose covariance has this root.
pub(super) fn mean_softmax(logits: &[f64], root: &Root<'_>, draws: usize, seed: u64) -> Vec<f64> {
    assert!(draws > 0, "a mean over draws needs draws, got 0");
    let mut mean = vec![0.0; logits.len()];
    for draw in 0..draws {
        let step = root.times(&normals(seed, draw as u64, 0, logits.len()));
        let drawn: Vec<f64> = logits.iter().zip(step).map(|(z, s)| z + s).collect();
        for (mean, p) in mean.iter_mut().zip(softmax(&drawn)) {
            *mean += p / draws as f64;
        }
    }
    mean
}
