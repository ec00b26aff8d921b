//! Calibration of a class at a time: each class's probability on whether it is the label, one against the rest, then
//! normalized (Zadrozny & Elkan 2002).

use crate::check;
use crate::error::InputError;

/// A fit for each class, by `fit` from its probabilities and whether it was the label.
pub(super) fn fit_each<F>(
    probabilities: &[f64],
    classes: usize,
    labels: &[usize],
    fit: impl Fn(&[f64], &[bool]) -> Result<F, InputError>,
) -> Result<Vec<F>, InputError> {
    check::classification(probabilities, classes, labels)?;
    let of_class = |class: usize| {
        let column = probabilities.iter().skip(class).step_by(classes);
        let column: Vec<f64> = column.copied().collect();
        let happened: Vec<bool> = labels.iter().map(|label| *label == class).collect();
        fit(&column, &happened)
    };
    (0..classes).map(of_class).collect()
}

/// The probabilities that `at` makes of the class's fit, normalized to sum to 1 in each row; equal ones where all are 0.
pub(super) fn apply_each<F>(
    fits: &[F],
    probabilities: &[f64],
    at: impl Fn(&F, f64) -> f64,
) -> Result<Vec<f64>, InputError> {
    let classes = fits.len();
    check::class_probabilities(probabilities, classes)?;
    let mut calibrated = Vec::with_capacity(probabilities.len());
    for row in probabilities.chunks(classes) {
        let start = calibrated.len();
        calibrated.extend(fits.iter().zip(row).map(|(fit, p)| at(fit, *p)));
        let fitted = &mut calibrated[start..];
        let sum: f64 = fitted.iter().sum();
        for p in fitted {
            *p = if sum > 0.0 {
                *p / sum
            } else {
                1.0 / classes as f64
            };
        }
    }
    Ok(calibrated)
}
