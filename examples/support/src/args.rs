//! The options that every training has.

use std::path::PathBuf;

use blitz_train::prelude::Estimator;
use clap::{Args, ValueEnum};

use crate::number::at_least;

/// The options that every training has; flatten them into a command line.
#[derive(Debug, Clone, Args)]
pub struct TrainingArgs {
    /// Seed of the initial weights, the draws and the order of the examples.
    #[arg(long, value_name = "SEED", default_value_t = 42)]
    pub seed: u64,

    /// Monte Carlo draws of the weights in one training step.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 1, value_parser = at_least::<1>)]
    pub samples: usize,

    /// Draws of the weights for a prediction.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 100, value_parser = at_least::<2>)]
    pub predict_samples: usize,

    /// How the layers are sampled in training.
    #[arg(long, value_enum, default_value_t = EstimatorChoice::Flipout)]
    pub estimator: EstimatorChoice,

    /// Folder for this and later runs; each gets a numbered folder of its own in it [default: runs/ and the program's name].
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// Burn device to compute on [default: `BURN_DEVICE`, else GPUs before CPUs].
    ///
    /// One of those the program was built for: flex, ndarray, wgpu, vulkan, metal, cuda, rocm, cpu.
    #[arg(long, value_name = "NAME")]
    pub device: Option<String>,

    /// End with one line of JSON instead of the table.
    #[arg(long)]
    pub json: bool,

    /// Show Burn's dashboard in the terminal while training.
    #[arg(long, conflicts_with = "json")]
    pub dashboard: bool,
}

/// An estimator, as `--estimator` takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EstimatorChoice {
    /// One sample of the weights for a whole batch.
    Shared,
    /// Local reparameterization: each row has noise of its own.
    Local,
    /// Flipout: each row has its own signs of the perturbation.
    Flipout,
}

impl From<EstimatorChoice> for Estimator {
    fn from(choice: EstimatorChoice) -> Self {
        match choice {
            EstimatorChoice::Shared => Self::SharedWeights,
            EstimatorChoice::Local => Self::LocalReparameterization,
            EstimatorChoice::Flipout => Self::Flipout,
        }
    }
}
