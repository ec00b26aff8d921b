//! The command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use example_support::number::{at_least, deviation, not_negative};
use example_support::{EstimatorChoice, TrainingArgs};

/// Trains a Bayesian VGG network on CIFAR-10 and compares its error and calibration with its deterministic twin's.
///
/// Without `--data` it draws itself a stand-in, four kinds of patterns, to show that it runs.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "vgg-cifar10",
    version,
    args_override_self = true,
    mut_arg("epochs", |arg| arg.default_value("6"))
)]
pub struct Cli {
    /// Folder with CIFAR-10's binary version: data_batch_1.bin to data_batch_5.bin and test_batch.bin.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,

    /// Train on the first so many images only [default: all; 600 of the stand-in].
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = at_least::<1>)]
    pub limit: Option<usize>,

    /// The network of the VGG family.
    #[arg(long, value_enum, default_value_t = Depth::Vgg11)]
    pub net: Depth,

    /// Leave the batch norms out.
    #[arg(long)]
    pub no_batch_norm: bool,

    /// Channels of the first block, which the later ones multiply by 2, 4, 8 and 8: 64 in the paper.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 8, value_parser = at_least::<1>)]
    pub width: usize,

    /// Units of the two hidden linear layers: 4096 in the paper.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 64, value_parser = at_least::<1>)]
    pub hidden: usize,

    /// Deviation of the normal prior.
    #[arg(long, value_name = "STD", allow_negative_numbers = true, default_value_t = 0.1, value_parser = deviation)]
    pub prior_std: f64,

    /// Deviation that the posteriors start with.
    #[arg(long, value_name = "STD", allow_negative_numbers = true, default_value_t = 0.01, value_parser = deviation)]
    pub initial_std: f64,

    /// Weight of the KL, relative to the ELBO's own.
    #[arg(long, value_name = "BETA", allow_negative_numbers = true, default_value_t = 0.1, value_parser = not_negative)]
    pub beta: f64,

    /// How the layers are sampled in training.
    #[arg(long, value_enum, default_value_t = EstimatorChoice::Flipout)]
    pub estimator: EstimatorChoice,

    #[command(flatten)]
    pub training: TrainingArgs,
}

/// A depth, as `--net` takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Depth {
    /// 8 convolutions.
    Vgg11,
    /// 10 convolutions.
    Vgg13,
    /// 13 convolutions.
    Vgg16,
    /// 16 convolutions.
    Vgg19,
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
            ("--initial-std 1e-31", "finite number of at least 1e-10"),
            ("--prior-std 5e-324", "finite number of at least 1e-10"),
        ]);
    }
}
