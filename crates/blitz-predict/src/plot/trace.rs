//! The draws of chains in their order.

use plotters::prelude::*;

use super::draw::{Area, Draw, Drawn, Labels, chart, curves};
use super::error::PlotError;
use super::style::padded;
use crate::convergence::checked_chains;

/// The draws of one number against their place in the chain, a line for each chain: chains that have converged look
/// like one, without a trend and without a stretch where a chain stands still.
///
/// ```
/// use blitz_predict::plot::{Plot, TracePlot};
///
/// # fn main() -> Result<(), blitz_predict::plot::PlotError> {
/// let chains = [[0.1, -0.3, 0.2, 0.5], [0.0, 0.4, -0.2, 0.3]];
/// let plot = TracePlot::new("hidden.weight[0]", &chains)?;
/// assert!(plot.to_svg()?.contains("chain 2"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct TracePlot {
    title: String,
    quantity: String,
    chains: Vec<Vec<f64>>,
}

impl TracePlot {
    /// Of the draws of `quantity`.
    ///
    /// # Errors
    ///
    /// Returns an error for chains that are too short to judge, of different lengths, or with a draw that is not
    /// finite.
    pub fn new(
        quantity: impl Into<String>,
        chains: &[impl AsRef<[f64]>],
    ) -> Result<Self, PlotError> {
        Ok(Self {
            title: "Trace".into(),
            quantity: quantity.into(),
            chains: checked_chains(chains)?,
        })
    }

    /// With another title.
    #[must_use]
    pub fn with_title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }
}

impl Draw for TracePlot {
    fn contents(&self) -> (&'static str, usize) {
        ("chain", self.chains.len())
    }

    fn size(&self) -> (u32, u32) {
        (1000, 480)
    }

    fn draw<DB: DrawingBackend<ErrorType: 'static>>(&self, root: &Area<DB>) -> Drawn {
        let labels = Labels {
            title: &self.title,
            x: "draw",
            y: &self.quantity,
            ..Labels::default()
        };
        let x = 1.0..self.chains[0].len() as f64;
        let y = padded(self.chains.iter().flatten().copied(), 0.05);
        let mut chart = chart(root, labels, x, y)?;
        let named = self.chains.iter().zip(1..).map(|(chain, number)| {
            let points = chain
                .iter()
                .zip(1..)
                .map(|(value, at)| (f64::from(at), *value));
            (format!("chain {number}"), points)
        });
        curves(&mut chart, named, SeriesLabelPosition::UpperRight)
    }
}
