//! What a posterior knows of each layer's weights.

use plotters::prelude::*;

use super::draw::{Area, Draw, Drawn, Labels, chart};
use super::error::{PlotError, check_length};
use super::style::{BLUE, FAINT, INK, VERMILION, font, padded};

/// Deviations σ and signal-to-noise ratios |μ|/σ of the weights, layer by layer: a box from the 25th to the 75th percentile with the median, and a line from the 5th to the 95th.
///
/// What to look for: deviations that are still at their initial value, so that training has not reached them; a layer whose ratios are all below 1, which could be pruned;
/// one whose ratios are all far above, which is deterministic in all but name.
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
    deviations: [f64; 5],
    ratios: [f64; 5],
}

const SHARES: [f64; 5] = [0.05, 0.25, 0.5, 0.75, 0.95];
/// Below them a logarithm is cut: a mean of exactly zero, such as a pruned weight's, has none.
const LEAST_DEVIATION: f32 = 1e-9;
const LEAST_RATIO: f32 = 1e-3;

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
    /// Returns an error if there are none, unless there is a deviation for each mean, and if one is not finite.
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
        let ratios = numbers.map(|(mean, std)| mean.abs() / std.max(LEAST_DEVIATION));
        self.layers.push(Layer {
            path: path.into(),
            deviations: quantiles(deviations.iter().copied(), LEAST_DEVIATION),
            ratios: quantiles(ratios, LEAST_RATIO),
        });
        Ok(self)
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
        numbers: fn(&Layer) -> &[f64; 5],
    ) -> Result<(), Box<dyn std::error::Error>> {
        let x = padded(self.layers.iter().flat_map(numbers).copied(), 0.06);
        let mut chart = chart(area, labels, x.clone(), 0.0..self.layers.len() as f64)?;
        if x.contains(&0.0) && labels.title.is_empty() {
            let line = [(0.0, 0.0), (0.0, self.layers.len() as f64)];
            chart.draw_series(LineSeries::new(line, FAINT.stroke_width(1)))?;
        }
        for (row, layer) in self.layers.iter().rev().enumerate() {
            let y = row as f64 + 0.5;
            let [least, low, middle, high, most] = *numbers(layer);
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

fn quantiles(values: impl Iterator<Item = f32>, least: f32) -> [f64; 5] {
    let mut values: Vec<f32> = values.map(|value| value.max(least)).collect();
    values.sort_by(f32::total_cmp);
    let last = (values.len() - 1) as f64;
    SHARES.map(|share| f64::from(values[(share * last).round() as usize]).log10())
}

/// Height of a layer's row, and of all that is not rows, in pixels.
const ROW: u32 = 38;
const REST: u32 = 130;
/// Width of the names.
const NAMES: i32 = 330;

impl Draw for PosteriorPlot {
    fn contents(&self) -> (&'static str, usize) {
        ("weight with a posterior", self.layers.len())
    }

    fn size(&self) -> (u32, u32) {
        (1240, REST + ROW * self.layers.len() as u32)
    }

    fn draw<DB: DrawingBackend<ErrorType: 'static>>(&self, root: &Area<DB>) -> Drawn {
        let (head, body) = root.split_vertically(46);
        head.draw(&Text::new(self.title.as_str(), (20, 16), font(22)))?;
        let (names, panels) = body.split_horizontally(NAMES);
        let (left, right) = panels.split_horizontally(455);
        let plots = [
            (
                "σ",
                BLUE,
                (|layer| &layer.deviations) as fn(&Layer) -> &[f64; 5],
            ),
            ("|μ| / σ", VERMILION, |layer| &layer.ratios),
        ];
        for (area, (x, colour, numbers)) in [left, right].iter().zip(plots) {
            let labels = Labels {
                x,
                is_list: true,
                is_log: true,
                ..Labels::default()
            };
            self.panel(area, labels, colour, numbers)?;
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
