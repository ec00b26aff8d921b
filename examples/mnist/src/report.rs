//! What a run found: as numbers for `--json`, and as text to read.

use std::fmt;

use example_support::classification::Scores;
use example_support::comparison::{Comparison, Row, table_head};
use serde::Serialize;

/// The results of a run.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The network beside its deterministic twin.
    #[serde(flatten)]
    pub comparison: Comparison,
    /// What pruning left, with `--prune`.
    pub pruned: Vec<Pruned>,
}

/// A pruned network.
#[derive(Debug, Clone, Serialize)]
pub struct Pruned {
    /// The share of the weights that was removed.
    pub share: f64,
    /// With draws from what is left of the posterior.
    pub draws: Scores,
    /// With what is left of the means.
    pub mean: Scores,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.comparison)?;
        if self.pruned.is_empty() {
            return Ok(());
        }
        write!(f, "\n\n{}", table_head("weights removed"))?;
        for pruned in &self.pruned {
            for (scores, what) in [(pruned.draws, "draws"), (pruned.mean, "means")] {
                let name = format!("{:.0} %, {what}", 100.0 * pruned.share);
                write!(f, "\n{}", Row { name, scores })?;
            }
        }
        Ok(())
    }
}
