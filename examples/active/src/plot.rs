//! The accuracy by the number of labels, a curve and a band of a standard error for each method.

use std::error::Error;
use std::path::Path;

use blitz_train::plot::style::{self, CURVES, FAINT, font, tick};
use blitz_train::plot::{self, PlotError};
use example_support::MeanError;
use plotters::coord::Shift;
use plotters::prelude::*;

use crate::learning::{Curve, Method};

const SIZE: (u32, u32) = (960, 640);

/// Writes a PNG.
pub fn accuracies(path: &Path, curves: &[Curve], target: f64) -> Result<(), PlotError> {
    plot::write(path, |path| {
        let root = BitMapBackend::new(path, SIZE).into_drawing_area();
        draw(&root, curves, target)
    })
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

fn draw(
    root: &DrawingArea<BitMapBackend<'_>, Shift>,
    curves: &[Curve],
    target: f64,
) -> Result<(), Box<dyn Error>> {
    let all = Method::ALL.map(|method| points(curves, method));
    let labels = || all.iter().flatten().map(|point| point.0);
    let least = labels().fold(f64::INFINITY, f64::min);
    let most = labels().fold(1.0, f64::max);
    // A course that ends where it starts is a point, in the middle.
    let before = if least == most { 1.0 } else { 0.0 };
    let x = least - before..most + 1.0;
    let lowest = all.iter().flatten().map(|point| point.1 - point.2);
    let y = (lowest.fold(target, f64::min) - 1.0).max(0.0)..100.0;

    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(root)
        .margin(16)
        .caption(
            "Digits recognised, by how those to label are chosen",
            font(22),
        )
        .x_label_area_size(52)
        .y_label_area_size(64)
        .build_cartesian_2d(x.clone(), y.clone())?;
    style::mesh(&mut chart.configure_mesh())
        .x_desc("labels")
        .y_desc("accuracy on the test digits, %")
        .axis_desc_style(font(17))
        .label_style(font(15))
        .x_label_formatter(&|value| tick(*value, &x))
        .y_label_formatter(&|value| tick(*value, &y))
        .draw()?;
    let line = [(x.start, target), (x.end, target)];
    chart
        .draw_series(LineSeries::new(line, FAINT.stroke_width(2)))?
        .label(format!("{target} %, the target"))
        .legend(|(x, y)| Rectangle::new([(x, y - 1), (x + 24, y + 1)], FAINT.filled()));
    for ((method, points), colour) in Method::ALL.iter().zip(&all).zip(CURVES) {
        if points.is_empty() {
            continue;
        }
        // No share of the digits is above all of them.
        let ends = |(x, mean, error): &(f64, f64, f64)| {
            [mean + error, mean - error].map(|end| (*x, end.clamp(y.start, y.end)))
        };
        let means = points.iter().map(|(x, mean, _)| (*x, *mean));
        let drawn = if let [point] = &points[..] {
            let bar = PathElement::new(ends(point), colour.stroke_width(2));
            chart.draw_series([bar])?;
            chart.draw_series(means.map(|mean| Circle::new(mean, 5, colour.filled())))?
        } else {
            let upper = points.iter().map(|point| ends(point)[0]);
            let lower = points.iter().rev().map(|point| ends(point)[1]);
            let band: Vec<(f64, f64)> = upper.chain(lower).collect();
            chart.draw_series([Polygon::new(band, colour.mix(0.15))])?;
            chart.draw_series(LineSeries::new(means, colour.stroke_width(3)))?
        };
        drawn
            .label(method.name())
            .legend(move |(x, y)| Rectangle::new([(x, y - 2), (x + 24, y + 2)], colour.filled()));
    }
    if all.iter().flatten().any(|(_, _, error)| *error > 0.0) {
        chart
            .draw_series(LineSeries::new([], TRANSPARENT))?
            .label("± a standard error")
            .legend(|(x, y)| {
                Rectangle::new([(x, y - 7), (x + 24, y + 7)], FAINT.mix(0.3).filled())
            });
    }
    style::legend(&mut chart.configure_series_labels(), 17)
        .position(SeriesLabelPosition::LowerRight)
        .border_style(TRANSPARENT)
        .margin(12)
        .draw()?;
    root.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether each method's colour is in the left part of the picture, where the legend is not.
    fn is_drawn(curves: &[Curve]) -> [bool; 4] {
        let mut pixels = vec![0; (3 * SIZE.0 * SIZE.1) as usize];
        {
            plot::style::register_fonts();
            let root = BitMapBackend::with_buffer(&mut pixels, SIZE).into_drawing_area();
            draw(&root, curves, 50.0).unwrap();
        }
        let rows = pixels.chunks(3 * SIZE.0 as usize);
        let left: Vec<&[u8]> = rows.flat_map(|row| row[..1800].chunks(3)).collect();
        let colours = [0, 1, 2, 3].map(|method| CURVES[method]);
        colours.map(|RGBColor(r, g, b)| left.contains(&&[r, g, b][..]))
    }

    fn curve(method: Method, seed: u64, labels: &[usize], accuracy: &[f64]) -> Curve {
        Curve {
            method,
            seed,
            labels: labels.to_vec(),
            accuracy: accuracy.to_vec(),
        }
    }

    #[test]
    fn a_course_that_ends_where_it_starts_is_drawn() {
        for seeds in [1, 3] {
            let curves = Method::ALL.iter().zip([0.2, 0.4, 0.6, 0.9]);
            let curves = curves.flat_map(|(method, accuracy)| {
                (0..seeds)
                    .map(move |seed| curve(*method, seed, &[20], &[accuracy + 0.02 * seed as f64]))
            });
            assert_eq!(is_drawn(&curves.collect::<Vec<_>>()), [true; 4]);
        }
    }

    #[test]
    fn courses_are_lines() {
        let curves = Method::ALL.iter().zip([0.2, 0.4, 0.6, 0.9]);
        let curves = curves.map(|(method, last)| curve(*method, 0, &[20, 24], &[0.1, last]));
        assert_eq!(is_drawn(&curves.collect::<Vec<_>>()), [true; 4]);
    }
}
