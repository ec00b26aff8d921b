//! Plots of predictions, their calibration, posteriors and trainings, as PNG or SVG (feature `plot`): those of
//! [`blitz_predict::plot`], and the plot of a module's posterior.

use blitz_layers::blitz_core::{BayesianModule, WeightMarginals};

pub use blitz_predict::plot::{
    Band, Bands, CoveragePlot, IntervalPlot, IntervalRow, Plot, PlotError, PosteriorPlot, RankPlot,
    ReliabilityDiagram, RiskCoveragePlot, TracePlot, TrainingCurves, style, write,
};

/// The plot of all weights of a module that have a posterior, tensor by tensor: deviations, signal-to-noise ratios, and
/// where they left their priors, by the KL of a weight and, if the prior's deviation is known, by the shift of its
/// mean.
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
/// Returns an error if there are none, and if a mean, a deviation or a KL is not finite.
pub fn posterior_plot<M: BayesianModule>(module: &M) -> Result<PosteriorPlot, PlotError> {
    plot_of(module, None)
}

/// [`posterior_plot`] with the shift of each mean from `start`, the [`weight_marginals`](BayesianModule::weight_marginals) of an earlier moment, such as before the training: what has not left it, training does
/// not reach.
///
/// ```
/// use blitz_train::plot::{Plot, posterior_plot_from};
/// use blitz_train::prelude::*;
/// use burn::tensor::Device;
///
/// # fn main() -> Result<(), blitz_train::plot::PlotError> {
/// let layer = BayesianLinearConfig::new(20, 10).init(&Device::flex());
/// let start = layer.weight_marginals();
/// // … training …
/// assert!(posterior_plot_from(&layer, &start)?.to_svg()?.contains("shift from the start"));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// As [`posterior_plot`].
///
/// # Panics
///
/// Panics if a weight of `start` has another number of weights now.
pub fn posterior_plot_from<M: BayesianModule>(
    module: &M,
    start: &[WeightMarginals],
) -> Result<PosteriorPlot, PlotError> {
    plot_of(module, Some(start))
}

fn plot_of<M: BayesianModule>(
    module: &M,
    start: Option<&[WeightMarginals]>,
) -> Result<PosteriorPlot, PlotError> {
    let weights = module.weight_marginals().into_iter();
    let movements = module.weight_movements(start);
    let mut weights: Vec<_> = weights.zip(movements).collect();
    weights.retain(|(weight, _)| !weight.means.is_empty());
    if weights.is_empty() {
        return Err(PlotError::Empty {
            what: "weight with a posterior",
        });
    }
    weights
        .into_iter()
        .try_fold(PosteriorPlot::new(), |plot, (weight, movement)| {
            let from_start = movement.from_start.as_ref();
            plot.weight(weight.path, &weight.means, &weight.std_devs)?
                .moved(
                    movement.kl_per_weight(),
                    movement.from_prior.as_deref(),
                    from_start.map(|start| start.shifts.as_slice()),
                )
        })
}
