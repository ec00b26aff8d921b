//! The networks: LeNet-5, which `blitz-layers` has ready, and Blundell's perceptron of two hidden layers.

use blitz_train::blitz_layers::models::{LeNet, LeNetConfig};
use blitz_train::prelude::*;
use burn::module::Module;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

use crate::cli::{Cli, PriorChoice};

/// The posterior, the prior and the estimator of every layer.
#[derive(Debug, Clone)]
pub struct Bayes {
    /// The posterior.
    pub posterior: PosteriorConfig,
    /// The prior.
    pub prior: PriorConfig,
    /// The estimator.
    pub estimator: Estimator,
}

impl From<&Cli> for Bayes {
    fn from(cli: &Cli) -> Self {
        // In the middle of the paper's grid, but narrower than the wide one.
        let narrow = (-7f64).exp().min(cli.prior_std / 2.0);
        Self {
            posterior: PosteriorConfig::normal(cli.initial_std),
            prior: match cli.prior {
                PriorChoice::Normal => PriorConfig::normal(cli.prior_std),
                PriorChoice::Learned => PriorConfig::learned_normal(cli.prior_std),
                PriorChoice::Mixture => PriorConfig::scale_mixture(0.5, cli.prior_std, narrow),
            },
            estimator: cli.estimator.into(),
        }
    }
}

/// A new LeNet-5.
pub fn lenet(bayes: &Bayes, classes: usize, device: &Device) -> LeNet {
    LeNetConfig::new(classes)
        .with_posterior(bayes.posterior.clone())
        .with_prior(bayes.prior.clone())
        .with_estimator(bayes.estimator)
        .init(device)
}

/// Pixels → units → units → classes.
#[derive(Module, Debug)]
pub struct Mlp {
    hidden: [BayesianLinear; 2],
    output: BayesianLinear,
}

impl Mlp {
    /// A new network with these numbers of pixels, hidden units and classes.
    pub fn new(bayes: &Bayes, [pixels, units, classes]: [usize; 3], device: &Device) -> Self {
        let layer = |inputs, outputs| {
            BayesianLinearConfig::new(inputs, outputs)
                .with_posterior(bayes.posterior.clone())
                .with_prior(bayes.prior.clone())
                .with_estimator(bayes.estimator)
                .init(device)
        };
        Self {
            hidden: [layer(pixels, units), layer(units, units)],
            output: layer(units, classes),
        }
    }
}

impl Network for Mlp {
    type Input = Tensor<4>;
    type Output = Tensor<2>;

    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let pixels: Tensor<2> = images.flatten(1, 3);
        let hidden = self.hidden.iter();
        let features = hidden.fold(pixels, |x, layer| relu(layer.forward(x)));
        self.output.forward(features)
    }
}
