//! What blitz's examples share, so that each shows its own part only.
//!
//! - [`number`]: value parsers for command-line options that say what is wrong with a value.
//! - [`TrainingArgs`]: the options that every training has, and [`RunArgs`] those of every run.
//! - [`RunFolder`]: a new folder for each run; nothing that an earlier run saved is touched.
//! - [`Kept`]: the finished parts of a long comparison, for a run that was killed.
//! - [`MeanError`]: a mean over repetitions, with its standard error where there is one.
//! - [`figure`]: a number in three significant digits, and [`Figures`] of several to the same place.
//! - [`first_not_finite`]: the weight of a checkpoint that is no number, and [`check_scores`] for scores.
//! - [`LeftOut`]: what could not be made in a comparison, and [`written`] for its files; [`chosen`]: the rule that
//!   chooses settings.
//! - [`say!`]: a line on standard error, and [`print()`] the report on standard output, for whoever takes them.
//! - [`check_layers`]: the largest network that is taken, [`check_draws`] the largest prediction, and [`check_windows`]
//!   the most windows of a series.
//! - [`loader`]: batches of a training, and [`fit_in`]: a training with its files in a folder.
//! - [`images`] and [`classification`]: labelled images, and a classifier of them trained by Burn's Learner.
//! - [`comparison`]: a Bayesian classifier beside its deterministic twin.
//! - [`digits`]: the digits that the examples carry, and MNIST's files.
//! - [`methods`]: a small regression network by each way to a posterior.
//! - [`tabular`]: tables of numbers from CSV files, their splits and their scaling.
//! - [`series`]: time series from CSV files, and two that the examples carry.
//! - [`cifar`]: CIFAR-10's files.
//! - [`reliability`]: a reliability diagram of two predictions.
//! - [`program`]: a program as its tests run it.

mod args;
mod error;
mod figures;
mod finite;
mod folder;
mod interrupt;
mod kept;
mod left_out;
mod output;
mod repeats;
mod rule;
mod size;
mod training;
mod unsure;
mod written;

pub mod cifar;
pub mod classification;
pub mod comparison;
pub mod digits;
pub mod images;
pub mod methods;
pub mod number;
pub mod program;
pub mod reliability;
pub mod series;
pub mod tabular;

pub use args::{EstimatorChoice, RunArgs, TrainingArgs, chosen_or_all, present};
pub use error::RunError;
pub use figures::{Figures, figure};
pub use finite::{NotFiniteScore, check_scores, first_not_finite};
pub use folder::{RunFolder, as_text, as_text_if_any};
pub use interrupt::{Failure, exit_code, stop_on_ctrl_c, stoppable};
pub use kept::{Digest, Kept, KeptError};
pub use left_out::LeftOut;
#[doc(hidden)]
pub use output::line_on_stderr;
pub use output::print;
pub use repeats::{MeanError, mean};
pub use rule::chosen;
pub use size::{check_draws, check_layers, check_windows};
pub use training::{fit_in, loader};
pub use written::written;
