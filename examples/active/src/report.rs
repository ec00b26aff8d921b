//! What a run found: as numbers for `--json`, and as text to read.

use std::fmt;
use std::path::PathBuf;

use example_support::{LeftOut, MeanError, as_text_if_any};
use serde::Serialize;

use crate::learning::{Curve, Method};

/// The results of a run.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Digits that can be labelled.
    pub pool: usize,
    /// Digits that the accuracy is measured on.
    pub test: usize,
    /// The accuracy to reach, in percent.
    pub target: f64,
    /// Seconds of the run.
    pub seconds: f64,
    /// Each method.
    pub methods: Vec<Summary>,
    /// Each course.
    pub curves: Vec<Curve>,
    /// Courses that came to no end, and what could not be kept or plotted.
    pub left_out: Vec<LeftOut>,
    /// The plot, where it could be written.
    #[serde(serialize_with = "as_text_if_any")]
    pub plot: Option<PathBuf>,
}

/// A method over all seeds.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// The method.
    pub method: Method,
    /// The labels that the target took, by seed; none where it was not reached.
    pub labels: Vec<Option<usize>>,
    /// Their mean, if all seeds reached the target.
    pub mean: Option<MeanError>,
    /// The accuracy at the end.
    pub last_accuracy: MeanError,
}

/// Each method over the seeds that it came to the end of.
pub fn summaries(curves: &[Curve], target: f64) -> Vec<Summary> {
    let of = |method: Method| {
        let curves: Vec<&Curve> = curves.iter().filter(|c| c.method == method).collect();
        let labels: Vec<Option<usize>> = curves.iter().map(|c| c.reaches(target)).collect();
        let reached: Option<Vec<f64>> = labels.iter().map(|l| l.map(|l| l as f64)).collect();
        let last = curves.iter().filter_map(|c| c.accuracy.last().copied());
        Summary {
            method,
            labels,
            mean: reached.map(|labels| MeanError::of(&labels)),
            last_accuracy: MeanError::of(&last.collect::<Vec<_>>()),
        }
    };
    let there = |method: &Method| curves.iter().any(|curve| curve.method == *method);
    Method::ALL.into_iter().filter(there).map(of).collect()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "digits 8×8: a pool of {}, tested on {}, {:.0} s\n",
            self.pool, self.test, self.seconds
        )?;
        let title = format!("labels for {} %", self.target);
        writeln!(
            f,
            "  {title:<18} {:>14}   {:<28} accuracy at the end",
            "mean", "by seed"
        )?;
        for summary in &self.methods {
            let labels = summary.labels.iter();
            let labels: Vec<String> = labels
                .map(|l| l.map_or("–".to_string(), |l| l.to_string()))
                .collect();
            let mean = summary.mean.map(|mean| mean.with_decimals(0));
            writeln!(
                f,
                "  {:<18} {:>14}   {:<28} {} %",
                summary.method.name(),
                mean.unwrap_or("not by all".to_string()),
                labels.join(", "),
                summary.last_accuracy.scaled(100.0).with_decimals(1)
            )?;
        }
        for left_out in &self.left_out {
            writeln!(f, "\n  left out: {left_out}")?;
        }
        match &self.plot {
            Some(plot) => write!(f, "\n  the courses   {}", plot.display()),
            None => Ok(()),
        }
    }
}
