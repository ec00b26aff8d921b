//! The bands beside each other.

use std::path::Path;

use blitz_train::NormalMixture;
use blitz_train::plot::{Band, Bands, Plot, PlotError};

use crate::curve::{Points, truth};
use crate::grid;

/// Draws each way's band about the points, with the curve that made them.
///
/// # Errors
///
/// If there is nothing to draw, or if the file can't be written.
pub fn save_bands(
    path: &Path,
    points: &Points,
    bands: &[(String, NormalMixture)],
) -> Result<(), PlotError> {
    let picture = bands
        .iter()
        .try_fold(Bands::new("x", "y"), |picture, (name, predictive)| {
            let band = Band::of(name.clone(), &grid(), predictive)?
                .with_points(points.pairs())
                .with_truth(grid().into_iter().map(|x| (x, truth(x))));
            Ok::<_, PlotError>(picture.panel(band))
        })?;
    picture.with_range(-4.0, 4.0).save(path)
}
