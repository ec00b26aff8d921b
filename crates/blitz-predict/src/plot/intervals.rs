//! Predictive intervals over the true values.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::draw::{Area, Draw, Drawn, Labels, chart};
use super::error::{PlotError, check_one_each};
use super::style::{BLUE, FAINT, VERMILION, font, padded, percentage};
use crate::check;
use crate::distribution::Distribution;
use crate::error::InputError;
use crate::mixture::{Interval, Mixture};
use crate::percent::percent;

/// One prediction of an [`IntervalPlot`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct IntervalRow {
    /// What was seen.
    pub target: f64,
    /// The predicted mean.
    pub mean: f64,
    /// The inner interval.
    pub inner: Interval,
    /// The outer one, of the larger level.
    pub outer: Interval,
}

impl IntervalRow {
    /// All that is drawn along the vertical axis, the diagonal at the target among it.
    fn drawn(&self) -> [f64; 6] {
        let Self {
            target,
            mean,
            inner,
            outer,
        } = self;
        [
            *target,
            *mean,
            inner.lower,
            inner.upper,
            outer.lower,
            outer.upper,
        ]
    }
}

/// Predictive intervals of two levels, upright over the true values. A perfect prediction is on the diagonal, an
/// interval that holds its true value crosses it, and one whose outer interval misses it is vermilion. How many are
/// held is above the plot.
///
/// ```
/// use blitz_predict::plot::{IntervalPlot, Plot};
/// use blitz_predict::distribution::Normal;
/// use blitz_predict::NormalMixture;
///
/// # fn main() -> Result<(), blitz_predict::plot::PlotError> {
/// let predicted = [1.0, 2.0, 3.0].map(|mean| Normal { mean, std: 0.5 }).to_vec();
/// let predictive = NormalMixture::from_draws([predicted], 1);
/// let plot = IntervalPlot::of(&predictive, &[1.2, 1.9, 6.0], [0.75, 0.95])?.with_unit("thousand dollars");
/// assert!(plot.to_svg()?.contains("the 95 % interval: 2 of 3"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct IntervalPlot {
    title: String,
    unit: String,
    levels: [f64; 2],
    rows: Vec<IntervalRow>,
}

impl IntervalPlot {
    /// The central intervals of predictive distributions, `levels` the inner's and the outer's.
    ///
    /// # Errors
    ///
    /// As [`from_rows`](Self::from_rows), and for a number of targets that is not the predictions'.
    pub fn of<C: Distribution>(
        predictive: &Mixture<C>,
        targets: &[f64],
        levels: [f64; 2],
    ) -> Result<Self, PlotError> {
        check_one_each("targets", predictive, targets.len())?;
        check_levels(levels)?;
        let [inner, outer] = levels.map(|level| predictive.interval(level));
        let means = predictive.mean();
        let rows = (0..targets.len()).map(|row| IntervalRow {
            target: targets[row],
            mean: means[row],
            inner: inner[row],
            outer: outer[row],
        });
        Self::from_rows(rows.collect(), levels)
    }

    /// Intervals of any making.
    ///
    /// # Errors
    ///
    /// Returns an error without rows, for a number that is not finite, for a level that is not inside (0, 1), and if
    /// the inner level is above the outer one.
    pub fn from_rows(rows: Vec<IntervalRow>, levels: [f64; 2]) -> Result<Self, PlotError> {
        let what = "prediction";
        if rows.is_empty() {
            return Err(PlotError::Empty { what });
        }
        let is_finite = |row: &IntervalRow| row.drawn().iter().all(|number| number.is_finite());
        if let Some(index) = rows.iter().position(|row| !is_finite(row)) {
            return Err(PlotError::NotFinite { what, index });
        }
        check_levels(levels)?;
        Ok(Self {
            title: "Predictive intervals".into(),
            unit: String::new(),
            levels,
            rows,
        })
    }

    /// With another title.
    #[must_use]
    pub fn with_title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// With the target's unit at the axes.
    #[must_use]
    pub fn with_unit(mut self, unit: impl Into<String>) -> Self {
        self.unit = unit.into();
        self
    }

    fn head<DB: DrawingBackend<ErrorType: 'static>>(&self, head: &Area<DB>) -> Drawn {
        let n = self.rows.len();
        let held = |level: f64, interval: fn(&IntervalRow) -> Interval| {
            let count = self
                .rows
                .iter()
                .filter(|row| interval(row).contains(row.target))
                .count();
            format!(
                "the {} % interval: {count} of {n} ({} %)",
                percent(level),
                percentage(count, n)
            )
        };
        let [inner, outer] = self.levels;
        let coverage = format!(
            "True values held by {}, by {}",
            held(inner, |row| row.inner),
            held(outer, |row| row.outer)
        );
        head.draw(&Text::new(self.title.as_str(), (92, 18), font(26)))?;
        head.draw(&Text::new(coverage, (92, 56), font(18)))?;
        let mut x = 92;
        let mut entry = |width: i32, label: &str| -> Result<i32, Box<dyn std::error::Error>> {
            let style = font(17).pos(Pos::new(HPos::Left, VPos::Center));
            let (text_width, _) = head.estimate_text_size(label, &style)?;
            let start = x;
            // The font's centre lies above that of its small letters.
            let at = (start + width + 9, MIDDLE + 3);
            head.draw(&Text::new(label.to_string(), at, style))?;
            x += width + 9 + text_width as i32 + 30;
            Ok(start)
        };
        let upright = |x, style| PathElement::new([(x, MIDDLE - 11), (x, MIDDLE + 11)], style);
        let (held, missed) = (Styles::of(true), Styles::of(false));
        let [inner, outer] = self.levels.map(percent);
        let x = entry(2 * DOT, &format!("mean, truth in the {outer} % interval"))?;
        head.draw(&Circle::new((x + DOT, MIDDLE), DOT, held.dot))?;
        let x = entry(2 * DOT, "mean, truth outside it")?;
        head.draw(&Circle::new((x + DOT, MIDDLE), DOT, missed.dot))?;
        let x = entry(8, &format!("{inner} % interval"))?;
        head.draw(&upright(x + 4, held.thick))?;
        let x = entry(4, &format!("{outer} % interval"))?;
        head.draw(&upright(x + 2, held.thin))?;
        let x = entry(30, "prediction = truth")?;
        let line = [(x, MIDDLE), (x + 30, MIDDLE)];
        head.draw(&PathElement::new(line, FAINT.stroke_width(2)))?;
        Ok(())
    }
}

fn check_levels(levels: [f64; 2]) -> Result<(), InputError> {
    for level in levels {
        check::level(level)?;
    }
    let [inner, outer] = levels;
    if inner <= outer {
        return Ok(());
    }
    Err(InputError::Setting {
        what: "the level of the inner interval",
        value: inner,
        range: "at most that of the outer one",
    })
}

/// Where the legend is, in pixels from the top.
const MIDDLE: i32 = 96;
/// Radius of a predicted mean.
const DOT: i32 = 5;

/// How the rows are drawn whose true value the outer interval holds, or misses.
struct Styles {
    thin: ShapeStyle,
    thick: ShapeStyle,
    dot: ShapeStyle,
}

impl Styles {
    fn of(held: bool) -> Self {
        let colour = if held { BLUE } else { VERMILION };
        Self {
            thin: colour.mix(0.6).stroke_width(2),
            thick: colour.mix(0.35).stroke_width(8),
            dot: colour.filled(),
        }
    }
}

impl Draw for IntervalPlot {
    fn contents(&self) -> (&'static str, usize) {
        ("prediction", self.rows.len())
    }

    fn size(&self) -> (u32, u32) {
        (1400, 900)
    }

    fn draw<DB: DrawingBackend<ErrorType: 'static>>(&self, root: &Area<DB>) -> Drawn {
        let (head, body) = root.split_vertically(118);
        self.head(&head)?;
        let rows = &self.rows;
        let x = padded(rows.iter().map(|row| row.target), 0.02);
        let y = padded(rows.iter().flat_map(IntervalRow::drawn), 0.03);
        let with_unit = |what: &str| match self.unit.is_empty() {
            true => what.to_string(),
            false => format!("{what} ({})", self.unit),
        };
        let labels = Labels {
            x: &with_unit("true value"),
            y: &with_unit("predicted value"),
            ..Labels::default()
        };
        let mut chart = chart(&body, labels, x.clone(), y.clone())?;
        // The diagonal only as far as both axes go.
        let ends = [x.start.max(y.start), x.end.min(y.end)];
        if ends[0] < ends[1] {
            let diagonal = ends.map(|end| (end, end));
            chart.draw_series(LineSeries::new(diagonal, FAINT.stroke_width(2)))?;
        }
        // Those outside last: they are few, and the ones to see.
        for held in [true, false] {
            let rows = || {
                rows.iter()
                    .filter(move |row| row.outer.contains(row.target) == held)
            };
            let styles = Styles::of(held);
            let bar = |x, interval: Interval, style: ShapeStyle| {
                PathElement::new([(x, interval.lower), (x, interval.upper)], style)
            };
            chart.draw_series(rows().map(|row| bar(row.target, row.outer, styles.thin)))?;
            chart.draw_series(rows().map(|row| bar(row.target, row.inner, styles.thick)))?;
            chart.draw_series(
                rows().map(|row| Circle::new((row.target, row.mean), DOT, styles.dot)),
            )?;
        }
        Ok(())
    }
}
