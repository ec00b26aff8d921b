//! The predictive distribution of a batch for the metrics that need more of it than means: made when one asks.

use std::any::Any;
use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;

use blitz_predict::distribution::Distribution;
use blitz_predict::score::sample_crps;
use blitz_predict::{Interval, Mixture, NormalMixture};

use crate::error::PredictError;

/// The quantiles into which a mixture without a closed form is cut for its CRPS.
const CUTS: usize = 200;

/// A batch's predictive distribution, which is computed when a metric asks for it and not before.
///
/// What [`CrpsMetric`](crate::CrpsMetric), [`IntervalScoreMetric`](crate::IntervalScoreMetric) and
/// [`SharpnessMetric`](crate::SharpnessMetric) are computed from.
#[derive(Clone)]
pub struct LazyPredictive(Arc<dyn Fn() -> Result<Box<dyn Scored>, PredictError> + Send + Sync>);

impl LazyPredictive {
    /// The one that `make` makes: [`try_predictive`](crate::Likelihood::try_predictive) of outputs off the autodiff
    /// graph.
    pub fn new<C: Distribution + 'static>(
        make: impl Fn() -> Result<Mixture<C>, PredictError> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(move || Ok(Box::new(make()?) as Box<dyn Scored>)))
    }

    /// The central intervals that hold the target with probability `level`.
    ///
    /// # Errors
    ///
    /// Returns an error if an output is not finite.
    ///
    /// # Panics
    ///
    /// Panics unless `level` lies inside (0, 1).
    pub fn intervals(&self, level: f64) -> Result<Vec<Interval>, PredictError> {
        Ok((self.0)()?.intervals(level))
    }

    /// The mean CRPS: in closed form of a mixture of normals, else that of its 200 quantiles at equal distances.
    ///
    /// # Errors
    ///
    /// Returns an error if an output is not finite.
    ///
    /// # Panics
    ///
    /// Panics unless there is a finite target for each prediction.
    pub fn crps(&self, targets: &[f64]) -> Result<f64, PredictError> {
        Ok((self.0)()?.mean_crps(targets))
    }
}

impl Debug for LazyPredictive {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("LazyPredictive").finish_non_exhaustive()
    }
}

/// A mixture of any family.
trait Scored {
    fn intervals(&self, level: f64) -> Vec<Interval>;
    fn mean_crps(&self, targets: &[f64]) -> f64;
}

impl<C: Distribution + 'static> Scored for Mixture<C> {
    fn intervals(&self, level: f64) -> Vec<Interval> {
        self.interval(level)
    }

    fn mean_crps(&self, targets: &[f64]) -> f64 {
        if let Some(normals) = (self as &dyn Any).downcast_ref::<NormalMixture>() {
            return normals.crps(targets);
        }
        let cuts = (0..CUTS).map(|cut| self.quantile((cut as f64 + 0.5) / CUTS as f64));
        let cuts: Vec<Vec<f64>> = cuts.collect();
        let of_example = |example: usize| cuts.iter().map(move |cut| cut[example]);
        let samples: Vec<f64> = (0..targets.len()).flat_map(of_example).collect();
        sample_crps(&samples, CUTS, targets)
    }
}
