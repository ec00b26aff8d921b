//! Tests of the public surface, in one binary. Names are claims.

mod classification;
mod conjugate;
mod elbo;
mod fused_adam;
mod learner;
mod likelihood;
mod metric;
mod predict;
mod scale_out;

use burn::tensor::Tensor;

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

fn scalar(tensor: Tensor<1>) -> f64 {
    tensor.into_scalar::<f64>()
}
