//! Numbers over the repetitions of a run, or over the rows of a test.

use serde::Serialize;

use crate::Figures;

/// The mean of some numbers.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// A mean and its standard error.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct MeanError {
    /// The mean.
    pub mean: f64,
    /// The standard deviation of the values over the square root of their number; none of a single value.
    pub standard_error: Option<f64>,
}

impl MeanError {
    /// Of some values.
    #[must_use]
    pub fn of(values: &[f64]) -> Self {
        let (n, mean) = (values.len() as f64, mean(values));
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let standard_error = (values.len() > 1).then(|| (squares / (n - 1.0) / n).sqrt());
        Self {
            mean,
            standard_error,
        }
    }

    /// Of the values times a factor.
    #[must_use]
    pub fn scaled(self, factor: f64) -> Self {
        Self {
            mean: factor * self.mean,
            standard_error: self.standard_error.map(|error| factor * error),
        }
    }

    /// As text: `5.29 ± 0.13`, or `5.29` of a single value.
    #[must_use]
    pub fn with_decimals(self, decimals: usize) -> String {
        match self.standard_error {
            Some(error) => format!("{:.decimals$} ± {error:.decimals$}", self.mean),
            None => format!("{:.decimals$}", self.mean),
        }
    }

    /// As text, with three significant digits of the mean.
    #[must_use]
    pub fn with_figures(self) -> String {
        let figures = Figures::of(self.mean);
        let mean = figures.show(self.mean);
        match self.standard_error {
            Some(error) => format!("{mean} ± {}", figures.show(error)),
            None => mean,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_value_has_no_standard_error() {
        let one = MeanError::of(&[5.29]);
        assert_eq!(
            (one.standard_error, one.with_decimals(2)),
            (None, "5.29".into())
        );
    }

    #[test]
    fn standard_error_divides_by_one_less_than_the_number() {
        // Variance of 1, 2, 3, 4 with n − 1: 5/3; over n = 4: 5/12.
        let four = MeanError::of(&[1.0, 2.0, 3.0, 4.0]);
        let error = four.standard_error.unwrap();
        assert!((error - (5.0f64 / 12.0).sqrt()).abs() < 1e-15);
        assert_eq!(four.scaled(100.0).with_decimals(1), "250.0 ± 64.5");
        assert_eq!(four.with_figures(), "2.50 ± 0.65");
        assert_eq!(four.scaled(1e-9).with_figures(), "2.50e-9 ± 6.5e-10");
    }
}
