//! The forecasts as a band over time.

use std::error::Error;
use std::path::Path;

use blitz_train::Interval;
use blitz_train::plot::style::{self, BLUE, FAINT, INK, VERMILION, font, padded, tick};
use blitz_train::plot::{self, PlotError};
use example_support::series::Series;
use plotters::prelude::*;

use crate::report::Forecast;

const SIZE: (u32, u32) = (1400, 800);
/// More forecasts than this would blur: the plot shows the last ones.
const SHOWN: usize = 156;

/// Writes a PNG of the last forecasts: their 50 % and 95 % bands, their mean, and the values, those outside in another colour.
pub fn band(path: &Path, series: &Series, forecasts: &[Forecast]) -> Result<(), PlotError> {
    let finite =
        |f: &Forecast| f.mean.is_finite() && f.intervals.iter().all(|i| i.width().is_finite());
    if let Some(row) = forecasts.iter().position(|forecast| !finite(forecast)) {
        return Err(PlotError::NotFinite {
            what: "forecast",
            index: row,
        });
    }
    let shown = &forecasts[forecasts.len().saturating_sub(SHOWN)..];
    if shown.is_empty() {
        return Err(PlotError::Empty { what: "forecast" });
    }
    plot::write(path, |path| draw(path, series, shown))
}

fn draw(path: &Path, series: &Series, shown: &[Forecast]) -> Result<(), Box<dyn Error>> {
    let x = padded(shown.iter().map(|f| f.time), 0.01);
    let ends = |f: &Forecast| [f.intervals[2].lower, f.intervals[2].upper, f.truth];
    let y = padded(shown.iter().flat_map(ends), 0.04);

    let root = BitMapBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let inside = shown.iter().filter(|f| f.inside()).count();
    let title = format!(
        "{}: the 95 % band holds {inside} of the last {} values",
        series.name,
        shown.len()
    );
    let (head, body) = root.split_vertically(60);
    head.draw(&Text::new(title, (90, 20), font(28)))?;
    let mut chart = ChartBuilder::on(&body)
        .margin(15)
        .x_label_area_size(45)
        .y_label_area_size(75)
        .build_cartesian_2d(x.clone(), y.clone())?;
    style::mesh(&mut chart.configure_mesh())
        .y_desc(series.unit.as_str())
        .x_label_formatter(&|value| tick(*value, &x))
        .y_label_formatter(&|value| tick(*value, &y))
        .axis_desc_style(font(20))
        .label_style(font(17))
        .draw()?;

    for (level, opacity, label) in [(2, 0.15, "95 % interval"), (0, 0.35, "50 % interval")] {
        let ends = |f: &Forecast| {
            let Interval { lower, upper } = f.intervals[level];
            [(f.time, lower), (f.time, upper)]
        };
        let colour = BLUE.mix(opacity);
        let drawn = match shown {
            // An area of one time has no width.
            [one] => chart.draw_series([PathElement::new(ends(one), colour.stroke_width(16))])?,
            _ => {
                let upper = shown.iter().map(|f| ends(f)[1]);
                let lower = shown.iter().rev().map(|f| ends(f)[0]);
                let outline: Vec<_> = upper.chain(lower).collect();
                chart.draw_series([Polygon::new(outline, colour.filled())])?
            }
        };
        drawn
            .label(label)
            .legend(move |(x, y)| Rectangle::new([(x, y - 7), (x + 24, y + 7)], colour.filled()));
    }
    let line = BLUE.stroke_width(2);
    let drawn = match shown {
        [one] => chart.draw_series([Circle::new((one.time, one.mean), 7, BLUE.filled())])?,
        _ => chart.draw_series(LineSeries::new(
            shown.iter().map(|f| (f.time, f.mean)),
            line,
        ))?,
    };
    drawn
        .label("forecast")
        .legend(move |(x, y)| PathElement::new([(x, y), (x + 24, y)], line));
    for (wanted, colour, label) in [
        (true, INK, "value, in the 95 % interval"),
        (false, VERMILION, "value outside it"),
    ] {
        let values = shown.iter().filter(|f| f.inside() == wanted);
        chart
            .draw_series(values.map(|f| Circle::new((f.time, f.truth), 4, colour.filled())))?
            .label(label)
            .legend(move |(x, y)| Circle::new((x + 12, y), 4, colour.filled()));
    }
    style::legend(&mut chart.configure_series_labels(), 18)
        .position(SeriesLabelPosition::UpperLeft)
        .border_style(FAINT)
        .draw()?;
    root.present()?;
    Ok(())
}
