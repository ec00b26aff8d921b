//! What a run found: as numbers for `--json`, and as text to read.

use std::fmt;
use std::path::PathBuf;

use example_support::{LeftOut, as_text_if_any};
use serde::Serialize;

use crate::learner::{LEVEL, Learner, Outcome};

/// The results of a run.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Days.
    pub days: usize,
    /// Points of a day.
    pub points: usize,
    /// Each learner.
    pub learners: Vec<Figures>,
    /// Those whose numbers left `f32`, and pictures that can't be written.
    pub left_out: Vec<LeftOut>,
    /// Seconds of the run.
    pub seconds: f64,
    /// What is predicted after the last day, where the picture could be written.
    #[serde(serialize_with = "as_text_if_any")]
    pub bands: Option<PathBuf>,
    /// NLL and KL by day, where the picture could be written.
    #[serde(serialize_with = "as_text_if_any")]
    pub course: Option<PathBuf>,
}

/// A learner over the second half of the days, when what was there at the start is long gone.
#[derive(Debug, Clone, Serialize)]
pub struct Figures {
    /// Of which.
    pub name: String,
    /// The mean negative log likelihood of tomorrow's points, in nats.
    pub nll: f64,
    /// The share of tomorrow's points within their interval.
    pub coverage: f64,
    /// The distance of the mean from tomorrow's curve: the mean over days.
    pub rmse: f64,
    /// The NLL of each day.
    pub nll_by_day: Vec<f64>,
}

impl Figures {
    /// Of a learner that has seen all days.
    pub fn of(learner: &Learner) -> Self {
        let late = &learner.outcomes[learner.outcomes.len() / 2..];
        let mean = |f: fn(&Outcome) -> f64| late.iter().map(f).sum::<f64>() / late.len() as f64;
        Self {
            name: learner.keep.to_string(),
            nll: mean(|outcome| outcome.nll),
            coverage: mean(|outcome| outcome.coverage),
            rmse: mean(|outcome| outcome.rmse),
            nll_by_day: learner.nll_by_day(),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} days of {} points, {:.0} s; tomorrow's points, over the second half of the days\n",
            self.days, self.points, self.seconds
        )?;
        let covered = format!("within {:.0} %", 100.0 * LEVEL);
        writeln!(
            f,
            "  {:<16} {:>8} {covered:>13} {:>22}",
            "", "NLL", "RMSE to the curve"
        )?;
        for learner in &self.learners {
            writeln!(
                f,
                "  {:<16} {:>8.3} {:>11.1} % {:>22.3}",
                learner.name,
                learner.nll,
                100.0 * learner.coverage,
                learner.rmse
            )?;
        }
        for it in &self.left_out {
            writeln!(f, "  {:<16} left out, {}", it.name, it.reason)?;
        }
        let pictures = [("the last day", &self.bands), ("day by day", &self.course)];
        for (name, picture) in pictures {
            if let Some(picture) = picture {
                write!(f, "\n  {name:<14} {}", picture.display())?;
            }
        }
        Ok(())
    }
}
