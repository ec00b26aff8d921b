//! Plots of predictions, their calibration, posteriors and trainings, as PNG or SVG (feature `plot`): those of
//! [`blitz_predict::plot`], and the plot of a module's posterior.

use blitz_layers::blitz_core::BayesianModule;

pub use blitz_predict::plot::{
    Band, Bands, CoveragePlot, IntervalPlot, IntervalRow, Plot, PlotError, PosteriorPlot,
    ReliabilityDiagram, RiskCoveragePlot, TrainingCurves, style, write,
};

/// The plot of all weights of a module that have a posterior, tensor by tensor.
///
/// ```
/// use blitz_train::plot::{Plot, posterior_plot};
/// use blitz_train::prelude::*;
/// use burn::tensor::Device;
///
/// # fn main() -> Result<(), blitz_train::plot::PlotError> {
/// let layer = BayesianLinearConfig::new(20, 10).init(&Device::flex());
/// assert!(posterior_plot(&layer)?.to_svg()?.contains("weight"));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// Returns an error if there are none, and if a mean or a deviation is not finite.
pub fn posterior_plot<M: BayesianModule>(module: &M) -> Result<PosteriorPlot, PlotError> {
    let mut weights = module.weight_marginals();
    weights.retain(|weight| !weight.means.is_empty());
    if weights.is_empty() {
        return Err(PlotError::Empty {
            what: "weight with a posterior",
        });
    }
    weights
        .into_iter()
        .try_fold(PosteriorPlot::new(), |plot, weight| {
            plot.weight(weight.path, &weight.means, &weight.std_devs)
        })
}
