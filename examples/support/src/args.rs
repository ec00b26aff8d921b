//! The options that every training has.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use blitz_train::blitz_core::device;
use blitz_train::prelude::{BetaSchedule, Estimator};
use burn::tensor::Device;
use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::classification::Settings;
use crate::number::{
    at_least, draws_of_a_prediction, draws_of_a_step, in_a_terminal, learning_rate,
};
use crate::{RunError, RunFolder, check_draws};

/// The options that every training has; flatten them into a command line, which may change their defaults by `mut_arg`.
#[derive(Debug, Clone, Args)]
pub struct TrainingArgs {
    /// Passes over the training set.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 20, value_parser = at_least::<1>)]
    pub epochs: usize,

    /// Examples in one step.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 32, value_parser = at_least::<1>)]
    pub batch_size: usize,

    /// Learning rate at the start; it falls to 0 along a cosine.
    #[arg(long, value_name = "RATE", allow_negative_numbers = true, default_value_t = 2e-3, value_parser = learning_rate)]
    pub lr: f64,

    /// Seed of the initial weights, the draws and the order of the examples.
    #[arg(
        long,
        value_name = "SEED",
        allow_negative_numbers = true,
        default_value_t = 42
    )]
    pub seed: u64,

    /// Monte Carlo draws of the weights in one training step.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 1, value_parser = draws_of_a_step)]
    pub samples: usize,

    /// Draws of the weights for a prediction.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 100, value_parser = draws_of_a_prediction)]
    pub predict_samples: usize,

    /// Where it runs, and what of it stays.
    #[command(flatten)]
    pub run: RunArgs,

    /// Show Burn's dashboard in the terminal while training. There `q` stops it, and Ctrl-C does nothing.
    #[arg(long, conflicts_with = "json", value_parser = in_a_terminal)]
    pub dashboard: bool,
}

impl TrainingArgs {
    /// How to train a classifier, with the KL weighted by `beta`.
    pub fn settings(&self, beta: f64) -> Settings {
        Settings {
            epochs: self.epochs,
            batch_size: self.batch_size,
            lr: self.lr,
            samples: self.samples,
            beta: BetaSchedule::Constant(beta),
            seed: self.seed,
            dashboard: self.dashboard,
        }
    }

    /// Refuses more draws than there is memory for, each of so many numbers.
    pub fn check_draws(&self, numbers: usize) -> Result<(), RunError> {
        check_draws(self.predict_samples, numbers).map_err(RunError::Setting)
    }
}

/// The options that every program with a folder for each run has.
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    /// Folder for this and later runs; each gets a numbered folder of its own in it [default: runs/ and the program's
    /// name].
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// Burn device to compute on [default: `BURN_DEVICE`, else GPUs before CPUs].
    ///
    /// One of those the program was built for: flex, ndarray, wgpu, vulkan, metal, webgpu, cuda, rocm, cpu, tch,
    /// remote.
    #[arg(long, value_name = "NAME")]
    pub device: Option<String>,

    /// End with one line of JSON instead of the table.
    #[arg(long)]
    pub json: bool,
}

impl RunArgs {
    /// The device to compute on.
    pub fn device(&self) -> Result<Device, RunError> {
        Ok(device::choose(self.device.as_deref())?)
    }

    /// A new folder for a run of `program`.
    pub fn folder(&self, program: &str) -> Result<RunFolder, RunError> {
        let default = || Path::new("runs").join(program);
        RunFolder::next(&self.out.clone().unwrap_or_else(default))
    }

    /// A report as one line of JSON, or as text to read.
    ///
    /// Its paths have to be serialized by [`as_text`](crate::as_text).
    pub fn present(&self, report: &(impl Serialize + Display)) -> String {
        present(report, self.json)
    }
}

/// What an option that may be repeated has chosen, each once, or else all that there is.
pub fn chosen_or_all<T: Copy + PartialEq>(chosen: &[T], all: &[T]) -> Vec<T> {
    let mut each_once = Vec::new();
    for one in if chosen.is_empty() { all } else { chosen } {
        if !each_once.contains(one) {
            each_once.push(*one);
        }
    }
    each_once
}

/// A report as one line of JSON, or as text to read.
///
/// Its paths have to be serialized by [`as_text`](crate::as_text).
pub fn present(report: &(impl Serialize + Display), json: bool) -> String {
    if json {
        serde_json::to_string(report).unwrap_or_else(|_| unreachable!("numbers and text"))
    } else {
        report.to_string()
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_chosen_twice_is_there_once() {
        assert_eq!(chosen_or_all(&[0.9, 0.0, 0.9], &[1.0]), [0.9, 0.0]);
        assert_eq!(chosen_or_all(&[], &["map", "laplace"]), ["map", "laplace"]);
    }
}
