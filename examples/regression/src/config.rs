//! What decides a run, and the folder that keeps it.

use std::path::Path;

use blitz_train::prelude::*;
use blitz_train::{ConfigError, NoiseLevel};
use burn::config::Config;

use crate::cli::Cli;
use crate::data::{Split, Standardizer, Table};
use crate::error::RunError;
use crate::model::RegressorConfig;

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
        let elbo = ElboConfig::new(split.train.len())
            .with_samples(cli.samples)
            .with_validation_samples(5)
            .with_beta(BetaSchedule::Constant(cli.beta))
            .with_seed(cli.seed);
        elbo.try_init()
            .map_err(|error: ConfigError| RunError::Setting(error.to_string()))?;
        Ok(Self {
            version: env!("CARGO_PKG_VERSION").to_string(),
            model: RegressorConfig {
                inputs: table.n_features,
                hidden: cli.hidden,
                prior_std: cli.prior_std,
                initial_std: cli.initial_std,
                estimator: cli.estimator.into(),
            },
            likelihood: GaussianLikelihoodConfig::new().with_noise(NoiseLevel::Learned(0.5)),
            elbo,
            inputs: Standardizer::fit(&table.features_of(&split.train), table.n_features),
            target: Standardizer::fit(&table.targets_of(&split.train), 1),
            lr: cli.lr,
            batch_size: cli.batch_size,
            epochs: cli.epochs,
        })
    }

    /// Readies the folder `out` and returns the epoch to resume from, if asked to resume.
    ///
    /// Resuming takes the settings of the folder's training, no others. A new training in a folder that holds checkpoints puts
    /// these aside as `checkpoint.previous`, so that it never resumes from them by mistake.
    pub fn prepare(&self, out: &Path, resume: bool) -> Result<Option<usize>, RunError> {
        let not_writable = |reason| RunError::NotWritable {
            path: out.to_path_buf(),
            reason,
        };
        std::fs::create_dir_all(out).map_err(not_writable)?;
        let file = out.join("config.json");
        let checkpoints = out.join("checkpoint");
        if !resume {
            if checkpoints.exists() {
                let previous = out.join("checkpoint.previous");
                if previous.exists() {
                    std::fs::remove_dir_all(&previous).map_err(not_writable)?;
                }
                std::fs::rename(&checkpoints, previous).map_err(not_writable)?;
            }
            self.save(&file).map_err(not_writable)?;
            return Ok(None);
        }
        let epoch = last_checkpoint(&checkpoints).ok_or_else(|| RunError::NoCheckpoint {
            path: out.to_path_buf(),
        })?;
        // As JSON values: a float need not survive a round trip to the last bit, but the same text parses alike.
        let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text);
        let saved = std::fs::read_to_string(&file)
            .map_err(|error| error.to_string())
            .and_then(|text| parse(&text).map_err(|error| error.to_string()))
            .map_err(|reason| RunError::Config {
                path: file.clone(),
                reason,
            })?;
        if parse(&self.to_string()).ok() != Some(saved) {
            return Err(RunError::OtherSettings {
                path: out.to_path_buf(),
            });
        }
        Ok(Some(epoch))
    }
}

/// The last epoch whose model, optimizer and learning rate were all saved.
fn last_checkpoint(folder: &Path) -> Option<usize> {
    let epoch = |entry: std::io::Result<std::fs::DirEntry>| -> Option<usize> {
        let name = entry.ok()?.file_name().into_string().ok()?;
        let epoch = name.strip_prefix("model-")?.strip_suffix(".bpk")?;
        epoch.parse().ok()
    };
    let complete = |epoch: &usize| {
        ["optim", "scheduler"]
            .iter()
            .all(|part| folder.join(format!("{part}-{epoch}.bpk")).exists())
    };
    let epochs = std::fs::read_dir(folder).ok()?.filter_map(epoch);
    epochs.filter(complete).max()
}
