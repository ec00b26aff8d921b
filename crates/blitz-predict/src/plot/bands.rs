//! Predictions along one input.

use plotters::prelude::*;

use super::draw::{Area, Draw, Drawn, Labels, chart, line};
use super::error::{PlotError, check_finite, check_one_each, check_points};
use super::style::{BLUE, INK, VERMILION, font, padded};
use super::window::Window;
use crate::distribution::Distribution;
use crate::mixture::Mixture;

/// A prediction along one input, as a panel of [`Bands`].
#[derive(Debug, Clone)]
pub struct Band {
    title: String,
    x: Vec<f64>,
    mean: Vec<f64>,
    epistemic: Vec<(f64, f64)>,
    observed: Vec<(f64, f64)>,
    points: Vec<(f64, f64)>,
    truth: Vec<(f64, f64)>,
}

impl Band {
    /// The mean, two epistemic deviations around it, and the central 95 % interval of observations, at each of `x`.
    ///
    /// # Errors
    ///
    /// Returns an error without places, for a number of them that is not the predictions', and for a number that is not
    /// finite.
    pub fn of<C: Distribution>(
        title: impl Into<String>,
        x: &[f64],
        predictive: &Mixture<C>,
    ) -> Result<Self, PlotError> {
        check_finite("place", x)?;
        check_one_each("places", predictive, x.len())?;
        let mean = predictive.mean();
        check_finite("prediction", &mean)?;
        let ends = mean.iter().zip(predictive.epistemic_std());
        let epistemic = ends.map(|(mean, std)| (mean - 2.0 * std, mean + 2.0 * std));
        let epistemic: Vec<_> = epistemic.collect();
        check_points("prediction", &epistemic)?;
        let observed = predictive.interval(0.95).into_iter();
        let observed = observed.map(|interval| (interval.lower, interval.upper));
        let observed: Vec<_> = observed.collect();
        check_points("prediction", &observed)?;
        Ok(Self {
            title: title.into(),
            x: x.to_vec(),
            epistemic,
            observed,
            mean,
            points: Vec::new(),
            truth: Vec::new(),
        })
    }

    /// With the data that the prediction was learnt from. A plot with a point that is not finite is refused when it is
    /// written.
    #[must_use]
    pub fn with_points(mut self, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        self.points = points.into_iter().collect();
        self
    }

    /// With the function that is true, dashed, as far as the axes go. A plot with a point of it that is not finite is
    /// refused when it is written.
    #[must_use]
    pub fn with_truth(mut self, truth: impl IntoIterator<Item = (f64, f64)>) -> Self {
        self.truth = truth.into_iter().collect();
        self
    }
}

/// Bands side by side, all with the same axes: the data, the mean, two epistemic deviations (where the *function* may
/// lie, dark) and the interval of 95 % of new *observations* (light).
///
/// ```
/// use blitz_predict::plot::{Band, Bands, Plot};
/// use blitz_predict::distribution::Normal;
/// use blitz_predict::NormalMixture;
///
/// # fn main() -> Result<(), blitz_predict::plot::PlotError> {
/// let x = [-1.0, 0.0, 1.0];
/// // Two draws that agree at 0, and less and less away from it.
/// let draw = |slope: f64| x.map(|x| Normal { mean: slope * x, std: 0.1 }).to_vec();
/// let predictive = NormalMixture::from_draws([draw(0.5), draw(1.5)], 1);
/// let band = Band::of("two lines", &x, &predictive)?.with_points([(0.0, 0.1)]);
/// assert!(Bands::new("x", "y").panel(band).to_svg()?.contains("two lines"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Bands {
    labels: [String; 2],
    shown: Option<(f64, f64)>,
    panels: Vec<Band>,
}

/// Height of the strip with the legend, in pixels.
const HEAD: u32 = 56;

impl Bands {
    /// Without panels yet, the axes labelled.
    pub fn new(x: impl Into<String>, y: impl Into<String>) -> Self {
        Self {
            labels: [x.into(), y.into()],
            shown: None,
            panels: Vec::new(),
        }
    }

    /// Shows this range of the vertical axis: what of the bands and lines goes beyond it is cut off, and points beyond
    /// it are left out. Without it, the axis holds all of them.
    ///
    /// # Panics
    ///
    /// Panics unless `low` is below `high` and both are finite.
    #[must_use]
    pub fn with_range(mut self, low: f64, high: f64) -> Self {
        assert!(
            low < high,
            "a range goes from a lower to a higher value, got {low} to {high}"
        );
        assert!(
            low.is_finite() && high.is_finite(),
            "a range has finite ends, got {low} to {high}"
        );
        self.shown = Some((low, high));
        self
    }

    /// Adds a panel.
    #[must_use]
    pub fn panel(mut self, band: Band) -> Self {
        self.panels.push(band);
        self
    }

    fn columns(&self) -> usize {
        self.panels.len().min(4)
    }

    fn rows(&self) -> usize {
        self.panels.len().div_ceil(self.columns())
    }

    fn panel_size(&self) -> (u32, u32) {
        match self.panels.len() {
            1 => (900, 560),
            2 => (640, 440),
            _ => (440, 330),
        }
    }

    fn draw_panel<DB: DrawingBackend<ErrorType: 'static>>(
        &self,
        area: &Area<DB>,
        band: &Band,
    ) -> Drawn {
        let window = self.window();
        let small = self.panels.len() > 2;
        let labels = Labels {
            title: &band.title,
            x: if small { "" } else { &self.labels[0] },
            y: if small { "" } else { &self.labels[1] },
            ..Labels::default()
        };
        let mut chart = chart(area, labels, window.x.clone(), window.y.clone())?;
        let along = |values: Vec<f64>| band.x.iter().copied().zip(values);
        for (ends, opacity) in [(&band.observed, 0.15), (&band.epistemic, 0.35)] {
            let colour = BLUE.mix(opacity);
            let lower = window.edge(along(ends.iter().map(|(low, _)| *low).collect()));
            let upper = window.edge(along(ends.iter().map(|(_, high)| *high).collect()));
            match (&lower[..], &upper[..]) {
                // An area of one place has no width.
                ([low], [high]) => {
                    chart.draw_series([PathElement::new([*low, *high], colour.stroke_width(8))])?
                }
                _ => {
                    let outline: Vec<_> =
                        upper.into_iter().chain(lower.into_iter().rev()).collect();
                    chart.draw_series([Polygon::new(outline, colour.filled())])?
                }
            };
        }
        for part in window.parts(band.truth.iter().copied()) {
            let style = INK.stroke_width(1);
            match part[..] {
                [point] => chart.draw_series([Circle::new(point, 3, style)])?,
                _ => chart.draw_series(DashedLineSeries::new(part, 6, 5, style))?,
            };
        }
        let mean = window.parts(along(band.mean.clone()));
        chart.draw_series(
            mean.into_iter()
                .map(|part| line(part, BLUE.stroke_width(2))),
        )?;
        let dot = if small { 2 } else { 4 };
        let points = band.points.iter().filter(|point| window.holds(**point));
        chart.draw_series(points.map(|point| Circle::new(*point, dot, VERMILION.filled())))?;
        Ok(())
    }

    /// What the axes of all panels show: all places and points, and upwards all that is drawn at the places.
    fn window(&self) -> Window {
        let panels = || self.panels.iter();
        let points = || panels().flat_map(|band| &band.points).copied();
        let places = padded(panels().flat_map(|band| &band.x).copied(), 0.0);
        let is_at_places = |(x, _): &(f64, f64)| (places.start..=places.end).contains(x);
        let y = match self.shown {
            Some((low, high)) => low..high,
            None => {
                let ends = panels().flat_map(|band| band.observed.iter().chain(&band.epistemic));
                let ends = ends.flat_map(|(low, high)| [*low, *high]);
                let means = panels().flat_map(|band| &band.mean).copied();
                let truths = panels().flat_map(|band| &band.truth).copied();
                let others = truths.filter(is_at_places).chain(points());
                padded(ends.chain(means).chain(others.map(|(_, y)| y)), 0.04)
            }
        };
        let x = match points().all(|point| is_at_places(&point)) {
            true => places,
            false => {
                let beside = points().map(|(x, _)| x);
                padded(beside.chain([places.start, places.end]), 0.02)
            }
        };
        Window { x, y }
    }
}

impl Draw for Bands {
    fn contents(&self) -> (&'static str, usize) {
        ("panel", self.panels.len())
    }

    fn check(&self) -> Result<(), PlotError> {
        for band in &self.panels {
            check_points("point", &band.points)?;
            check_points("point of the truth", &band.truth)?;
        }
        Ok(())
    }

    fn size(&self) -> (u32, u32) {
        let (width, height) = self.panel_size();
        (
            width * self.columns() as u32,
            HEAD + height * self.rows() as u32,
        )
    }

    fn draw<DB: DrawingBackend<ErrorType: 'static>>(&self, root: &Area<DB>) -> Drawn {
        let (head, body) = root.split_vertically(HEAD);
        let dashed = match self.panels.iter().any(|band| !band.truth.is_empty()) {
            true => "dashed: the truth;  ",
            false => "",
        };
        let legend = format!(
            "{dashed}line: the mean;  dark: ± 2 epistemic deviations;  light: 95 % of observations"
        );
        head.draw(&Text::new(legend, (20, 20), font(18)))?;
        let areas = body.split_evenly((self.rows(), self.columns()));
        for (area, band) in areas.iter().zip(&self.panels) {
            self.draw_panel(area, band)?;
        }
        Ok(())
    }
}
