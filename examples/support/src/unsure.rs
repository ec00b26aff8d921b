//! The test images that the draws agree about least.

use std::error::Error;
use std::path::Path;

use crate::classification::Data;
use crate::images::Images;
use blitz_train::plot::style::{BLUE, VERMILION, font};
use blitz_train::plot::{self, PlotError};
use blitz_train::prelude::CategoricalMixture;
use plotters::prelude::*;

/// Images in a row of the plot, and its rows.
const COLUMNS: usize = 6;
const ROWS: usize = 3;

/// Height and width of one image and of its captions.
const CELL: (i32, i32) = (190, 230);
const HEAD: i32 = 50;

/// Writes a PNG of the test images with the largest mutual information, each with its label and the two most probable
/// classes.
pub fn most_unsure(
    path: &Path,
    data: &Data,
    predictions: &CategoricalMixture,
) -> Result<(), PlotError> {
    let images = &data.test;
    if images.is_empty() {
        return Err(PlotError::Empty { what: "test image" });
    }
    let information = predictions.mutual_information();
    let mut order: Vec<usize> = (0..images.len()).collect();
    order.sort_by(|a, b| information[*b].total_cmp(&information[*a]));
    order.truncate(COLUMNS * ROWS);
    plot::write(path, |path| draw(path, data, predictions, &order))
}

fn draw(
    path: &Path,
    data: &Data,
    predictions: &CategoricalMixture,
    order: &[usize],
) -> Result<(), Box<dyn Error>> {
    let size = (
        (CELL.0 * COLUMNS as i32) as u32,
        (HEAD + CELL.1 * ROWS as i32) as u32,
    );
    let root = BitMapBackend::new(path, size).into_drawing_area();
    root.fill(&WHITE)?;
    root.draw(&Text::new(
        "What the draws disagree about most",
        (20, 14),
        font(26),
    ))?;
    let information = predictions.mutual_information();
    for (cell, &index) in order.iter().enumerate() {
        let corner = (
            CELL.0 * (cell % COLUMNS) as i32 + 20,
            HEAD + CELL.1 * (cell / COLUMNS) as i32,
        );
        draw_image(&root, &data.test, index, corner)?;

        let label = usize::from(data.test.labels[index]);
        let probabilities = predictions.probabilities(index);
        let mut classes: Vec<usize> = (0..probabilities.len()).collect();
        classes.sort_by(|a, b| probabilities[*b].total_cmp(&probabilities[*a]));
        let share = |class: usize| {
            format!(
                "{}: {:.0} %",
                data.classes[class],
                100.0 * probabilities[class]
            )
        };
        let caption = format!("{}, {}", share(classes[0]), share(classes[1]));
        let colour = if classes[0] == label { BLUE } else { VERMILION };
        let below = corner.1 + CELL.0 - 40;
        root.draw(&Text::new(
            caption,
            (corner.0, below + 6),
            font(16).color(&colour),
        ))?;
        let truth = format!("is {}; {:.2} nats", data.classes[label], information[index]);
        root.draw(&Text::new(truth, (corner.0, below + 28), font(16)))?;
    }
    root.present()?;
    Ok(())
}

/// One image, grey or in colour, each pixel as a square.
fn draw_image(
    root: &DrawingArea<BitMapBackend<'_>, plotters::coord::Shift>,
    images: &Images,
    index: usize,
    corner: (i32, i32),
) -> Result<(), Box<dyn Error>> {
    let [_, height, width] = images.shape;
    let side = (CELL.0 - 40) / height.max(width) as i32;
    let planes: Vec<&[u8]> = images.image(index).chunks(height * width).collect();
    for (i, first) in planes[0].iter().enumerate() {
        let (row, column) = ((i / width) as i32, (i % width) as i32);
        let from = (corner.0 + column * side, corner.1 + row * side);
        let colour = match planes.as_slice() {
            [red, green, blue] => RGBColor(red[i], green[i], blue[i]),
            // Ink on paper.
            _ => RGBColor(255 - first, 255 - first, 255 - first),
        };
        let square = [from, (from.0 + side, from.1 + side)];
        root.draw(&Rectangle::new(square, colour.filled()))?;
    }
    Ok(())
}
