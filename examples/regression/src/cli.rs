//! The command line, and what its choices of data and split stand for.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Parser;
use example_support::EstimatorChoice;
use example_support::number::{
    at_least, deviation, draws_of_a_prediction, in_a_terminal, learning_rate, not_negative,
};

use example_support::tabular::{DataError, Split, Table, TableFormat};

/// The share of the rows that a random split tests on, that of the published splits.
const TEST_FRACTION: f64 = 0.1;

/// Trains a Bayesian regressor and reports how far its predictive intervals can be trusted.
///
/// Without options it learns the Boston housing data, which the program carries with it: 13 features, one hidden
/// layer, and a median home value to predict, in thousand dollars.
#[derive(Debug, Clone, Parser)]
#[command(name = "regression", version, args_override_self = true)]
pub struct Cli {
    /// Passes over the training rows.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 400, value_parser = at_least::<1>)]
    pub epochs: usize,

    /// Monte Carlo draws of the weights in one training step.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 3, value_parser = at_least::<1>)]
    pub samples: usize,

    /// Draws of the weights for a prediction.
    ///
    /// The spread of what they predict is the epistemic uncertainty.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 500, value_parser = draws_of_a_prediction)]
    pub predict_samples: usize,

    /// Learning rate at the start; it falls to 0 along a cosine.
    #[arg(long, value_name = "RATE", allow_negative_numbers = true, default_value_t = 3e-3, value_parser = learning_rate)]
    pub lr: f64,

    /// Training rows in one step.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 32, value_parser = at_least::<1>)]
    pub batch_size: usize,

    /// Seed of the initial weights, the draws, the order of the rows and a random split.
    #[arg(
        long,
        value_name = "SEED",
        allow_negative_numbers = true,
        default_value_t = 42
    )]
    pub seed: u64,

    /// Units in the hidden layer.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 512, value_parser = at_least::<1>)]
    pub hidden: usize,

    /// Deviation of the prior over the hidden layer's weights.
    ///
    /// That of the output layer is this divided by the root of the hidden units, so that the prior's functions have the
    /// same size for any number of them.
    #[arg(long, value_name = "STD", allow_negative_numbers = true, default_value_t = 2.0, value_parser = deviation)]
    pub prior_std: f64,

    /// Weight of the KL, relative to the ELBO's own.
    ///
    /// At 1 the posterior of a wide network falls back to its prior on data as few as these; see the README.
    #[arg(long, value_name = "BETA", allow_negative_numbers = true, default_value_t = 0.1, value_parser = not_negative)]
    pub beta: f64,

    /// Deviation that the weights' posteriors start with, divided by the root of the layer's inputs.
    #[arg(long, value_name = "STD", allow_negative_numbers = true, default_value_t = 0.1, value_parser = deviation)]
    pub initial_std: f64,

    /// How the layers are sampled in training.
    #[arg(long, value_enum, default_value_t = EstimatorChoice::Shared)]
    pub estimator: EstimatorChoice,

    /// Learn this table instead of Boston housing.
    ///
    /// Numbers in columns, the target in the last one, with a header line or without.
    #[arg(long, value_name = "FILE.csv")]
    pub data: Option<PathBuf>,

    /// How `--data` is written.
    #[command(flatten)]
    pub format: TableFormat,

    /// Take the splits from this file.
    ///
    /// Each line lists the rows of one test set, counted from 0; all other rows train. `--split` is then a number or
    /// `all`.
    #[arg(long, value_name = "FILE")]
    pub splits_file: Option<PathBuf>,

    /// Which rows to test on [default: 0, or random for data that come without splits].
    ///
    /// A number is a published split, counted from 0; `readme` is the split in BLiTZ's README; `random` is a tenth of
    /// the rows; `all` runs every published split in turn and reports the means. With `--splits-file`, its splits take
    /// the place of the published ones.
    #[arg(
        long,
        value_name = "K|readme|random|all",
        allow_negative_numbers = true
    )]
    pub split: Option<SplitChoice>,

    /// Folder for the plot, the model and the training log.
    #[arg(long, value_name = "DIR", default_value = "runs/regression")]
    pub out: PathBuf,

    /// Burn device to compute on [default: `BURN_DEVICE`, else GPUs before CPUs].
    ///
    /// One of those the program was built for: flex, ndarray, wgpu, vulkan, metal, webgpu, cuda, rocm, cpu, tch,
    /// remote.
    #[arg(long, value_name = "NAME")]
    pub device: Option<String>,

    /// End with one line of JSON instead of the summary and the table.
    #[arg(long)]
    pub json: bool,

    /// Show Burn's dashboard in the terminal while training. There `q` stops it, and Ctrl-C does nothing.
    #[arg(long, conflicts_with = "json", value_parser = in_a_terminal)]
    pub dashboard: bool,

    /// Go on from the last checkpoint in `--out`, with the same settings; `--epochs` may be more than before.
    #[arg(long)]
    pub resume: bool,
}

impl Cli {
    /// The table to learn.
    pub fn table(&self) -> Result<Table, DataError> {
        self.data.as_deref().map_or_else(
            || Ok(Table::boston()),
            |file| Table::read(file, self.format.clone()),
        )
    }

    /// Whether every split there is was asked for, which are summed up then.
    pub fn runs_all_splits(&self) -> bool {
        self.split == Some(SplitChoice::All)
    }

    /// The splits to run, each with the name it has in the report: one, or with `all` every split there is.
    pub fn splits(&self, table: &Table) -> Result<Vec<(String, Split)>, DataError> {
        let n_rows = table.n_rows();
        let has_splits = self.data.is_none() || self.splits_file.is_some();
        let default = if has_splits {
            SplitChoice::Number(0)
        } else {
            SplitChoice::Random
        };
        let choice = self.split.unwrap_or(default);

        let splits = match (choice, &self.splits_file) {
            (SplitChoice::Random | SplitChoice::Readme, Some(_)) => {
                return Err(DataError::NotOfFile {
                    asked: choice.to_string(),
                });
            }
            (SplitChoice::Random, _) => vec![Split::random(n_rows, TEST_FRACTION, self.seed)?],
            (SplitChoice::Readme, _) if self.data.is_none() => vec![Split::readme()],
            (SplitChoice::Number(k), Some(file)) => vec![Split::read(file, k, n_rows)?],
            (SplitChoice::All, Some(file)) => Split::read_all(file, n_rows)?,
            (SplitChoice::Number(k), None) if self.data.is_none() => vec![Split::published(k)?],
            (SplitChoice::All, None) if self.data.is_none() => (0..Split::PUBLISHED)
                .map(Split::published)
                .collect::<Result<_, _>>()?,
            _ => {
                return Err(DataError::NoSplits {
                    data: table.title.clone(),
                    asked: choice.to_string(),
                });
            }
        };
        let name = |k| match choice {
            SplitChoice::All => SplitChoice::Number(k).name(),
            _ => choice.name(),
        };
        Ok(splits
            .into_iter()
            .enumerate()
            .map(|(k, split)| (name(k), split))
            .collect())
    }
}

/// A choice of split, as `--split` takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SplitChoice {
    /// One of the published splits, or of those in `--splits-file`.
    Number(usize),
    /// The split in BLiTZ's README.
    Readme,
    /// A random tenth of the rows for the test.
    Random,
    /// Every published split in turn.
    All,
}

impl SplitChoice {
    fn name(self) -> String {
        match self {
            Self::Number(k) => format!("split {k}"),
            Self::Readme => "README split".into(),
            Self::Random => "random split".into(),
            Self::All => "all splits".into(),
        }
    }
}

impl fmt::Display for SplitChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(k) => write!(f, "{k}"),
            Self::Readme => f.write_str("readme"),
            Self::Random => f.write_str("random"),
            Self::All => f.write_str("all"),
        }
    }
}

impl FromStr for SplitChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "readme" => Ok(Self::Readme),
            "random" => Ok(Self::Random),
            "all" => Ok(Self::All),
            _ => text
                .parse()
                .map(Self::Number)
                .map_err(|_| "not a number counted from 0, `readme`, `random` or `all`".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(arguments: &str) -> Result<Cli, String> {
        let arguments = std::iter::once("regression").chain(arguments.split_whitespace());
        Cli::try_parse_from(arguments).map_err(|error| error.to_string())
    }

    fn splits(arguments: &str) -> Result<Vec<(String, Split)>, String> {
        let cli = parse(arguments)?;
        let table = cli.table().map_err(|error| error.to_string())?;
        cli.splits(&table).map_err(|error| error.to_string())
    }

    #[test]
    fn command_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_option_has_help() {
        let command = Cli::command();
        assert!(
            command
                .get_arguments()
                .all(|argument| argument.get_help().is_some())
        );
    }

    #[test]
    fn values_out_of_range_are_named() {
        for (arguments, reason) in [
            ("--epochs 0", "whole number of at least 1"),
            ("--samples 0", "whole number of at least 1"),
            ("--samples -1", "whole number of at least 1"),
            ("--predict-samples 1", "whole number of at least 2"),
            ("--batch-size 0", "whole number of at least 1"),
            ("--hidden 1.5", "whole number of at least 1"),
            ("--lr 0", "above 0 and at most 1"),
            ("--lr -0.1", "above 0 and at most 1"),
            ("--lr 1.5", "above 0 and at most 1"),
            ("--lr NaN", "above 0 and at most 1"),
            ("--prior-std 0", "finite number of at least 1e-10"),
            ("--prior-std 5e-324", "finite number of at least 1e-10"),
            ("--initial-std inf", "finite number of at least 1e-10"),
            ("--initial-std 1e-30", "finite number of at least 1e-10"),
            ("--beta -1", "finite number of at least 0"),
            ("--split -1", "counted from 0"),
            ("--split train", "counted from 0"),
        ] {
            let (option, value) = arguments.split_once(' ').expect("an option and its value");
            let message = parse(arguments).unwrap_err();
            assert!(
                message.contains(&format!("invalid value '{value}' for '{option}")),
                "{message}"
            );
            assert!(message.contains(reason), "{message}");
        }
    }

    #[test]
    fn values_in_range_are_taken() {
        let cli = parse(
            "--epochs 3 --samples 2 --lr 1e-2 --seed 7 --split 19 --device wgpu --resume --json",
        )
        .unwrap();
        assert_eq!((cli.epochs, cli.samples, cli.lr, cli.seed), (3, 2, 0.01, 7));
        assert_eq!(
            (cli.split, cli.device.as_deref()),
            (Some(SplitChoice::Number(19)), Some("wgpu"))
        );
        assert!(cli.resume && cli.json && !cli.dashboard);
        // What is said of data needs data.
        for option in ["--header no", "--skip-incomplete"] {
            assert!(parse(option).unwrap_err().contains("--data"), "{option}");
        }
        // The dashboard draws over the standard output, of which the last line is to be the JSON.
        assert!(parse("--json --dashboard").is_err());
    }

    #[test]
    fn boston_defaults_to_its_first_published_split() {
        let expected = ("split 0".to_string(), Split::published(0).unwrap());
        assert_eq!(splits("").unwrap(), [expected]);
        assert_eq!(
            splits("--split 19").unwrap()[0].1,
            Split::published(19).unwrap()
        );
        assert_eq!(
            splits("--split readme").unwrap(),
            [("README split".into(), Split::readme())]
        );
        assert_eq!(
            splits("--split random --seed 3").unwrap()[0].1,
            Split::random(506, 0.1, 3).unwrap()
        );
        let all = splits("--split all").unwrap();
        assert_eq!((all.len(), all[19].0.as_str()), (20, "split 19"));
        assert!(
            splits("--split 20")
                .unwrap_err()
                .contains("there is no split 20")
        );
    }

    #[test]
    fn other_data_split_at_random_or_by_their_own_file() {
        let folder = tempfile::tempdir().unwrap();
        let (data, file) = (
            folder.path().join("data.csv"),
            folder.path().join("splits.txt"),
        );
        std::fs::write(&data, "1,2\n".repeat(20)).unwrap();
        std::fs::write(&file, "0 1\n2\n").unwrap();
        let data = format!("--data {}", data.display());
        let with_file = format!("{data} --splits-file {}", file.display());

        assert_eq!(
            splits(&data).unwrap(),
            [("random split".into(), Split::random(20, 0.1, 42).unwrap())]
        );
        assert_eq!(splits(&with_file).unwrap()[0].1.test, [0, 1]);
        assert_eq!(
            splits(&format!("{with_file} --split 1")).unwrap()[0].1.test,
            [2]
        );
        assert_eq!(
            splits(&format!("{with_file} --split all")).unwrap().len(),
            2
        );
        for asked in ["random", "readme"] {
            let message = splits(&format!("{with_file} --split {asked}")).unwrap_err();
            assert!(
                message.starts_with(&format!("`--split {asked}` is no split of a file")),
                "{message}"
            );
        }
        for asked in ["3", "readme", "all"] {
            let message = splits(&format!("{data} --split {asked}")).unwrap_err();
            assert!(
                message.starts_with(&format!("`--split {asked}`"))
                    && message.contains("--splits-file"),
                "{message}"
            );
        }
        // A file of splits for more rows than the table has is refused, not cut off.
        std::fs::write(&file, "20\n").unwrap();
        assert!(
            splits(&with_file)
                .unwrap_err()
                .contains("there is no row 20, the data have 20 rows")
        );
    }
}
