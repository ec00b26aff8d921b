//! One panel for each band, all with the same axes.

use std::error::Error;
use std::path::Path;

use example_support::plot::{self, BLUE, FAINT, INK, PlotError, VERMILION, font};
use plotters::coord::Shift;
use plotters::prelude::*;

use crate::curve::{Points, RANGE, truth};
use crate::{Band, grid};

/// Width and height of a panel, and the strip above all of them, in pixels.
const PANEL: (u32, u32) = (440, 320);
const HEAD: u32 = 60;
/// What of the target is shown.
const SHOWN: (f64, f64) = (-4.0, 4.0);

/// Writes a PNG of all bands.
pub fn bands(path: &Path, points: &Points, bands: &[Band]) -> Result<(), PlotError> {
    if bands.is_empty() {
        return Err(PlotError::NoRows);
    }
    plot::write(path, || draw(path, points, bands))
}

fn draw(path: &Path, points: &Points, bands: &[Band]) -> Result<(), Box<dyn Error>> {
    let columns = bands.len().min(4);
    let rows = bands.len().div_ceil(columns);
    let size = (
        PANEL.0 * columns.max(2) as u32,
        HEAD + PANEL.1 * rows as u32,
    );
    let root = BitMapBackend::new(path, size).into_drawing_area();
    root.fill(&WHITE)?;
    let (head, body) = root.split_vertically(HEAD);
    let legend = "points, the curve they came from (dashed), the mean, two epistemic deviations (dark), 95 % of new observations (light)";
    let short = "dashed: the curve; dark: two epistemic deviations; light: 95 % of observations";
    let legend = if columns > 2 { legend } else { short };
    head.draw(&Text::new(legend, (20, 22), font(19)))?;
    for (panel, band) in body.split_evenly((rows, columns)).iter().zip(bands) {
        draw_band(panel, points, band)?;
    }
    root.present()?;
    Ok(())
}

fn draw_band(
    panel: &DrawingArea<BitMapBackend<'_>, Shift>,
    points: &Points,
    band: &Band,
) -> Result<(), Box<dyn Error>> {
    let mut chart = ChartBuilder::on(panel)
        .margin(8)
        .caption(&band.name, font(22))
        .x_label_area_size(28)
        .y_label_area_size(36)
        .build_cartesian_2d(RANGE.0..RANGE.1, SHOWN.0..SHOWN.1)?;
    chart
        .configure_mesh()
        .x_labels(5)
        .y_labels(5)
        .x_label_formatter(&|value| format!("{value:.0}"))
        .y_label_formatter(&|value| format!("{value:.0}"))
        .label_style(font(15))
        .axis_style(FAINT)
        .bold_line_style(BLACK.mix(0.08))
        .light_line_style(TRANSPARENT)
        .draw()?;

    let grid = grid();
    let shown = |value: f64| value.clamp(SHOWN.0, SHOWN.1);
    let mean = band.predictive.mean();
    let epistemic = band.predictive.epistemic_std();
    let intervals = band.predictive.interval(0.95);
    let observed = intervals.iter().map(|i| (i.lower, i.upper)).collect();
    let function: Vec<_> = mean
        .iter()
        .zip(&epistemic)
        .map(|(mean, std)| (mean - 2.0 * std, mean + 2.0 * std))
        .collect();
    let bands: [(Vec<(f64, f64)>, f64); 2] = [(observed, 0.15), (function, 0.35)];
    for (ends, opacity) in bands {
        let upper = grid
            .iter()
            .zip(&ends)
            .map(|(x, (_, high))| (*x, shown(*high)));
        let lower = grid
            .iter()
            .zip(&ends)
            .map(|(x, (low, _))| (*x, shown(*low)));
        let outline: Vec<_> = upper.chain(lower.rev()).collect();
        chart.draw_series([Polygon::new(outline, BLUE.mix(opacity).filled())])?;
    }
    let curve = grid.iter().map(|x| (*x, truth(*x)));
    chart.draw_series(DashedLineSeries::new(curve, 6, 5, INK.stroke_width(1)))?;
    let line = grid.iter().zip(&mean).map(|(x, mean)| (*x, shown(*mean)));
    chart.draw_series(LineSeries::new(line, BLUE.stroke_width(2)))?;
    let seen = points.x.iter().zip(&points.y);
    chart.draw_series(seen.map(|(x, y)| Circle::new((*x, *y), 2, VERMILION.filled())))?;
    Ok(())
}
