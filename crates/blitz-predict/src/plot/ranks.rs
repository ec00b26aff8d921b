//! Where the draws of each chain stand among those of all.

use plotters::prelude::*;

use super::draw::{Area, Draw, Drawn, Labels, chart};
use super::error::PlotError;
use super::style::{CURVES, FAINT, font};
use crate::convergence::{checked_chains, ranks};

/// The heights of the title, of a chain's panel, and of what the axis is called, in pixels.
const HEAD: u32 = 44;
const PANEL: u32 = 150;
const FOOT: u32 = 34;

/// The ranks of one number's draws among those of all chains, a histogram for each chain: level if the chains agree
/// (Vehtari et al. 2021). A slope is a chain in another place; a hump or a hollow, one that is narrower or wider than
/// the others.
///
/// ```
/// use blitz_predict::plot::{Plot, RankPlot};
///
/// # fn main() -> Result<(), blitz_predict::plot::PlotError> {
/// let chains = [[0.1, -0.3, 0.2, 0.5], [0.0, 0.4, -0.2, 0.3]];
/// let plot = RankPlot::new("hidden.weight[0]", &chains)?.with_bins(4);
/// assert!(plot.to_svg()?.contains("chain 2"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct RankPlot {
    title: String,
    /// The ranks of each chain's draws, as shares of the number of all draws.
    ranks: Vec<Vec<f64>>,
    bins: usize,
}

impl RankPlot {
    /// Of the draws of `quantity`, in 20 bins.
    ///
    /// # Errors
    ///
    /// Returns an error for chains that are too short to judge, of different lengths, or with a draw that is not
    /// finite.
    pub fn new(
        quantity: impl Into<String>,
        chains: &[impl AsRef<[f64]>],
    ) -> Result<Self, PlotError> {
        let chains = checked_chains(chains)?;
        let all = (chains.len() * chains[0].len()) as f64;
        // Ranks from ½ to n − ½, so that none is at an edge of a bin.
        let share = |rank: f64| (rank - 0.5) / all;
        let ranks = ranks(&chains).into_iter();
        Ok(Self {
            title: format!("Ranks of {}", quantity.into()),
            ranks: ranks
                .map(|chain| chain.into_iter().map(share).collect())
                .collect(),
            bins: 20,
        })
    }

    /// With another title.
    #[must_use]
    pub fn with_title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// With another number of bins.
    ///
    /// # Panics
    ///
    /// Panics without bins.
    #[must_use]
    pub fn with_bins(mut self, bins: usize) -> Self {
        assert!(bins > 0, "a rank plot needs at least one bin, got 0");
        self.bins = bins;
        self
    }

    fn counts(&self, ranks: &[f64]) -> Vec<f64> {
        let mut counts = vec![0.0; self.bins];
        for rank in ranks {
            let bin = (rank * self.bins as f64) as usize;
            counts[bin.min(self.bins - 1)] += 1.0;
        }
        counts
    }
}

impl Draw for RankPlot {
    fn contents(&self) -> (&'static str, usize) {
        ("chain", self.ranks.len())
    }

    fn size(&self) -> (u32, u32) {
        (760, HEAD + PANEL * self.ranks.len() as u32 + FOOT)
    }

    fn draw<DB: DrawingBackend<ErrorType: 'static>>(&self, root: &Area<DB>) -> Drawn {
        let (head, body) = root.split_vertically(HEAD);
        let (body, foot) = body.split_vertically(PANEL * self.ranks.len() as u32);
        foot.draw(&Text::new(
            "rank, as a share of all draws",
            (300, 2),
            font(19),
        ))?;
        head.draw(&Text::new(self.title.as_str(), (92, 16), font(22)))?;
        let counts: Vec<Vec<f64>> = self.ranks.iter().map(|ranks| self.counts(ranks)).collect();
        let highest = counts.iter().flatten().copied().fold(1.0, f64::max);
        let level = self.ranks[0].len() as f64 / self.bins as f64;
        let panels = body.split_evenly((counts.len(), 1));
        for (number, (area, counts)) in panels.iter().zip(&counts).enumerate() {
            let name = format!("chain {}", number + 1);
            let labels = Labels {
                y: &name,
                ..Labels::default()
            };
            let mut chart = chart(area, labels, 0.0..1.0, 0.0..1.1 * highest)?;
            let width = 1.0 / self.bins as f64;
            let fill = CURVES[number % CURVES.len()].mix(0.6).filled();
            chart.draw_series(counts.iter().enumerate().map(|(bin, count)| {
                let left = bin as f64 * width;
                Rectangle::new([(left, 0.0), (left + width, *count)], fill)
            }))?;
            let line = [(0.0, level), (1.0, level)];
            chart.draw_series(LineSeries::new(line, FAINT.stroke_width(2)))?;
        }
        Ok(())
    }
}
