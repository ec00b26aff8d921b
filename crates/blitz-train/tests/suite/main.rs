//! Tests of the public surface, in one binary. Names are claims.

mod classification;
mod components;
mod conjugate;
mod elbo;
mod learner;
mod likelihood;
mod likelihoods;
mod metric;
mod mixtures;
mod predict;
mod stream;

use burn::tensor::Tensor;

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

fn scalar(tensor: Tensor<1>) -> f64 {
    tensor.into_scalar::<f64>()
}
