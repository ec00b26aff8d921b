//! What a run found: as numbers for `--json`, and as text to read.

use std::fmt;
use std::path::PathBuf;

use example_support::classification::Scores;
use serde::Serialize;

/// The results of a run.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The data.
    pub data: String,
    /// The number of training images.
    pub train_images: usize,
    /// The number of test images.
    pub test_images: usize,
    /// How the networks fared.
    pub rows: Vec<Row>,
    /// The time of the tuning of all weights.
    pub seconds: f64,
    /// The plot.
    pub plot: PathBuf,
    /// The converted and tuned network.
    pub model: PathBuf,
}

/// How one network fared.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// The network.
    pub name: String,
    /// Its scores.
    #[serde(flatten)]
    pub scores: Scores,
}

impl Report {
    /// One line of JSON.
    pub fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|_| unreachable!("numbers, text and paths"))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: trained on {} images, tested on {}; tuning all weights took {:.0} s\n",
            self.data, self.train_images, self.test_images, self.seconds
        )?;
        writeln!(
            f,
            "  {:<34}  {:>8}  {:>7}  {:>7}",
            "", "error", "NLL", "ECE"
        )?;
        for row in &self.rows {
            writeln!(f, "  {:<34}  {}", row.name, row.scores)?;
        }
        writeln!(f, "\n  reliability      {}", self.plot.display())?;
        write!(f, "  tuned model      {}", self.model.display())
    }
}
