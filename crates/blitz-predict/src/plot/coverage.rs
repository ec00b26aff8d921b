//! Whether intervals hold what they promise.

use plotters::prelude::*;

use super::draw::{Area, Draw, Drawn, Labels, chart, curves};
use super::error::{PlotError, check_finite, check_one_each};
use super::style::FAINT;
use crate::distribution::Distribution;
use crate::mixture::Mixture;

/// The share of targets that central intervals hold, against the share that they promise: on the diagonal for a calibrated regression, below it for one that is too sure,
/// above it for one that is too modest (Kuleshov, Fenner & Ermon 2018).
///
/// ```
/// use blitz_predict::plot::{CoveragePlot, Plot};
/// use blitz_predict::distribution::Normal;
/// use blitz_predict::NormalMixture;
///
/// # fn main() -> Result<(), blitz_predict::plot::PlotError> {
/// let targets = [-1.0, 0.2, 0.1, 1.4];
/// let predictive = NormalMixture::from_draws([vec![Normal { mean: 0.0, std: 1.0 }; 4]], 1);
/// let plot = CoveragePlot::new().curve("before", &predictive, &targets)?;
/// assert!(plot.to_svg()?.contains("before"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct CoveragePlot {
    title: String,
    curves: Vec<(String, Vec<(f64, f64)>)>,
}

impl Default for CoveragePlot {
    fn default() -> Self {
        Self::new()
    }
}

impl CoveragePlot {
    /// Without curves yet.
    pub fn new() -> Self {
        Self {
            title: "Central intervals".into(),
            curves: Vec::new(),
        }
    }

    /// With another title.
    #[must_use]
    pub fn with_title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// Adds a model's predictive distributions of `targets`.
    ///
    /// # Errors
    ///
    /// Returns an error without targets, for a number of them that is not the predictions', and for one that is not finite.
    pub fn curve<C: Distribution>(
        self,
        name: impl Into<String>,
        predictive: &Mixture<C>,
        targets: &[f64],
    ) -> Result<Self, PlotError> {
        check_finite("target", targets)?;
        check_one_each("targets", predictive, targets.len())?;
        // A central interval of level l holds what lies within l / 2 of the middle of the distribution function.
        let mut levels: Vec<f64> = predictive
            .cdf(targets)
            .iter()
            .map(|p| 2.0 * (p - 0.5).abs())
            .collect();
        levels.sort_by(f64::total_cmp);
        let n = levels.len() as f64;
        let held = levels
            .iter()
            .zip(1..)
            .map(|(level, k)| (*level, f64::from(k) / n));
        let ends = [(0.0, 0.0)].into_iter().chain(held).chain([(1.0, 1.0)]);
        Ok(self.points(name, ends.collect()))
    }

    /// Adds a curve of (promised, held) shares, for intervals of another making.
    #[must_use]
    pub fn points(mut self, name: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        self.curves.push((name.into(), points));
        self
    }
}

impl Draw for CoveragePlot {
    fn contents(&self) -> (&'static str, usize) {
        ("curve", self.curves.len())
    }

    fn size(&self) -> (u32, u32) {
        (720, 680)
    }

    fn draw<DB: DrawingBackend<ErrorType: 'static>>(&self, root: &Area<DB>) -> Drawn {
        let labels = Labels {
            title: &self.title,
            x: "share of targets that the intervals promise to hold",
            y: "share that they hold",
            ..Labels::default()
        };
        let mut chart = chart(root, labels, 0.0..1.0, 0.0..1.0)?;
        let diagonal = [(0.0, 0.0), (1.0, 1.0)];
        chart.draw_series(LineSeries::new(diagonal, FAINT.stroke_width(2)))?;
        let named = self.curves.iter();
        let named = named.map(|(name, points)| (name.clone(), points.iter().copied()));
        curves(&mut chart, named, SeriesLabelPosition::UpperLeft)
    }
}
