//! How entropies are spread, on the test images and elsewhere.

use std::error::Error;
use std::path::Path;

use blitz_train::plot::style::{self, CURVES, INK, font};
use blitz_train::plot::{self, PlotError};
use blitz_train::prelude::CategoricalMixture;
use plotters::coord::Shift;
use plotters::prelude::*;

use crate::report::Predicted;

const SIZE: (u32, u32) = (1500, 480);
const HEAD: u32 = 50;
const BINS: usize = 24;

/// Writes a PNG with a panel for each model.
pub fn entropies(path: &Path, models: &[Predicted]) -> Result<(), PlotError> {
    plot::write(path, |path| draw(path, models))
}

/// The share of the predictions whose entropy is in each bin from 0 to `most`.
fn shares(predicted: &CategoricalMixture, most: f64) -> Vec<f64> {
    let entropy = predicted.entropy();
    let mut shares = vec![0.0; BINS];
    for value in &entropy {
        let bin = (value / most * BINS as f64) as usize;
        shares[bin.min(BINS - 1)] += 1.0 / entropy.len() as f64;
    }
    shares
}

fn draw(path: &Path, models: &[Predicted]) -> Result<(), Box<dyn Error>> {
    let root = BitMapBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let (head, body) = root.split_vertically(HEAD);
    let mut x = 24;
    let names = models
        .first()
        .map(|model| model.outside.iter().map(|(name, _)| *name));
    let names = ["test images"]
        .into_iter()
        .chain(names.into_iter().flatten());
    for (name, colour) in names.zip([INK].iter().chain(&CURVES)) {
        head.draw(&Rectangle::new([(x, 20), (x + 22, 26)], colour.filled()))?;
        let style = font(18);
        let (width, _) = head.estimate_text_size(name, &style)?;
        head.draw(&Text::new(name, (x + 30, 14), style))?;
        x += width as i32 + 64;
    }
    for (panel, model) in body.split_evenly((1, models.len())).iter().zip(models) {
        draw_panel(panel, model)?;
    }
    root.present()?;
    Ok(())
}

fn draw_panel(
    panel: &DrawingArea<BitMapBackend<'_>, Shift>,
    model: &Predicted,
) -> Result<(), Box<dyn Error>> {
    let most = (model.inside.classes() as f64).ln();
    let mut chart = ChartBuilder::on(panel)
        .margin(12)
        .caption(model.model, font(22))
        .x_label_area_size(48)
        .y_label_area_size(60)
        .build_cartesian_2d(0.0..most, 0.0..1.0)?;
    style::mesh(&mut chart.configure_mesh())
        .x_desc("entropy, nats")
        .y_desc("share of the images")
        .x_labels(5)
        .y_labels(6)
        .axis_desc_style(font(17))
        .label_style(font(15))
        .draw()?;
    let width = most / BINS as f64;
    let steps = |predicted: &CategoricalMixture| {
        let shares = shares(predicted, most).into_iter().enumerate();
        let ends = shares.flat_map(move |(bin, share)| {
            [
                (bin as f64 * width, share),
                ((bin + 1) as f64 * width, share),
            ]
        });
        ends.collect::<Vec<_>>()
    };
    let inside = steps(&model.inside);
    chart.draw_series(AreaSeries::new(inside, 0.0, INK.mix(0.3)))?;
    for ((_, predicted), colour) in model.outside.iter().zip(CURVES) {
        chart.draw_series(LineSeries::new(steps(predicted), colour.stroke_width(2)))?;
    }
    Ok(())
}
