//! The network: Burn's, with `BayesianLinear` in the place of `Linear`.

use blitz_train::prelude::*;
use burn::config::Config;
use burn::module::Module;
use burn::nn::Relu;
use burn::tensor::{Device, Tensor};

/// Configuration of the [`Regressor`].
#[derive(Config, Debug, PartialEq)]
pub struct RegressorConfig {
    /// Features.
    pub inputs: usize,
    /// Units in the hidden layer.
    pub hidden: usize,
    /// The prior's deviation for the weights of the hidden layer; those of the output layer, which adds up all hidden
    /// units, have it divided by the root of their number.
    pub prior_std: f64,
    /// The deviation that every weight starts with, divided by the root of the layer's inputs.
    pub initial_std: f64,
    /// How the layers are sampled in training.
    pub estimator: Estimator,
}

impl RegressorConfig {
    /// The network.
    pub fn init(&self, device: &Device) -> Regressor {
        let layer = |inputs: usize, outputs: usize, prior_std: f64| {
            let initial_std = self.initial_std / (inputs as f64).sqrt();
            BayesianLinearConfig::new(inputs, outputs)
                .with_prior(PriorConfig::normal(prior_std))
                .with_posterior(PosteriorConfig::normal(initial_std))
                .with_estimator(self.estimator)
                .init(device)
        };
        Regressor {
            hidden: layer(self.inputs, self.hidden, self.prior_std),
            activation: Relu::new(),
            output: layer(self.hidden, 1, self.prior_std / (self.hidden as f64).sqrt()),
        }
    }
}

/// One hidden layer.
#[derive(Module, Debug)]
pub struct Regressor {
    hidden: BayesianLinear,
    activation: Relu,
    output: BayesianLinear,
}

impl Network for Regressor {
    type Input = Tensor<2>;
    type Output = Tensor<2>;

    fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        let hidden = self.activation.forward(self.hidden.forward(input));
        self.output.forward(hidden)
    }
}
