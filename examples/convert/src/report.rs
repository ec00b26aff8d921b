//! What a run found: as numbers for `--json`, and as text to read.

use std::fmt;
use std::path::PathBuf;

use example_support::comparison::{Row, table_head};
use example_support::{LeftOut, as_text, as_text_if_any};
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
    /// The plot, where it could be written.
    #[serde(serialize_with = "as_text_if_any")]
    pub plot: Option<PathBuf>,
    /// What could not be written.
    pub left_out: Vec<LeftOut>,
    /// The converted and tuned network.
    #[serde(serialize_with = "as_text")]
    pub model: PathBuf,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: trained on {} images, tested on {}; tuning all weights took {:.0} s\n",
            self.data, self.train_images, self.test_images, self.seconds
        )?;
        writeln!(f, "{}", table_head(""))?;
        for row in &self.rows {
            writeln!(f, "{row}")?;
        }
        for left_out in &self.left_out {
            writeln!(f, "\n  left out: {left_out}")?;
        }
        writeln!(f)?;
        if let Some(plot) = &self.plot {
            writeln!(f, "  reliability      {}", plot.display())?;
        }
        write!(f, "  tuned model      {}", self.model.display())
    }
}
