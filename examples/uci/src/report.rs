//! What all splits of a run come to, beside the literature.

use std::fmt;

use example_support::methods::Method;
use example_support::{LeftOut, MeanError, figure, mean};
use serde::Serialize;

use crate::noise::Noise;
use crate::study::{LEVELS, Scores};

/// Means over the splits, and the standard errors of the two that the literature reports, where there are several
/// splits.
#[derive(Debug, Serialize)]
pub struct Report {
    data: String,
    method: Method,
    noise: Noise,
    splits: usize,
    rmse: MeanError,
    ll: MeanError,
    crps: f64,
    coverage_50: f64,
    coverage_80: f64,
    coverage_95: f64,
    calibrated_coverage_50: f64,
    calibrated_coverage_80: f64,
    calibrated_coverage_95: f64,
    width_95: f64,
    seconds: f64,
    /// Splits without finite scores, and what could not be kept.
    left_out: Vec<LeftOut>,
}

/// A data set, the mean RMSE and the mean log likelihood.
type Published = (&'static str, f64, f64);

/// Mean test RMSE and log likelihood of one hidden layer of 50 units on the same splits, by data set. From the tables
/// of Gal & Ghahramani 2016 (first three) and of the Vadam paper (Khan et al. 2018).
const LITERATURE: [(&str, [Published; 5]); 4] = [
    (
        "variational inference (Graves 2011)",
        [
            ("boston", 4.32, -2.90),
            ("concrete", 7.19, -3.39),
            ("energy", 2.65, -2.39),
            ("wine-red", 0.65, -0.98),
            ("yacht", 6.89, -3.43),
        ],
    ),
    (
        "probabilistic backpropagation",
        [
            ("boston", 3.01, -2.57),
            ("concrete", 5.67, -3.16),
            ("energy", 1.80, -2.04),
            ("wine-red", 0.64, -0.97),
            ("yacht", 1.02, -1.63),
        ],
    ),
    (
        "MC dropout",
        [
            ("boston", 2.97, -2.46),
            ("concrete", 5.23, -3.04),
            ("energy", 1.66, -1.99),
            ("wine-red", 0.62, -0.93),
            ("yacht", 1.11, -1.55),
        ],
    ),
    (
        "Bayes by backprop, as run for the Vadam paper",
        [
            ("boston", 3.58, -2.73),
            ("concrete", 6.14, -3.24),
            ("energy", 2.79, -2.47),
            ("wine-red", 0.65, -1.00),
            ("yacht", 2.05, -2.41),
        ],
    ),
];

impl Report {
    /// Of splits, at least one.
    pub fn new(
        data: String,
        method: Method,
        noise: Noise,
        scores: &[Scores],
        left_out: Vec<LeftOut>,
    ) -> Self {
        let values = |field: fn(&Scores) -> f64| -> Vec<f64> { scores.iter().map(field).collect() };
        let of = |field| mean(&values(field));
        Self {
            data,
            method,
            noise,
            splits: scores.len(),
            rmse: MeanError::of(&values(|s| s.rmse)),
            ll: MeanError::of(&values(|s| s.ll)),
            crps: of(|s| s.crps),
            coverage_50: of(|s| s.coverage[0]),
            coverage_80: of(|s| s.coverage[1]),
            coverage_95: of(|s| s.coverage[2]),
            calibrated_coverage_50: of(|s| s.calibrated_coverage[0]),
            calibrated_coverage_80: of(|s| s.calibrated_coverage[1]),
            calibrated_coverage_95: of(|s| s.calibrated_coverage[2]),
            width_95: of(|s| s.width_95),
            seconds: scores.iter().map(|s| s.seconds).sum(),
            left_out,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            data,
            method,
            noise,
            splits,
            ..
        } = self;
        let noise = match noise {
            Noise::One => "",
            Noise::Inputs => ", noise by the inputs",
        };
        writeln!(
            f,
            "{data}, {method:?}{noise}, {splits} splits, {:.0} s\n",
            self.seconds
        )?;
        writeln!(f, "{:<46} {:>20} {:>16}", "", "RMSE", "log likelihood")?;
        writeln!(
            f,
            "{:<46} {:>20} {:>16}",
            "this run",
            self.rmse.with_figures(),
            self.ll.with_decimals(2),
        )?;
        for (name, rows) in LITERATURE {
            if let Some((_, rmse, ll)) = rows.iter().find(|(set, ..)| set == data) {
                writeln!(f, "{name:<46} {rmse:>20.2} {ll:>16.2}")?;
            }
        }
        writeln!(
            f,
            "\nCRPS {}, mean width of the 95 % intervals {}",
            figure(self.crps),
            figure(self.width_95)
        )?;
        let coverages = [
            (self.coverage_50, self.calibrated_coverage_50),
            (self.coverage_80, self.calibrated_coverage_80),
            (self.coverage_95, self.calibrated_coverage_95),
        ];
        for (level, (before, after)) in LEVELS.iter().zip(coverages) {
            writeln!(
                f,
                "{:>2.0} % intervals hold {:.1} %, recalibrated {:.1} %",
                100.0 * level,
                100.0 * before,
                100.0 * after
            )?;
        }
        for left_out in &self.left_out {
            writeln!(f, "\nleft out: {left_out}")?;
        }
        write!(
            f,
            "\nThe literature's rows are other people's, on the same splits and network; of VI and MC dropout ± is not given here."
        )
    }
}
