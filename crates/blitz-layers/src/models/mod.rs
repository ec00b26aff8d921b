//! Well-known networks made of Bayesian layers.

mod lenet;
mod vgg;

pub use lenet::{LeNet, LeNetConfig};
pub use vgg::{Vgg, VggBlock, VggConfig, VggConvolution, VggDepth};

use blitz_core::{PosteriorConfig, PriorConfig};
use burn::nn::Initializer;

use crate::conv::BayesianConv2dConfig;
use crate::{BayesianLinearConfig, Estimator};

/// What all layers of a network have in common.
struct Weights<'a> {
    posterior: &'a PosteriorConfig,
    prior: &'a PriorConfig,
    estimator: Estimator,
    initializer: Initializer,
}

impl Weights<'_> {
    fn conv(&self, channels: [usize; 2], kernel_size: [usize; 2]) -> BayesianConv2dConfig {
        BayesianConv2dConfig::new(channels, kernel_size)
            .with_initializer(self.initializer.clone())
            .with_posterior(self.posterior.clone())
            .with_prior(self.prior.clone())
            .with_estimator(self.estimator)
    }

    fn linear(&self, d_input: usize, d_output: usize) -> BayesianLinearConfig {
        BayesianLinearConfig::new(d_input, d_output)
            .with_initializer(self.initializer.clone())
            .with_posterior(self.posterior.clone())
            .with_prior(self.prior.clone())
            .with_estimator(self.estimator)
    }
}
