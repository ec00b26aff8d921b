//! How wide each method's band is, and whether it holds the curve.

use std::fmt;
use std::path::PathBuf;

use blitz_train::NormalMixture;
use example_support::{LeftOut, as_text_if_any};
use serde::Serialize;

use crate::curve::{is_in_gap, is_seen, truth};
use crate::grid;

/// What one candidate came to.
#[derive(Debug, Serialize)]
pub struct Figures {
    /// Of which candidate.
    pub name: String,
    /// Mean epistemic deviation where points are.
    pub std_seen: f64,
    /// In the gap between the stretches.
    pub std_gap: f64,
    /// Outside both.
    pub std_outside: f64,
    /// The share of the range in which the curve, without noise, lies within two epistemic deviations of the mean.
    pub holds: f64,
    /// Root mean square distance of the mean from the curve where points are.
    pub rmse_seen: f64,
    /// Seconds of training and prediction.
    pub seconds: f64,
}

impl Figures {
    /// Of predictions along the grid.
    pub fn of(name: String, predictive: &NormalMixture, seconds: f64) -> Self {
        let grid = grid();
        let (means, stds) = (predictive.mean(), predictive.epistemic_std());
        let mean_where = |values: &[f64], wanted: &dyn Fn(f64) -> bool| {
            let there = grid.iter().zip(values).filter(|(x, _)| wanted(**x));
            let (sum, count) = there.fold((0.0, 0), |(sum, count), (_, v)| (sum + v, count + 1));
            sum / f64::from(count)
        };
        let errors: Vec<f64> = grid
            .iter()
            .zip(&means)
            .map(|(x, m)| m - truth(*x))
            .collect();
        let held = errors.iter().zip(&stds);
        let held = held.map(|(error, std)| f64::from(u8::from(error.abs() <= 2.0 * std)));
        let squares: Vec<f64> = errors.iter().map(|error| error * error).collect();
        let is_outside = |x: f64| !is_seen(x) && !is_in_gap(x);
        Self {
            name,
            std_seen: mean_where(&stds, &is_seen),
            std_gap: mean_where(&stds, &is_in_gap),
            std_outside: mean_where(&stds, &is_outside),
            holds: held.sum::<f64>() / errors.len() as f64,
            rmse_seen: mean_where(&squares, &is_seen).sqrt(),
            seconds,
        }
    }
}

/// Of all methods.
#[derive(Debug, Serialize)]
pub struct Report {
    /// One for each method.
    pub figures: Vec<Figures>,
    /// Those that predict no numbers, and pictures that can't be written.
    pub left_out: Vec<LeftOut>,
    /// The plot, where it could be written.
    #[serde(serialize_with = "as_text_if_any")]
    pub plot: Option<PathBuf>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n  {:<12} {:>30} {:>16} {:>12}",
            "", "epistemic deviation", "the band holds", "error at"
        )?;
        writeln!(
            f,
            "  {:<12} {:>9} {:>9} {:>10} {:>16} {:>12} {:>8}",
            "", "at points", "in gap", "outside", "the curve", "points", "seconds"
        )?;
        for figures in &self.figures {
            writeln!(
                f,
                "  {:<12} {:>9.3} {:>9.3} {:>10.3} {:>14.0} % {:>12.3} {:>8.1}",
                figures.name,
                figures.std_seen,
                figures.std_gap,
                figures.std_outside,
                100.0 * figures.holds,
                figures.rmse_seen,
                figures.seconds
            )?;
        }
        for left_out in &self.left_out {
            writeln!(f, "\n  left out: {left_out}")?;
        }
        match &self.plot {
            Some(plot) => write!(f, "\n  the bands   {}", plot.display()),
            None => Ok(()),
        }
    }
}
