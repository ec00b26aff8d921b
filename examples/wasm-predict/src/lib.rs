//! A small Bayesian regressor, what it predicts, and its interface for a host of WebAssembly. The program in `main.rs`,
//! which is native, trains it.

mod prediction;
#[cfg(target_family = "wasm")]
mod wasm;

pub use prediction::{DRAWS, Error, NOISE, Prediction, SEED, inputs, noise, predict};

use blitz_train::blitz_layers::moments::{ForwardMoments, Moments};
use blitz_train::prelude::*;
use burn::module::Module;
use burn::nn::Tanh;
use burn::tensor::{Device, Tensor};

/// The number of training examples.
pub const EXAMPLES: usize = 200;

/// One hidden layer, from one number to one number.
#[derive(Module, Debug)]
pub struct Net {
    hidden: BayesianLinear,
    activation: Tanh,
    output: BayesianLinear,
}

impl Network for Net {
    type Input = Tensor<2>;
    type Output = Tensor<2>;

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let hidden = self.activation.forward(self.hidden.forward(x));
        self.output.forward(hidden)
    }
}

/// For predictions in one pass.
impl ForwardMoments<Moments<2>> for Net {
    type Output = Moments<2>;

    fn forward_moments(&self, x: Moments<2>) -> Moments<2> {
        let hidden = self.hidden.forward_moments(x);
        self.output
            .forward_moments(self.activation.forward_moments(hidden))
    }
}

/// The network with its likelihood, as it is trained, saved and loaded.
pub type Model = ElboModel<Net, GaussianLikelihood>;

/// A new model.
pub fn model(device: &Device) -> Model {
    const HIDDEN: usize = 32;
    let net = Net {
        hidden: BayesianLinearConfig::new(1, HIDDEN)
            .with_prior(PriorConfig::normal(2.0))
            .init(device),
        activation: Tanh::new(),
        output: BayesianLinearConfig::new(HIDDEN, 1)
            .with_prior(PriorConfig::normal(2.0 / (HIDDEN as f64).sqrt()))
            .init(device),
    };
    ElboModel::new(
        net,
        GaussianLikelihoodConfig::new()
            .with_noise(LikelihoodParam::Fixed(0.1))
            .init(device),
        ElboConfig::new(EXAMPLES).with_samples(3).init(),
    )
}
