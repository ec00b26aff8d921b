//! From a plot to a file.

use std::error::Error;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use plotters::coord::Shift;
use plotters::prelude::*;

use super::axis::Axis;
use super::error::PlotError;
use super::style::{self, AxisLabels, CURVES, FAINT, font, power_of_ten, register_fonts};
use crate::place::in_place;

/// Where plots are drawn.
pub(super) type Area<DB> = DrawingArea<DB, Shift>;
/// A chart with two linear axes.
pub(super) type Chart<'a, DB> = ChartContext<'a, DB, Cartesian2d<Axis, Axis>>;
pub(super) type Drawn = Result<(), Box<dyn Error>>;

/// What a plot must be able to do; private, so that what a plot is stays ours.
pub trait Draw {
    /// What there is to show, and how many of it; none is refused.
    fn contents(&self) -> (&'static str, usize);

    /// An error for numbers that no plot can show, unless they were refused when they were given.
    fn check(&self) -> Result<(), PlotError> {
        Ok(())
    }

    /// Width and height in pixels.
    fn size(&self) -> (u32, u32);

    /// Draws it.
    fn draw<DB: DrawingBackend<ErrorType: 'static>>(
        &self,
        root: &DrawingArea<DB, Shift>,
    ) -> Result<(), Box<dyn Error>>;
}

/// A picture that can be written.
pub trait Plot: Draw {
    /// Writes it as PNG or SVG, by the path's extension.
    ///
    /// # Errors
    ///
    /// Returns an error for another extension, if there is nothing to show, for a number that can't be shown, and if
    /// the file can't be written.
    fn save(&self, path: impl AsRef<Path>) -> Result<(), PlotError> {
        check_contents(self)?;
        let path = path.as_ref();
        let extension = path.extension().and_then(|extension| extension.to_str());
        match extension.map(str::to_ascii_lowercase).as_deref() {
            Some("png") => write(path, |path| {
                painted(BitMapBackend::new(path, self.size()), self)
            }),
            Some("svg") => {
                let text = self.to_svg()?;
                write(path, |path| Ok(std::fs::write(path, text)?))
            }
            _ => Err(PlotError::Extension { path: path.into() }),
        }
    }

    /// The SVG itself, for a notebook or a page.
    ///
    /// # Errors
    ///
    /// Returns an error if there is nothing to show, for a number that can't be shown, or if the plot can't be drawn.
    fn to_svg(&self) -> Result<String, PlotError> {
        check_contents(self)?;
        register_fonts();
        let mut text = String::new();
        painted(SVGBackend::with_string(&mut text, self.size()), self)
            .map_err(|error| not_written(Path::new(""), error))?;
        Ok(text)
    }
}

impl<T: Draw> Plot for T {}

fn check_contents(plot: &(impl Draw + ?Sized)) -> Result<(), PlotError> {
    match plot.contents() {
        (what, 0) => Err(PlotError::Empty { what }),
        _ => plot.check(),
    }
}

fn not_written(path: &Path, error: Box<dyn Error>) -> PlotError {
    match error.downcast() {
        // What can't be drawn has its own reason.
        Ok(error) => *error,
        Err(error) => PlotError::NotWritten {
            path: PathBuf::from(path),
            reason: error.to_string(),
        },
    }
}

fn painted<DB: DrawingBackend<ErrorType: 'static>>(
    backend: DB,
    plot: &(impl Draw + ?Sized),
) -> Drawn {
    let root = backend.into_drawing_area();
    root.fill(&WHITE)?;
    plot.draw(&root)?;
    root.present()?;
    Ok(())
}

/// Has `draw` write a picture to the file that it is told of, which then takes the place of `path`, with a font to hand
/// and the error named: for plots of your own. A program that is killed leaves the picture before, or none.
///
/// # Errors
///
/// Returns an error if the file can't be written.
pub fn write(
    path: &Path,
    draw: impl FnOnce(&Path) -> Result<(), Box<dyn Error>>,
) -> Result<(), PlotError> {
    let drawn = in_place(path, |part| -> Drawn {
        // Plotters would bury what the operating system says under four layers of its own.
        File::create(part)?;
        register_fonts();
        draw(part)
    });
    drawn.map_err(|error| not_written(path, error))
}

/// The size of the numbers at the axes.
const LABEL: i32 = 16;
/// The pixels around a chart.
const MARGIN: u32 = 14;

/// What a chart is labelled with.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Labels<'a> {
    pub title: &'a str,
    pub x: &'a str,
    pub y: &'a str,
    /// Whether the vertical axis is one of names, which have no numbers.
    pub is_list: bool,
    /// Whether the horizontal axis has the logarithms of its numbers, to base 10.
    pub is_log: bool,
}

/// A chart with axes in the style of all plots. Plotters never ends on an axis without a finite length.
pub(super) fn chart<'a, DB: DrawingBackend<ErrorType: 'static>>(
    area: &'a Area<DB>,
    labels: Labels<'_>,
    x: Range<f64>,
    y: Range<f64>,
) -> Result<Chart<'a, DB>, Box<dyn Error>> {
    check_axis("horizontal", &x)?;
    check_axis("vertical", &y)?;
    let (across, up) = (AxisLabels::of(&x), AxisLabels::of(&y));
    let (what, which) = (labels.x, up.described(labels.y));
    let what = if labels.is_log {
        what.into()
    } else {
        across.described(what)
    };
    // Beside the widest label a tick and, if there is one, the description, on its side.
    let beside = up.width(LABEL) + if which.is_empty() { 12 } else { 38 };
    let left = match (labels.is_list, which.is_empty()) {
        (true, _) => 12,
        (false, true) => beside.max(52),
        (false, false) => beside.max(78),
    };
    let width = area.dim_in_pixel().0.saturating_sub(left + 2 * MARGIN);
    let room = 4 * width / (5 * across.width(LABEL).max(1));
    let mut builder = ChartBuilder::on(area);
    builder
        .margin(MARGIN)
        .x_label_area_size(if what.is_empty() { 34 } else { 56 })
        .y_label_area_size(left);
    if !labels.title.is_empty() {
        builder.caption(labels.title, font(22));
    }
    let mut chart = builder.build_cartesian_2d(Axis(x.clone()), Axis(y.clone()))?;
    style::mesh(&mut chart.configure_mesh())
        .x_desc(what)
        .y_desc(which)
        .max_light_lines(0)
        .x_labels(if labels.is_log {
            7
        } else {
            room.clamp(2, 7) as usize
        })
        .y_labels(if labels.is_list { 0 } else { 7 })
        .x_label_formatter(&|value| match labels.is_log {
            true => power_of_ten(*value, &x),
            false => across.at(*value),
        })
        .y_label_formatter(&|value| up.at(*value))
        .axis_desc_style(font(19))
        .label_style(font(LABEL))
        .draw()?;
    Ok(chart)
}

fn check_axis(axis: &'static str, range: &Range<f64>) -> Result<(), PlotError> {
    let (low, high) = (range.start, range.end);
    match (high - low).is_finite() {
        true => Ok(()),
        false => Err(PlotError::Axis { axis, low, high }),
    }
}

/// A line, or a dot if all of its points are one.
pub(super) fn line<DB: DrawingBackend<ErrorType: 'static>>(
    points: Vec<(f64, f64)>,
    style: ShapeStyle,
) -> DynElement<'static, DB, (f64, f64)> {
    match points.first() {
        Some(first) if points.iter().all(|point| point == first) => {
            Circle::new(*first, 3, style.filled()).into_dyn()
        }
        _ => PathElement::new(points, style).into_dyn(),
    }
}

/// Named curves in the colours of [`CURVES`], and their legend in one corner.
pub(super) fn curves<'a, DB, I>(
    chart: &mut Chart<'a, DB>,
    curves: impl IntoIterator<Item = (String, I)>,
    position: SeriesLabelPosition,
) -> Drawn
where
    DB: DrawingBackend<ErrorType: 'static> + 'a,
    I: Iterator<Item = (f64, f64)>,
{
    for ((name, points), colour) in curves.into_iter().zip(CURVES.iter().cycle()) {
        let style = colour.stroke_width(2);
        chart
            .draw_series([line(points.collect(), style)])?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 22, y)], style));
    }
    style::legend(&mut chart.configure_series_labels(), 17)
        .position(position)
        .margin(12)
        .border_style(FAINT.mix(0.5))
        .draw()?;
    Ok(())
}
