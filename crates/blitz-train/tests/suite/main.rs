//! Tests of the public surface, in one binary. Names are claims.

mod adapters;
mod antithetic;
mod by_moments;
mod checkpoints;
mod classification;
#[path = "../../../blitz-predict/tests/suite/close.rs"]
mod close;
mod conjugate;
mod constants;
mod dashboard;
mod deterministic;
// Shared with the other crates; not all of it is used here.
#[allow(dead_code)]
#[path = "../../../blitz-core/tests/suite/digest.rs"]
mod digest;
mod display;
mod draw_digests;
mod draws;
mod dtypes;
mod elbo;
mod expected_losses;
mod fit_errors;
mod fused_adam;
mod half_precision;
mod ivon;
mod laplace;
mod laplace_evidence;
mod laplace_files;
mod laplace_kronecker;
mod laplace_network;
mod learner;
mod likelihood;
mod likelihood_types;
mod likelihoods;
mod line;
mod metric;
mod metric_files;
mod moments;
mod onnx;
#[cfg(feature = "plot")]
mod plot;
mod prediction_mode;
mod predictive_nll;
mod quantized_adapters;
mod running_statistics;
mod scale_out;
mod sghmc;
mod sgld;
mod standardize;
mod stream;
mod swag;
mod tensorboard;
mod ties;
mod trainings;
#[path = "../../../blitz-core/tests/suite/types.rs"]
mod types;
mod updates;

use std::fmt::Debug;
use std::sync::Arc;

use blitz_train::prelude::Network;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataloader::{DataLoader, DataLoaderBuilder};
use burn::data::dataset::InMemDataset;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};

/// A network of one deterministic layer.
#[derive(Module, Debug)]
struct LinearNet {
    layer: Linear,
}

impl Network for LinearNet {
    type Input = Tensor<2>;
    type Output = Tensor<2>;

    fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        self.layer.forward(input)
    }
}

/// The examples 0, 1, 2, … in their order.
fn loader<B: Send + Sync + Clone + Debug + 'static>(
    batcher: impl Batcher<i32, B> + 'static,
    examples: i32,
    batch: usize,
    device: &Device,
) -> Arc<dyn DataLoader<B>> {
    DataLoaderBuilder::new(batcher)
        .batch_size(batch)
        .set_device(device.clone())
        .build(InMemDataset::new((0..examples).collect()))
}

/// Feature `j` of example `i`, as the scripts beside the tests of Laplace approximations compute it.
fn feature(i: i32, j: i32) -> f64 {
    f64::from((7 * i + 3 * j * j + i * j) % 11) / 4.0 - 1.25
}

/// The first two features of the examples.
fn reference_inputs(examples: &[i32], device: &Device) -> Tensor<2> {
    let row = |i: &i32| [0, 1].map(|j| feature(*i, j) as f32);
    let rows: Vec<f32> = examples.iter().flat_map(row).collect();
    Tensor::<1>::from_floats(rows.as_slice(), device).reshape([examples.len(), 2])
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

fn scalar(tensor: Tensor<1>) -> f64 {
    tensor.into_scalar::<f64>()
}

/// How many standard errors the mean of independent values lies above `expected`.
fn standard_errors_off(values: &[f64], expected: f64) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean - expected) / (variance / n).sqrt()
}
