//! Whether intervals hold what they promise.

use plotters::prelude::*;

use super::draw::{Area, Draw, Drawn, Labels, chart, curves};
use super::error::{PlotError, check_finite, check_one_each, check_shares};
use super::style::FAINT;
use crate::distribution::{Distribution, Support};
use crate::mixture::Mixture;

/// The share of targets that central intervals hold, against the share that they promise: on the diagonal for a
/// calibrated regression, below it for one that is too sure, above it for one that is too modest (Kuleshov, Fenner &
/// Ermon 2018).
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
    /// Returns an error without targets, for a number of them that is not the predictions', and for one that is not
    /// finite.
    pub fn curve<C: Distribution>(
        self,
        name: impl Into<String>,
        predictive: &Mixture<C>,
        targets: &[f64],
    ) -> Result<Self, PlotError> {
        check_finite("target", targets)?;
        check_one_each("targets", predictive, targets.len())?;
        // A central interval of level l holds y if F(y) ≥ (1 − l) / 2, and F just below y < (1 + l) / 2: the same F
        // where there is a density.
        let below: Vec<f64> = match C::SUPPORT {
            Support::Continuous => targets.to_vec(),
            Support::Discrete => targets.iter().map(|y| y.ceil() - 1.0).collect(),
            Support::Mixed => targets.iter().map(|y| y.next_down()).collect(),
        };
        let ends = predictive
            .cdf(targets)
            .into_iter()
            .zip(predictive.cdf(&below));
        let mut levels: Vec<f64> = ends
            .map(|(at, below)| (1.0 - 2.0 * at).max(2.0 * below - 1.0).max(0.0))
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

    /// Adds a curve of (promised, held) shares, for intervals of another making. A plot with one that is not inside [0,
    /// 1], or without any, is refused when it is written.
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

    fn check(&self) -> Result<(), PlotError> {
        for (_, points) in &self.curves {
            if points.is_empty() {
                return Err(PlotError::Empty { what: "point" });
            }
            for (index, (promised, held)) in points.iter().enumerate() {
                check_shares("point", index, [*promised, *held])?;
            }
        }
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distribution::{Bernoulli, Poisson};

    /// A level just above a point of the curve holds its target, and one just below does not.
    fn assert_levels_are_those_of_intervals<C: Distribution>(
        predictive: &Mixture<C>,
        targets: &[f64],
    ) {
        for (i, y) in targets.iter().enumerate() {
            let one = CoveragePlot::new().curve("", predictive, targets).unwrap();
            let holds = |level: f64| predictive.interval(level)[i].contains(*y);
            let points = &one.curves[0].1;
            // The smallest level of the curve at which the interval holds the target.
            let levels = points.iter().map(|(level, _)| *level);
            let near = levels.filter(|level| {
                (*level <= 1e-9 || !holds(level - 1e-9)) && (*level >= 1.0 || holds(level + 1e-9))
            });
            assert!(near.count() > 0, "{y}");
        }
    }

    #[test]
    fn counts_are_held_by_the_intervals_that_hold_them() {
        let log_rate = 0.5f64.ln();
        let targets = [0.0, 1.0, 2.0, 3.0];
        let counts = Mixture::from_draws([vec![Poisson { log_rate }; 4]], 1);
        assert_levels_are_those_of_intervals(&counts, &targets);
        // P(0) = 0.607 and P(≤ 1) = 0.910: the interval of level 0.5 is [0, 1].
        let plot = CoveragePlot::new().curve("", &counts, &targets).unwrap();
        let held = plot.curves[0].1.iter().filter(|(level, _)| *level <= 0.5);
        assert_eq!(held.map(|(_, held)| *held).fold(0.0, f64::max), 0.5);
        let even = Bernoulli { logit: 0.0 };
        let binary = Mixture::from_draws([vec![even; 2]], 1);
        assert_levels_are_those_of_intervals(&binary, &[0.0, 1.0]);
    }
}
