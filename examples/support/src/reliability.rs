//! A reliability diagram of two predictions: accuracy over confidence, before and after.

use std::error::Error;
use std::path::Path;

use blitz_train::metric::{expected_calibration_error, reliability_bins};
use blitz_train::plot::style::{self, BLUE, FAINT, VERMILION, font};
use blitz_train::plot::{self, PlotError};
use blitz_train::prelude::CategoricalMixture;
use plotters::prelude::*;

/// Those of the diagram and of the error in its legend, as many as of the calibration error everywhere else.
const BINS: usize = 15;

/// Writes a PNG of the accuracy in bins of confidence, for two predictions with their names; the size of a dot is the
/// root of its share.
pub fn reliability(
    path: &Path,
    predictions: [(&str, &CategoricalMixture); 2],
    labels: &[usize],
) -> Result<(), PlotError> {
    if labels.is_empty() {
        return Err(PlotError::Empty { what: "prediction" });
    }
    plot::write(path, |path| draw(path, predictions, labels))
}

fn draw(
    path: &Path,
    predictions: [(&str, &CategoricalMixture); 2],
    labels: &[usize],
) -> Result<(), Box<dyn Error>> {
    let root = BitMapBackend::new(path, (900, 900)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(
            "How often a prediction is right, by how sure it is",
            font(26),
        )
        .margin(20)
        .x_label_area_size(60)
        .y_label_area_size(70)
        .build_cartesian_2d(0.0..1.02f64, 0.0..1.02f64)?;
    style::mesh(&mut chart.configure_mesh())
        .x_desc("confidence")
        .y_desc("share that is right")
        .axis_desc_style(font(20))
        .label_style(font(17))
        .draw()?;
    chart.draw_series(LineSeries::new(
        [(0.0, 0.0), (1.0, 1.0)],
        FAINT.stroke_width(2),
    ))?;
    for ((name, predictions), colour) in predictions.into_iter().zip([VERMILION, BLUE]) {
        let (confidence, correct) = (predictions.confidence(), predictions.correct(labels));
        let bins = reliability_bins(&confidence, &correct, BINS);
        let bins: Vec<_> = bins.into_iter().filter(|bin| bin.count > 0).collect();
        let line = bins.iter().map(|bin| (bin.confidence, bin.accuracy));
        chart.draw_series(LineSeries::new(line, colour.mix(0.6).stroke_width(2)))?;
        let dots = bins.iter().map(|bin| {
            let share = bin.count as f64 / labels.len() as f64;
            let radius = 4 + (30.0 * share.sqrt()) as i32;
            Circle::new(
                (bin.confidence, bin.accuracy),
                radius,
                colour.mix(0.6).filled(),
            )
        });
        let error = expected_calibration_error(&confidence, &correct, BINS);
        let label = format!("{name}: calibration error {error:.3}, {BINS} bins");
        chart
            .draw_series(dots)?
            .label(label)
            .legend(move |(x, y)| Circle::new((x + 10, y), 7, colour.mix(0.6).filled()));
    }
    style::legend(&mut chart.configure_series_labels(), 18)
        .position(SeriesLabelPosition::UpperLeft)
        .border_style(FAINT)
        .draw()?;
    root.present()?;
    Ok(())
}
