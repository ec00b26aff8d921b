//! The command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use example_support::number::{at_least, deviation, not_negative};
use example_support::tabular::Format;
use example_support::{EstimatorChoice, TrainingArgs};

/// Forecasts a time series one step ahead with a Bayesian LSTM, and reports how far its intervals can be trusted.
///
/// The last fifth of the series is held out; each of its values is forecast from the measured values before it.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "lstm-timeseries",
    version,
    args_override_self = true,
    mut_arg("lr", |arg| arg.default_value("5e-3"))
)]
pub struct Cli {
    /// The series to forecast, of those that the program carries.
    // clap takes what requires `--data` beside what conflicts with it.
    #[arg(long, value_enum, default_value_t = SeriesChoice::Co2, conflicts_with_all = ["header", "separator", "decimal_comma", "missing"])]
    pub series: SeriesChoice,

    /// Forecast this series instead: a column of values, or times and values, with a header or without.
    ///
    /// Times are numbers, or dates written yyyy-mm-dd or yyyymmdd; whole numbers of eight digits are dates where most
    /// of them are days. Rows are put in the order of their times, which are equally spaced: a time that is left out,
    /// an empty value and, in a file without times, a blank line are gaps.
    #[arg(long, value_name = "FILE.csv", conflicts_with = "series")]
    pub data: Option<PathBuf>,

    /// How `--data` is written.
    #[command(flatten)]
    pub format: Format,

    /// Values that a forecast looks back on [default: 52 for co2, 33 for sunspots, 20 for a file].
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = at_least::<2>)]
    pub window: Option<usize>,

    /// Units of the LSTM.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 32, value_parser = at_least::<1>)]
    pub hidden: usize,

    /// Deviation of the prior.
    #[arg(long, value_name = "STD", allow_negative_numbers = true, default_value_t = 0.3, value_parser = deviation)]
    pub prior_std: f64,

    /// Deviation that the posteriors start with.
    #[arg(long, value_name = "STD", allow_negative_numbers = true, default_value_t = 0.02, value_parser = deviation)]
    pub initial_std: f64,

    /// Weight of the KL, relative to the ELBO's own.
    #[arg(long, value_name = "BETA", allow_negative_numbers = true, default_value_t = 1.0, value_parser = not_negative)]
    pub beta: f64,

    /// How the layers are sampled in training.
    #[arg(long, value_enum, default_value_t = EstimatorChoice::Flipout)]
    pub estimator: EstimatorChoice,

    #[command(flatten)]
    pub training: TrainingArgs,
}

/// A shipped series, as `--series` takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SeriesChoice {
    /// Weekly CO₂ at Mauna Loa, 1958 to 2001.
    Co2,
    /// Yearly sunspot numbers, 1700 to 2008.
    Sunspots,
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
            ("--window 1", "whole number of at least 2"),
            ("--hidden 0", "whole number of at least 1"),
            (
                "--estimator local --initial-std -1",
                "finite number of at least 1e-10",
            ),
            ("--initial-std 1e-31", "finite number of at least 1e-10"),
            ("--prior-std 5e-324", "finite number of at least 1e-10"),
            ("--header no", "--data"),
            ("--series sunspots --missing NA", "cannot be used with"),
            ("--series stocks", "possible values: co2, sunspots"),
        ]);
    }
}
