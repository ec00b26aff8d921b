//! Plots of predictions, their calibration, posteriors and trainings, as PNG or SVG (feature `plot`).
//!
//! | plot | shows |
//! |---|---|
//! | [`Bands`] | a prediction along one input: the function's uncertainty and that of observations, in one panel or several |
//! | [`IntervalPlot`] | predictive intervals over the true values, those that miss highlighted |
//! | [`ReliabilityDiagram`] | accuracy against confidence, of a classifier |
//! | [`CoveragePlot`] | the share of targets that intervals hold against the share that they promise, of a regression |
//! | [`RiskCoveragePlot`] | the error among the answers that are left when the least sure are withheld |
//! | [`PosteriorPlot`] | deviations and signal-to-noise ratios of the weights, layer by layer |
//! | [`TracePlot`], [`RankPlot`] | whether Markov chains agree |
//! | [`TrainingCurves`] | NLL and KL over a training |
//!
//! Each is made of plain numbers or of blitz's own types, and written by [`Plot::save`]. [`style`] has the colours, the
//! font, the axes and the legend, for plots of your own with `plotters`.
//!
//! ```
//! use blitz_predict::plot::{Plot, RiskCoveragePlot};
//!
//! # fn main() -> Result<(), blitz_predict::plot::PlotError> {
//! let confidence = [0.9, 0.8, 0.6, 0.5];
//! let wrong = [0.0, 0.0, 1.0, 0.0];
//! let plot = RiskCoveragePlot::new("error rate").curve("entropy", &confidence, &wrong)?;
//! let folder = std::env::temp_dir();
//! plot.save(folder.join("risk-coverage.png"))?; // or .svg
//! assert!(plot.to_svg()?.contains("entropy"));
//! # Ok(())
//! # }
//! ```

mod axis;
mod axis_labels;
mod bands;
mod coverage;
mod draw;
mod error;
mod intervals;
mod posterior;
mod ranks;
mod reliability;
mod risk_coverage;
pub mod style;
mod trace;
mod training;
mod window;

pub use bands::{Band, Bands};
pub use coverage::CoveragePlot;
pub use draw::{Plot, write};
pub use error::PlotError;
pub use intervals::{IntervalPlot, IntervalRow};
pub use posterior::PosteriorPlot;
pub use ranks::RankPlot;
pub use reliability::ReliabilityDiagram;
pub use risk_coverage::RiskCoveragePlot;
pub use trace::TracePlot;
pub use training::TrainingCurves;
