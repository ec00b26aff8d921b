//! The two nets that are measured.

use blitz_train::prelude::*;
use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Int, Tensor};

/// A classifier of 8×8 images into ten classes.
pub trait Classifier: Module {
    /// The logits, `[rows, 10]`.
    fn forward(&self, images: Tensor<4>) -> Tensor<2>;

    /// The mean cross entropy, in nats.
    fn loss(&self, images: Tensor<4>, classes: Tensor<1, Int>) -> Tensor<1> {
        let logits = self.forward(images);
        CrossEntropyLossConfig::new()
            .init(&logits.device())
            .forward(logits, classes)
    }
}

/// 64-64-10.
#[derive(Module, Debug)]
pub struct Perceptron {
    hidden: BayesianLinear,
    out: BayesianLinear,
}

impl Perceptron {
    pub fn new(estimator: Estimator, std: f64, device: &Device) -> Self {
        Self {
            hidden: linear(64, 64, estimator, std, device),
            out: linear(64, 10, estimator, std, device),
        }
    }
}

impl Classifier for Perceptron {
    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        self.out
            .forward(relu(self.hidden.forward(images.flatten(1, 3))))
    }
}

/// Two convolutions of 3×3, to 8 and 16 channels, the second at every other position; the mean over positions; 16-10.
#[derive(Module, Debug)]
pub struct ConvNet {
    first: BayesianConv2d,
    second: BayesianConv2d,
    out: BayesianLinear,
}

impl ConvNet {
    pub fn new(estimator: Estimator, std: f64, device: &Device) -> Self {
        let conv = |channels| {
            BayesianConv2dConfig::new(channels, [3, 3])
                .with_posterior(PosteriorConfig::normal(std))
                .with_estimator(estimator)
        };
        Self {
            first: conv([1, 8]).init(device),
            second: conv([8, 16]).with_stride([2, 2]).init(device),
            out: linear(16, 10, estimator, std, device),
        }
    }
}

impl Classifier for ConvNet {
    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let x = relu(self.first.forward(images));
        let x = relu(self.second.forward(x));
        self.out
            .forward(x.flatten::<3>(2, 3).mean_dim(2).squeeze_dim(2))
    }
}

fn linear(
    d_input: usize,
    d_output: usize,
    estimator: Estimator,
    std: f64,
    device: &Device,
) -> BayesianLinear {
    BayesianLinearConfig::new(d_input, d_output)
        .with_posterior(PosteriorConfig::normal(std))
        .with_estimator(estimator)
        .init(device)
}
