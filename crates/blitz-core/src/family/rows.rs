//! Some rows of a tensor.

use burn::tensor::{Int, Tensor, TensorData};

/// The rows at those positions of the first axis, in that order; of a quantized tensor, the numbers that they stand
/// for.
pub(crate) fn select_rows<const D: usize>(tensor: Tensor<D>, rows: &[usize]) -> Tensor<D> {
    let positions: Vec<i64> = rows.iter().map(|row| *row as i64).collect();
    let positions = TensorData::new(positions, [rows.len()]);
    let positions = Tensor::<1, Int>::from_data(positions, &tensor.device());
    // Burn quantizes the rows of a tensor in blocks anew.
    tensor.dequantize().select(0, positions)
}
