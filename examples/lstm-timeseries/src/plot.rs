//! The forecasts as a band over time.

use std::error::Error;
use std::path::Path;

use blitz_train::Interval;
use blitz_train::plot::style::{self, AxisLabels, BLUE, FAINT, INK, VERMILION, font, padded};
use blitz_train::plot::{self, PlotError};
use example_support::series::Series;
use plotters::prelude::*;

use crate::report::Forecast;

const SIZE: (u32, u32) = (1400, 800);
/// More forecasts than this would blur: the plot shows the last ones.
const SHOWN: usize = 156;
/// The size of the numbers at the axes.
const LABEL: i32 = 17;

type Element<'a> = DynElement<'static, BitMapBackend<'a>, (f64, f64)>;

/// Writes a PNG of the last forecasts: their 50 % and 95 % bands, their mean, and the values, those outside in another
/// colour. Bands and mean end where there is no forecast.
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
    let (across, up) = (AxisLabels::of(&x), AxisLabels::of(&y));
    let unit = match series.unit.as_str() {
        "" => "value",
        unit => unit,
    };
    let mut chart = ChartBuilder::on(&body)
        .margin(15)
        .x_label_area_size(65)
        .y_label_area_size((up.width(LABEL) + 40).max(75))
        .build_cartesian_2d(x, y)?;
    style::mesh(&mut chart.configure_mesh())
        .x_desc(across.described("time"))
        .y_desc(up.described(unit))
        .x_label_formatter(&|value| across.at(*value))
        .y_label_formatter(&|value| up.at(*value))
        .axis_desc_style(font(20))
        .label_style(font(LABEL))
        .draw()?;

    let runs: Vec<&[Forecast]> = shown.chunk_by(|a, b| b.place == a.place + 1).collect();
    // A forecast without neighbours has a bar for a band, which has no width, and a dot for a line.
    let (bar, dot) = if runs.len() == 1 { (16, 7) } else { (4, 3) };
    for (level, opacity, label) in [(2, 0.15, "95 % interval"), (0, 0.35, "50 % interval")] {
        let ends = |f: &Forecast| {
            let Interval { lower, upper } = f.intervals[level];
            [(f.time, lower), (f.time, upper)]
        };
        let colour = BLUE.mix(opacity);
        let band = |run: &&[Forecast]| -> Element<'_> {
            match run {
                [one] => PathElement::new(ends(one), colour.stroke_width(bar)).into_dyn(),
                run => {
                    let upper = run.iter().map(|f| ends(f)[1]);
                    let lower = run.iter().rev().map(|f| ends(f)[0]);
                    let outline: Vec<_> = upper.chain(lower).collect();
                    Polygon::new(outline, colour.filled()).into_dyn()
                }
            }
        };
        chart
            .draw_series(runs.iter().map(band))?
            .label(label)
            .legend(move |(x, y)| Rectangle::new([(x, y - 7), (x + 24, y + 7)], colour.filled()));
    }
    let line = BLUE.stroke_width(2);
    let mean = |run: &&[Forecast]| -> Element<'_> {
        match run {
            [one] => Circle::new((one.time, one.mean), dot, BLUE.filled()).into_dyn(),
            run => {
                let points: Vec<_> = run.iter().map(|f| (f.time, f.mean)).collect();
                PathElement::new(points, line).into_dyn()
            }
        }
    };
    chart
        .draw_series(runs.iter().map(mean))?
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
