//! The command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use example_support::RunArgs;
use example_support::number::{at_least, draws_of_a_prediction};
use serde::Serialize;

use crate::data::LEAST_LABELS;

/// Fine-tunes a trained transformer by LoRA on a few labels, and asks each method how sure it is.
///
/// Without options it trains a small transformer on the digits 0 to 4 and fine-tunes it on 5 to 8, of which it gets 20
/// labels each: about a minute. MiniLM-L6 takes the place of the small one with `--model` and `--data`; `get_model.sh`
/// puts it into a folder.
#[derive(Debug, Clone, Parser)]
#[command(name = "finetune", version, args_override_self = true)]
pub struct Cli {
    /// Folder with MiniLM-L6, or another BERT: model.safetensors, config.json, tokenizer.json.
    #[arg(long, value_name = "DIR", requires = "data")]
    pub model: Option<PathBuf>,

    /// Texts to learn: a table with a line `split, section, text`, separated by tabs; the splits are train, test, near
    /// and far. The sections of train are the classes; those of near and far are others.
    #[arg(long, value_name = "FILE", requires = "model")]
    pub data: Option<PathBuf>,

    /// A method; several are named one after the other [default: all].
    #[arg(long, value_enum, value_name = "NAME")]
    pub method: Vec<Method>,

    /// Labels of each class, or all of one that has fewer.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 20, value_parser = at_least::<LEAST_LABELS>)]
    pub labels_per_class: usize,

    /// Repetitions, each with labels, adapters and draws of its own.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 1, value_parser = at_least::<1>)]
    pub seeds: usize,

    /// The first seed.
    #[arg(
        long,
        value_name = "SEED",
        allow_negative_numbers = true,
        default_value_t = 0
    )]
    pub seed: u64,

    /// Layers with adapters, from the last one down; those below stay as they are.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 2, value_parser = at_least::<1>)]
    pub layers: usize,

    /// Rank of the adapters.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 8, value_parser = at_least::<1>)]
    pub rank: usize,

    /// Training steps, of 32 examples each.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 300, value_parser = at_least::<1>)]
    pub steps: usize,

    /// Passes over the digits 0 to 4.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 20, value_parser = at_least::<1>, conflicts_with_all = ["model", "tokens"])]
    pub pretrain_epochs: usize,

    /// Tokens of a text; what is beyond is cut off.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 64, value_parser = at_least::<4>, requires = "model")]
    pub tokens: usize,

    /// Draws of a prediction.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 20, value_parser = draws_of_a_prediction)]
    pub draws: usize,

    /// Score an adapter that an earlier run saved, in the place of training: what is said of labels, steps and draws
    /// has no part in it. It has to be of the same model, tokenizer and classes.
    #[arg(long, value_name = "FILE", conflicts_with = "method")]
    pub adapter: Option<PathBuf>,

    /// Folder in which the scores of each finished method are kept, for a run that may be killed and go on [default:
    /// none].
    #[arg(long, value_name = "DIR", conflicts_with = "adapter")]
    pub keep: Option<PathBuf>,

    /// Where it runs, and what of it stays.
    #[command(flatten)]
    pub run: RunArgs,
}

impl Cli {
    /// The seed of each repetition, which follow one another; after the largest comes 0. None with a saved adapter,
    /// which needs no labels.
    pub fn repetitions(&self) -> Vec<u64> {
        let count = match self.adapter {
            Some(_) => 0,
            None => self.seeds as u64,
        };
        (0..count).map(|at| self.seed.wrapping_add(at)).collect()
    }

    /// The methods that were asked for, in the order of the report.
    pub fn methods(&self) -> Vec<Method> {
        let all = Method::value_variants().iter().copied();
        all.filter(|method| self.method.is_empty() || self.method.contains(method))
            .collect()
    }
}

/// A way to a predictive distribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Adapters and head, trained once.
    Lora,
    /// The same with a temperature.
    Temperature,
    /// Dropout after each layer that goes on in prediction.
    McDropout,
    /// Five adapters from different starts.
    Ensemble,
    /// A posterior on one factor of each adapter, by the ELBO.
    Blob,
    /// IVON on the factors.
    Ivon,
    /// The widest posterior about the trained adapters that leaves the loss as it is.
    Tfb,
    /// A Laplace approximation of the head.
    Laplace,
    /// A Laplace approximation of adapters and head, and the network linearised in them.
    LaplaceLora,
}

impl Method {
    /// As `--method` has it.
    pub fn id(self) -> String {
        self.to_possible_value()
            .map_or_else(String::new, |value| value.get_name().into())
    }

    /// As the report has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lora => "LoRA",
            Self::Temperature => "LoRA, temperature",
            Self::McDropout => "MC dropout",
            Self::Ensemble => "ensemble of 5",
            Self::Blob => "BLoB",
            Self::Ivon => "IVON-LoRA",
            Self::Tfb => "TFB",
            Self::Laplace => "Laplace, last layer",
            Self::LaplaceLora => "Laplace-LoRA",
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use example_support::program::{assert_has_help, assert_refused};

    use super::*;

    #[test]
    fn the_command_line_is_consistent_and_explains_itself() {
        assert_has_help(Cli::command());
        assert_refused::<Cli>(&[
            ("--labels-per-class 3", "at least 4"),
            ("--model folder", "--data"),
            ("--method lora --adapter file", "cannot be used with"),
            ("--keep folder --adapter file", "cannot be used with"),
            ("--method best", "possible values"),
            ("--layers 0", "at least 1"),
            ("--layers -1", "at least 1"),
            ("--seed -1", "invalid value '-1'"),
            ("--tokens 32", "--model"),
            ("--tokens 32 --pretrain-epochs 2", "cannot be used with"),
            (
                "--model folder --data file --pretrain-epochs 2",
                "cannot be used with",
            ),
        ]);
    }

    #[test]
    fn seeds_go_on_after_the_largest() {
        let largest = u64::MAX.to_string();
        let cli = Cli::parse_from(["finetune", "--seed", &largest, "--seeds", "3"]);
        assert_eq!(cli.repetitions(), [u64::MAX, 0, 1]);
        let cli = Cli::parse_from(["finetune", "--adapter", "file"]);
        assert!(cli.repetitions().is_empty());
    }

    #[test]
    fn methods_come_in_the_order_of_the_report() {
        let cli = Cli::parse_from(["finetune", "--method", "blob", "--method", "lora"]);
        assert_eq!(cli.methods(), [Method::Lora, Method::Blob]);
        assert_eq!(Cli::parse_from(["finetune"]).methods().len(), 9);
    }
}
