//! What decides a run.

use blitz_train::prelude::*;
use blitz_train::{ConfigError, LikelihoodParam};
use burn::config::Config;

use crate::cli::Cli;
use crate::error::RunError;
use crate::model::RegressorConfig;
use example_support::tabular::{Split, Table};
use example_support::{Digest, check_draws, check_layers};

/// Everything that decides a run, saved beside the model.
#[derive(Config, Debug, PartialEq)]
pub struct RunConfig {
    /// The version of blitz that wrote it.
    pub version: String,
    /// The network.
    pub model: RegressorConfig,
    /// The likelihood.
    pub likelihood: GaussianLikelihoodConfig,
    /// The objective, with the seed.
    pub elbo: ElboConfig,
    /// The digest of all rows, and of which of them test.
    pub rows: String,
    /// The scaling of the features, fitted to the training rows.
    pub inputs: Standardizer,
    /// The scaling of the target, fitted to the training rows.
    pub target: Standardizer,
    /// The initial learning rate.
    pub lr: f64,
    /// Rows in a step.
    pub batch_size: usize,
    /// Passes over the training rows.
    pub epochs: usize,
}

impl RunConfig {
    /// The settings of `cli` for the training rows of `split`.
    pub fn new_for(cli: &Cli, table: &Table, split: &Split) -> Result<Self, RunError> {
        let layers = [[table.n_features, cli.hidden], [cli.hidden, 1]];
        check_layers(layers).map_err(RunError::Setting)?;
        check_draws(cli.predict_samples, split.test.len()).map_err(RunError::Setting)?;
        let elbo = ElboConfig::new(split.train.len())
            .with_samples(cli.samples)
            .with_validation_samples(5)
            .with_beta(BetaSchedule::Constant(cli.beta))
            .with_seed(cli.seed);
        elbo.try_init()
            .map_err(|error: ConfigError| RunError::Setting(error.to_string()))?;
        let (inputs, target) = table.standardizers(&split.train)?;
        Ok(Self {
            version: env!("CARGO_PKG_VERSION").to_string(),
            model: RegressorConfig {
                inputs: table.n_features,
                hidden: cli.hidden,
                prior_std: cli.prior_std,
                initial_std: cli.initial_std,
                estimator: cli.estimator.into(),
            },
            likelihood: GaussianLikelihoodConfig::new().with_noise(LikelihoodParam::Learned(0.5)),
            elbo,
            rows: digest(table, split),
            inputs,
            target,
            lr: cli.lr,
            batch_size: cli.batch_size,
            epochs: cli.epochs,
        })
    }
}

/// Of every number and of the split: rows that were changed may have the same means and deviations.
fn digest(table: &Table, split: &Split) -> String {
    Digest::default()
        .numbers(&table.features)
        .numbers(&table.targets)
        .places(&split.test)
        .text()
}
