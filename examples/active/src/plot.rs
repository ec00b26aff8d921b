//! The accuracy by the number of labels, a curve and a band of a standard error for each method.

use std::error::Error;
use std::path::Path;

use blitz_train::plot::style::{CURVES, FAINT, font, tick};
use blitz_train::plot::{self, PlotError};
use example_support::MeanError;
use plotters::prelude::*;

use crate::learning::{Curve, Method};

const SIZE: (u32, u32) = (960, 640);

/// Writes a PNG.
pub fn accuracies(path: &Path, curves: &[Curve], target: f64) -> Result<(), PlotError> {
    plot::write(path, |path| draw(path, curves, target))
}

/// Labels, mean accuracy and its standard error in percent.
fn points(curves: &[Curve], method: Method) -> Vec<(f64, f64, f64)> {
    let curves: Vec<&Curve> = curves.iter().filter(|c| c.method == method).collect();
    let labels = curves.first().map_or(&[][..], |curve| &curve.labels);
    let labels = labels.iter().enumerate();
    labels
        .map(|(place, labels)| {
            let accuracies: Vec<f64> = curves.iter().map(|c| 100.0 * c.accuracy[place]).collect();
            let over = MeanError::of(&accuracies);
            // One course has a line and no band.
            let error = over.standard_error.unwrap_or(0.0);
            (*labels as f64, over.mean, error)
        })
        .collect()
}

fn draw(path: &Path, curves: &[Curve], target: f64) -> Result<(), Box<dyn Error>> {
    let all = Method::ALL.map(|method| points(curves, method));
    let labels = || all.iter().flatten().map(|point| point.0);
    let x = labels().fold(f64::INFINITY, f64::min)..labels().fold(1.0, f64::max) + 1.0;
    let lowest = all.iter().flatten().map(|point| point.1 - point.2);
    let y = (lowest.fold(target, f64::min) - 1.0).max(0.0)..100.0;

    let root = BitMapBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .margin(16)
        .caption(
            "Digits recognised, by how those to label are chosen",
            font(22),
        )
        .x_label_area_size(52)
        .y_label_area_size(64)
        .build_cartesian_2d(x.clone(), y.clone())?;
    chart
        .configure_mesh()
        .x_desc("labels")
        .y_desc("accuracy on the test digits, %")
        .axis_desc_style(font(17))
        .label_style(font(15))
        .x_label_formatter(&|value| tick(*value, &x))
        .y_label_formatter(&|value| tick(*value, &y))
        .axis_style(FAINT)
        .bold_line_style(BLACK.mix(0.08))
        .light_line_style(TRANSPARENT)
        .draw()?;
    let line = [(x.start, target), (x.end, target)];
    chart.draw_series(LineSeries::new(line, FAINT.stroke_width(2)))?;
    for ((method, points), colour) in Method::ALL.iter().zip(&all).zip(CURVES) {
        if points.is_empty() {
            continue;
        }
        let upper = points.iter().map(|(x, mean, error)| (*x, mean + error));
        let lower = points
            .iter()
            .rev()
            .map(|(x, mean, error)| (*x, mean - error));
        let band: Vec<(f64, f64)> = upper.chain(lower).collect();
        chart.draw_series([Polygon::new(band, colour.mix(0.15))])?;
        let means = points.iter().map(|(x, mean, _)| (*x, *mean));
        chart
            .draw_series(LineSeries::new(means, colour.stroke_width(3)))?
            .label(method.name())
            .legend(move |(x, y)| Rectangle::new([(x, y - 2), (x + 24, y + 2)], colour.filled()));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .label_font(font(17))
        .background_style(WHITE.mix(0.85))
        .border_style(TRANSPARENT)
        .margin(12)
        .draw()?;
    root.present()?;
    Ok(())
}
