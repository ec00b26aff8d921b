//! What a posterior knows of each layer's weights.

use plotters::prelude::*;

use super::draw::{Area, Draw, Drawn, Labels, chart};
use super::error::{PlotError, check_finite, check_length};
use super::style::{BLUE, FAINT, GREEN, INK, ORANGE, PURPLE, VERMILION, font, padded};
use crate::check;

/// Deviations σ and signal-to-noise ratios |μ|/σ of the weights, layer by layer: a box from the 25th to the 75th
/// percentile with the median, and a line from the 5th to the 95th.
///
/// What to look for: deviations that are still at their initial value, so that training has not reached them; a layer
/// whose ratios are all below 1, which could be pruned; one whose ratios are all far above, which is deterministic in
/// all but name.
///
/// With [`moved`](Self::moved) further panels show where the posterior left its prior and its start: the KL of a
/// weight, and the shifts `|μ − μ₀|/σ₀`. A KL of nothing is a layer that the data say nothing about; shifts from the
/// start that are all below 0.01, one that training did not reach.
///
/// ```
/// use blitz_predict::plot::{Plot, PosteriorPlot};
///
/// # fn main() -> Result<(), blitz_predict::plot::PlotError> {
/// let (means, deviations) = ([0.5, -1.0, 0.02], [0.1, 0.1, 0.2]);
/// let plot = PosteriorPlot::new().weight("output.weight", &means, &deviations)?;
/// assert!(plot.to_svg()?.contains("output.weight"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct PosteriorPlot {
    title: String,
    layers: Vec<Layer>,
}

/// The logarithms of a weight tensor's numbers, to base 10, at [`SHARES`].
#[derive(Debug, Clone)]
struct Layer {
    path: String,
    weights: usize,
    deviations: [f64; 5],
    ratios: [f64; 5],
    /// The KL of a weight, the shift from the prior and that from the start, of those that are known.
    moved: [Option<[f64; 5]>; 3],
}

/// What is on its axis, its colour, and what it shows of a layer.
type Panel = (&'static str, RGBColor, fn(&Layer) -> Option<[f64; 5]>);

const SHARES: [f64; 5] = [0.05, 0.25, 0.5, 0.75, 0.95];
/// Below them a logarithm is cut: a mean of exactly zero, such as a pruned weight's, has none.
const LEAST_DEVIATION: f64 = 1e-9;
const LEAST_RATIO: f64 = 1e-3;
/// Nats, and deviations.
const LEAST_MOVED: f64 = 1e-4;

impl PosteriorPlot {
    /// A plot without weights yet.
    pub fn new() -> Self {
        Self {
            title: "Posterior".into(),
            layers: Vec::new(),
        }
    }

    /// With the means and deviations of one more weight tensor, in a row below the others.
    ///
    /// # Errors
    ///
    /// Returns an error if there are none, unless there is a deviation for each mean, if one is not finite, and for a
    /// deviation below 0.
    pub fn weight(
        mut self,
        path: impl Into<String>,
        means: &[f32],
        deviations: &[f32],
    ) -> Result<Self, PlotError> {
        check_length("deviations", means.len(), deviations.len())?;
        if means.is_empty() {
            return Err(PlotError::Empty { what: "weight" });
        }
        let numbers = means.iter().zip(deviations);
        let finite = |(mean, std): (&f32, &f32)| mean.is_finite() && std.is_finite();
        if let Some(index) = numbers.clone().position(|pair| !finite(pair)) {
            return Err(PlotError::NotFinite {
                what: "weight",
                index,
            });
        }
        let wide: Vec<f64> = deviations.iter().copied().map(f64::from).collect();
        check::non_negative(&wide, "deviation")?;
        // A ratio may be beyond the numbers of `f32`.
        let ratio = |(mean, std): (&f32, &f32)| {
            f64::from(*mean).abs() / f64::from(*std).max(LEAST_DEVIATION)
        };
        self.layers.push(Layer {
            path: path.into(),
            weights: means.len(),
            deviations: quantiles(wide.into_iter(), LEAST_DEVIATION),
            ratios: quantiles(numbers.map(ratio), LEAST_RATIO),
            moved: [None; 3],
        });
        Ok(self)
    }

    /// Adds what the last weight tensor has moved by: the mean KL of a weight, in nats; the distance of each mean from
    /// the prior's, in deviations of the prior; and that from its start, in deviations of the start. `None` leaves a
    /// panel empty.
    ///
    /// ```
    /// use blitz_predict::plot::{Plot, PosteriorPlot};
    ///
    /// # fn main() -> Result<(), blitz_predict::plot::PlotError> {
    /// let plot = PosteriorPlot::new()
    ///     .weight("output.weight", &[0.5, -1.0], &[0.1, 0.1])?
    ///     .moved(1.6, Some(&[0.5, 1.0]), Some(&[5.0, 0.2]))?;
    /// assert!(plot.to_svg()?.contains("from the start"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if no weight was added, unless there is a shift for each weight, if a number is not finite, and
    /// for a shift below 0. An estimated KL may lie below it.
    pub fn moved(
        mut self,
        kl_per_weight: f64,
        from_prior: Option<&[f32]>,
        from_start: Option<&[f32]>,
    ) -> Result<Self, PlotError> {
        let Some(layer) = self.layers.last_mut() else {
            return Err(PlotError::Empty { what: "weight" });
        };
        let weights = layer.weights;
        check_finite("KL", &[kl_per_weight])?;
        let shifts = |values: Option<&[f32]>| -> Result<_, PlotError> {
            let Some(values) = values else {
                return Ok(None);
            };
            check_length("shifts", weights, values.len())?;
            let wide: Vec<f64> = values.iter().map(|value| f64::from(*value)).collect();
            check_finite("shift", &wide)?;
            check::non_negative(&wide, "shift")?;
            Ok(Some(quantiles(wide.into_iter(), LEAST_MOVED)))
        };
        layer.moved = [
            Some(quantiles([kl_per_weight].into_iter(), LEAST_MOVED)),
            shifts(from_prior)?,
            shifts(from_start)?,
        ];
        Ok(self)
    }

    /// The panels that have something to show.
    fn panels(&self) -> Vec<Panel> {
        let all: [Panel; 5] = [
            ("σ", BLUE, |layer| Some(layer.deviations)),
            ("|μ| / σ", VERMILION, |layer| Some(layer.ratios)),
            ("KL of a weight, nats", GREEN, |layer| layer.moved[0]),
            ("shift from the prior, σ₀", ORANGE, |layer| {
                layer.moved[1]
            }),
            ("shift from the start, σ₀", PURPLE, |layer| {
                layer.moved[2]
            }),
        ];
        let mut panels = Vec::from(all);
        panels.retain(|(_, _, numbers)| self.layers.iter().any(|layer| numbers(layer).is_some()));
        panels
    }

    /// With another title.
    #[must_use]
    pub fn with_title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    fn panel<DB: DrawingBackend<ErrorType: 'static>>(
        &self,
        area: &Area<DB>,
        labels: Labels<'_>,
        colour: RGBColor,
        numbers: fn(&Layer) -> Option<[f64; 5]>,
    ) -> Result<(), Box<dyn std::error::Error>> {
        let x = padded(self.layers.iter().filter_map(numbers).flatten(), 0.06);
        let mut chart = chart(area, labels, x.clone(), 0.0..self.layers.len() as f64)?;
        if x.contains(&0.0) && labels.title.is_empty() {
            let line = [(0.0, 0.0), (0.0, self.layers.len() as f64)];
            chart.draw_series(LineSeries::new(line, FAINT.stroke_width(1)))?;
        }
        for (row, layer) in self.layers.iter().rev().enumerate() {
            let y = row as f64 + 0.5;
            let Some([least, low, middle, high, most]) = numbers(layer) else {
                continue;
            };
            let whisker = PathElement::new([(least, y), (most, y)], colour.stroke_width(2));
            chart.draw_series([whisker])?;
            let body = Rectangle::new(
                [(low, y - 0.22), (high, y + 0.22)],
                colour.mix(0.45).filled(),
            );
            chart.draw_series([body])?;
            let median = PathElement::new(
                [(middle, y - 0.26), (middle, y + 0.26)],
                INK.stroke_width(3),
            );
            chart.draw_series([median])?;
        }
        Ok(())
    }
}

impl Default for PosteriorPlot {
    fn default() -> Self {
        Self::new()
    }
}

fn quantiles(values: impl Iterator<Item = f64>, least: f64) -> [f64; 5] {
    let mut values: Vec<f64> = values.map(|value| value.max(least)).collect();
    values.sort_by(f64::total_cmp);
    let last = (values.len() - 1) as f64;
    SHARES.map(|share| values[(share * last).round() as usize].log10())
}

/// Height of a layer's row, and of all that is not rows, in pixels.
const ROW: u32 = 38;
const REST: u32 = 130;
/// Width of the names.
const NAMES: i32 = 330;
/// Width of a panel.
const PANEL: u32 = 455;

impl Draw for PosteriorPlot {
    fn contents(&self) -> (&'static str, usize) {
        ("weight with a posterior", self.layers.len())
    }

    fn size(&self) -> (u32, u32) {
        let panels = self.panels().len().max(2) as u32;
        (
            NAMES as u32 + PANEL * panels,
            REST + ROW * self.layers.len() as u32,
        )
    }

    fn draw<DB: DrawingBackend<ErrorType: 'static>>(&self, root: &Area<DB>) -> Drawn {
        let (head, body) = root.split_vertically(46);
        head.draw(&Text::new(self.title.as_str(), (20, 16), font(22)))?;
        let (names, mut rest) = body.split_horizontally(NAMES);
        for (x, colour, numbers) in self.panels() {
            let (area, right) = rest.split_horizontally(PANEL);
            rest = right;
            let labels = Labels {
                x,
                is_list: true,
                is_log: true,
                ..Labels::default()
            };
            self.panel(&area, labels, colour, numbers)?;
        }
        for (row, layer) in self.layers.iter().enumerate() {
            let y = 14 + (ROW as i32) * row as i32 + 12;
            names.draw(&Text::new(shortened(&layer.path), (20, y), font(17)))?;
        }
        Ok(())
    }
}

/// The end of a path that is too long for its place.
fn shortened(path: &str) -> String {
    const MOST: usize = 34;
    let count = path.chars().count();
    match count > MOST {
        true => format!(
            "…{}",
            path.chars().skip(count - MOST + 1).collect::<String>()
        ),
        false => path.to_string(),
    }
}
