//! Burn's operations where a batch may have no rows.

use burn::tensor::{Tensor, module};

/// The product of rows with a matrix, and a bias. Flex's, of a batch of matrices without rows, writes where there is
/// nothing.
pub(crate) fn linear<const D: usize>(
    input: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
) -> Tensor<D> {
    let mut dims = input.dims();
    if dims[..D - 1].contains(&0) {
        dims[D - 1] = weight.dims()[1];
        return Tensor::zeros(dims, (&input.device(), input.dtype()));
    }
    module::linear(input, weight, bias)
}

/// The values expanded to these dimensions. Burn's `expand` takes no zero among them.
pub(crate) fn expanded<const D: usize>(values: Tensor<D>, dims: [usize; D]) -> Tensor<D> {
    match dims.contains(&0) {
        true => Tensor::zeros(dims, (&values.device(), values.dtype())),
        false => values.expand(dims),
    }
}
