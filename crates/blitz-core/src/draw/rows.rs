//! Some rows of a weight, for layers that look up a few rows of a large table.

use burn::module::Param;
use burn::tensor::Tensor;

use super::Draw;
use super::attached::has_adapters;
use crate::family::select_rows;

/// The rows `rows` (positions on the first axis) of what [`Param::val`] would return, in that order: under the open
/// draw, mean mode and freeze.
///
/// Of posteriors that allow it ([`Posterior::rows`](crate::Posterior::rows)) these rows are sampled and no others, to
/// the same bits as in a sample of the whole weight on a CPU, and to rounding elsewhere. Outside a draw each call
/// samples afresh.
///
/// ```
/// use blitz_core::prelude::*;
/// use blitz_core::weight_rows;
/// use burn::nn::EmbeddingConfig;
/// use burn::tensor::Device;
///
/// let table = EmbeddingConfig::new(1000, 4).init(&Device::flex()).bayesianize(&BayesianizeConfig::new());
/// let rows = table.with_draw(1, 0, |table| weight_rows(&table.weight, &[3, 998]));
/// let all = table.with_draw(1, 0, |table| table.weight.val());
/// assert_eq!(rows.slice([1..2, 0..4]).into_data(), all.slice([998..999, 0..4]).into_data());
/// ```
///
/// # Panics
///
/// Panics if `rows` is empty, or holds a position that the weight doesn't have.
pub fn weight_rows<const D: usize>(param: &Param<Tensor<D>>, rows: &[usize]) -> Tensor<D> {
    assert!(!rows.is_empty(), "no rows of the weight were asked for");
    // Not the lazy shape, which is that of a record, of a weight that is transposed for it.
    let count = param.base().dims()[0];
    if let Some(row) = rows.iter().find(|row| **row >= count) {
        panic!("row {row} of a weight of {count} rows was asked for");
    }
    if has_adapters(param) {
        return select_rows(param.val(), rows);
    }
    let scope = Draw::rows(rows);
    let value = param.val();
    match scope.finish_rows() {
        true => value,
        false => select_rows(value, rows),
    }
}
