//! Sums that are the same in every run.

use burn::tensor::Tensor;

use super::in_type_of;
use crate::kernels;

/// From so many elements on, Flex sums in `f32` by threads, in the order in which they end.
const SUMMED_BY_THREADS: usize = 4 * 1024 * 1024;

/// `Σ x²` in the type of x.
///
/// Below the size at which a sum is that of threads it is Burn's own, whose last bit is a part of the draws made with
/// it.
pub(crate) fn square_sum<const D: usize>(x: &Tensor<D>) -> Tensor<1> {
    let is_large = x.shape().num_elements() >= SUMMED_BY_THREADS;
    // In chunks that no number of threads changes.
    let in_order = is_large.then(|| kernels::square_sum(x)).flatten();
    match in_order {
        Some(sum) => in_type_of(sum, x),
        None => x.clone().square().sum(),
    }
}
