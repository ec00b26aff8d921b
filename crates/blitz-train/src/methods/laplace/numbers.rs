//! Tensors as numbers on the host, and the normals that weights are drawn by.

use blitz_layers::blitz_core::noise::{NoiseKey, layout};
use burn::tensor::Tensor;

use super::error::LaplaceError;

pub(super) fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

/// The normals of weight tensor `weight` in draw `index` of a prediction.
pub(super) fn normals(seed: u64, index: u64, weight: usize, len: usize) -> Vec<f64> {
    let mut normals = vec![0.0; len];
    let stream = layout::weight(weight as u32);
    let key = NoiseKey::new(seed, layout::prediction(index), stream);
    key.fill_standard_normal(0, &mut normals);
    normals.into_iter().map(f64::from).collect()
}

pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Refuses what is NaN or infinite: rows of so many numbers, of examples with so many `before` them.
pub(super) fn finite(
    rows: &[f64],
    width: usize,
    what: &'static str,
    before: usize,
) -> Result<(), LaplaceError> {
    match rows.iter().position(|value| !value.is_finite()) {
        Some(at) => Err(LaplaceError::NonFinite {
            what,
            example: before + at / width,
        }),
        None => Ok(()),
    }
}
