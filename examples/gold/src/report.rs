//! How far each way is from the posterior itself.

use std::fmt;
use std::path::PathBuf;

use blitz_train::NormalMixture;
use blitz_train::metric::sample_wasserstein;
use example_support::{LeftOut, as_text};
use serde::Serialize;
use toy_1d::curve::{NOISE, is_in_gap, is_seen};
use toy_1d::grid;
use toy_1d::report::Figures;

/// Samples of a predictive distribution that are compared.
const SAMPLES: usize = 2_000;

/// One way's band, and its distance from the posterior itself.
#[derive(Debug, Serialize)]
pub struct Distance {
    /// Its band.
    #[serde(flatten)]
    pub figures: Figures,
    /// The mean 1-Wasserstein distance of the predictive distributions where points are, in deviations of the noise.
    pub wasserstein_seen: f64,
    /// In the gap between the stretches.
    pub wasserstein_gap: f64,
    /// Outside both.
    pub wasserstein_outside: f64,
}

impl Distance {
    /// Of predictions along the grid from those of the posterior itself.
    pub fn of(
        figures: Figures,
        predictive: &NormalMixture,
        gold: &NormalMixture,
        seed: u64,
    ) -> Self {
        let grid = grid();
        let by_example = |mixture: &NormalMixture, seed| -> Vec<Vec<f64>> {
            let samples = mixture.sample(SAMPLES, seed);
            (0..grid.len())
                .map(|at| samples.iter().map(|sample| sample[at]).collect())
                .collect()
        };
        // Other samples than those of the gold standard: its distance from itself is that of two sets of samples.
        let (samples, gold) = (
            by_example(predictive, seed),
            by_example(gold, seed.wrapping_add(1)),
        );
        let mean_where = |wanted: &dyn Fn(f64) -> bool| {
            let there = grid
                .iter()
                .zip(samples.iter().zip(&gold))
                .filter(|(x, _)| wanted(**x));
            let (a, b): (Vec<f64>, Vec<f64>) = there
                .flat_map(|(_, (a, b))| a.iter().copied().zip(b.iter().copied()))
                .unzip();
            sample_wasserstein((&a, SAMPLES), (&b, SAMPLES)) / NOISE
        };
        Self {
            figures,
            wasserstein_seen: mean_where(&is_seen),
            wasserstein_gap: mean_where(&is_in_gap),
            wasserstein_outside: mean_where(&|x| !is_seen(x) && !is_in_gap(x)),
        }
    }
}

/// Of all ways.
#[derive(Debug, Serialize)]
pub struct Report {
    /// One for each way, that of NUTS first.
    pub distances: Vec<Distance>,
    /// Ways that predict no numbers.
    pub left_out: Vec<LeftOut>,
    /// The chains.
    pub chains: usize,
    /// Draws of a chain.
    pub draws: usize,
    /// Draws whose trajectory diverged.
    pub divergences: usize,
    /// The largest R-hat of the predictions.
    pub largest_r_hat: f64,
    /// The smallest effective sample size of their bulk.
    pub least_ess: f64,
    /// Where the pictures and the draws are.
    #[serde(serialize_with = "as_text")]
    pub folder: PathBuf,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n  {:<12} {:>32} {:>30} {:>10}",
            "", "distance, in noise deviations", "epistemic deviation", "holds"
        )?;
        writeln!(
            f,
            "  {:<12} {:>12} {:>9} {:>9} {:>12} {:>8} {:>8} {:>10} {:>9}",
            "",
            "at points",
            "in gap",
            "outside",
            "at points",
            "in gap",
            "outside",
            "the curve",
            "seconds"
        )?;
        for distance in &self.distances {
            let figures = &distance.figures;
            writeln!(
                f,
                "  {:<12} {:>12.2} {:>9.2} {:>9.2} {:>12.3} {:>8.3} {:>8.3} {:>8.0} % {:>9.1}",
                figures.name,
                distance.wasserstein_seen,
                distance.wasserstein_gap,
                distance.wasserstein_outside,
                figures.std_seen,
                figures.std_gap,
                figures.std_outside,
                100.0 * figures.holds,
                figures.seconds
            )?;
        }
        for left_out in &self.left_out {
            writeln!(f, "\n  left out: {left_out}")?;
        }
        writeln!(
            f,
            "\n  {} chains of {} draws, {} divergences; predictions: R-hat up to {:.3}, effective draws from {:.0}",
            self.chains, self.draws, self.divergences, self.largest_r_hat, self.least_ess
        )?;
        write!(f, "  pictures and draws   {}", self.folder.display())
    }
}
