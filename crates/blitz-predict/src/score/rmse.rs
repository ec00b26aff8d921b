//! The root mean square error of the predictive mean.

use crate::check;
use crate::error::{InputError, or_panic};
use crate::numbers::root_mean_square;

/// `√(1/n Σ (μ_i − y_i)²)`, the root mean square error of point predictions.
///
/// In the units of the targets, at least 0, lower is better. It sees the predictive means alone, not their uncertainty.
///
/// ```
/// use blitz_predict::score::rmse;
///
/// assert!((rmse(&[1.0, 2.0], &[4.0, 6.0]) - 12.5f64.sqrt()).abs() < 1e-12);
/// ```
///
/// # Panics
///
/// Panics without predictions, unless there is one target for each, or if a value is not finite.
pub fn rmse(mean: &[f64], target: &[f64]) -> f64 {
    or_panic(try_rmse(mean, target))
}

/// As [`rmse`], with an error in place of a panic.
///
/// # Errors
///
/// Without predictions, unless there is one target for each, or if a value is not finite.
pub fn try_rmse(mean: &[f64], target: &[f64]) -> Result<f64, InputError> {
    check::targets(mean.len(), target)?;
    check::finite(mean, "mean")?;
    Ok(root_mean_square(
        mean.iter().zip(target).map(|(m, y)| m - y),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_whose_squares_are_no_numbers_have_an_rmse() {
        assert_eq!(rmse(&[0.0, 0.0], &[1e155, -1e155]), 1e155);
        assert_eq!(rmse(&[0.0], &[1e-170]), 1e-170);
    }
}
