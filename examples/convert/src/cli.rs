//! The command line.

use std::path::PathBuf;

use clap::Parser;
use example_support::TrainingArgs;
use example_support::number::{at_least, deviation, not_negative, positive};

/// Makes a trained deterministic network Bayesian, and reports what that does to its calibration.
///
/// The network is made of Burn's own layers and knows nothing of blitz. Without options it is first trained, on the
/// digits that the program carries.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "convert",
    version,
    args_override_self = true,
    mut_arg("epochs", |arg| arg.default_value("40")
        .help("Passes over the training images for the deterministic network, and for the one that is Bayesian from scratch")),
    mut_arg("batch_size", |arg| arg.default_value("50"))
)]
pub struct Cli {
    /// Folder with MNIST's four IDX files, packed (`.gz`) or not, in place of the shipped digits.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,

    /// Train on the first so many images only.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 500, value_parser = at_least::<1>)]
    pub limit: usize,

    /// Trained weights to convert in place of training them here: a Burn record (.bpk), .safetensors, or PyTorch's .pt.
    ///
    /// Files of PyTorch's conventions must name and shape the tensors as the network does: conv1, conv2, hidden,
    /// output.
    #[arg(long, value_name = "FILE")]
    pub checkpoint: Option<PathBuf>,

    /// Passes over the training images after the conversion.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 20, value_parser = at_least::<1>)]
    pub fine_tune: usize,

    /// MOPED's δ: the deviation of a weight as a share of the weight.
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true, default_value_t = 0.3, value_parser = positive)]
    pub delta: f64,

    /// Deviation of the prior around the trained weights.
    #[arg(long, value_name = "STD", allow_negative_numbers = true, default_value_t = 0.1, value_parser = deviation)]
    pub prior_std: f64,

    /// Weight of the KL, relative to the ELBO's own.
    #[arg(long, value_name = "BETA", allow_negative_numbers = true, default_value_t = 1.0, value_parser = not_negative)]
    pub beta: f64,

    #[command(flatten)]
    pub training: TrainingArgs,
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
    fn what_would_say_nothing_is_refused() {
        assert_refused::<Cli>(&[
            // Whatever is converted has MOPED's own way to draw.
            ("--estimator shared", "unexpected argument '--estimator'"),
            ("--prior-std 5e-324", "finite number of at least 1e-10"),
        ]);
    }
}
