//! The command line.

use std::path::PathBuf;

use clap::builder::ArgPredicate;
use clap::{Parser, ValueEnum};
use example_support::number::{at_least, deviation, not_negative};
use example_support::{EstimatorChoice, TrainingArgs, digits};

/// Trains a Bayesian LeNet-5 or perceptron on digits and compares its error and calibration with its deterministic
/// twin's.
///
/// Without options it learns the 1,797 digits of 8×8 pixels that the program carries with it. For MNIST, name a folder
/// with its four IDX files; the defaults are then 10 epochs and 128 images a batch.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "mnist",
    version,
    args_override_self = true,
    mut_arg("epochs", |arg| arg.default_value("30").default_value_if("data", ArgPredicate::IsPresent, digits::MNIST_EPOCHS)),
    mut_arg("batch_size", |arg| arg.default_value("64").default_value_if("data", ArgPredicate::IsPresent, digits::MNIST_BATCH)),
    mut_arg("lr", |arg| arg.default_value(digits::LEARNING_RATE))
)]
pub struct Cli {
    /// Learn the digits that the program carries, as it does without options.
    #[arg(long, conflicts_with = "data")]
    pub digits: bool,

    /// Folder with MNIST's four IDX files, packed (`.gz`) or not, in place of the shipped digits.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,

    /// Train on the first so many images only.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = at_least::<1>)]
    pub limit: Option<usize>,

    /// Report on the last fifth of the training images, kept out of the training, instead of the test images.
    ///
    /// To choose settings by.
    #[arg(long)]
    pub validate: bool,

    /// The network.
    #[arg(long, value_enum, default_value_t = NetChoice::Lenet5)]
    pub net: NetChoice,

    /// The prior of the weights.
    #[arg(long, value_enum, default_value_t = PriorChoice::Learned)]
    pub prior: PriorChoice,

    /// Deviation of the normal prior, where a learned one starts, or of the scale mixture's wide component.
    #[arg(long, value_name = "STD", allow_negative_numbers = true, default_value_t = 0.1, value_parser = deviation)]
    pub prior_std: f64,

    /// Deviation that the posteriors start with.
    #[arg(long, value_name = "STD", allow_negative_numbers = true, default_value_t = digits::INITIAL_STD, value_parser = deviation)]
    pub initial_std: f64,

    /// Weight of the KL, relative to the ELBO's own [default: 0.1 with `--data`, 0.03 for the shipped digits].
    #[arg(long, value_name = "BETA", allow_negative_numbers = true, value_parser = not_negative)]
    pub beta: Option<f64>,

    /// Report what is left when the weights of the least signal to noise are removed: 50, 75, 95 and 98 %.
    #[arg(long)]
    pub prune: bool,

    /// How the layers are sampled in training.
    #[arg(long, value_enum, default_value_t = digits::ESTIMATOR)]
    pub estimator: EstimatorChoice,

    #[command(flatten)]
    pub training: TrainingArgs,
}

/// A network, as `--net` takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum NetChoice {
    /// LeNet-5.
    Lenet5,
    /// Two hidden layers of 400 rectified units, as in Blundell et al. (2015).
    Mlp400,
    /// Two of 1200.
    Mlp1200,
}

/// A prior, as `--prior` takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PriorChoice {
    /// Normal, with `--prior-std`.
    Normal,
    /// Normal, each layer learning its deviation, from `--prior-std` (empirical Bayes).
    Learned,
    /// Blundell's mixture of two normals with equal weights: `--prior-std`, and e^-7 or half of `--prior-std` if that
    /// is less.
    Mixture,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use example_support::program::{assert_has_help, assert_refused};

    use super::*;

    #[test]
    fn command_is_consistent_and_every_option_has_help() {
        assert_has_help(Cli::command());
    }

    #[test]
    fn values_out_of_range_are_named() {
        assert_refused::<Cli>(&[
            ("--epochs 0", "whole number of at least 1"),
            ("--predict-samples 1", "whole number of at least 2"),
            ("--lr 2", "above 0 and at most 1"),
            ("--prior-std 0", "finite number of at least 1e-10"),
            ("--prior mixture --prior-std 5e-324", "at least 1e-10"),
            ("--initial-std 1e-31", "at least 1e-10"),
            ("--beta -1", "finite number of at least 0"),
            ("--limit 0", "whole number of at least 1"),
        ]);
    }
}
