//! The scaling of a column to mean 0 and standard deviation 1.

use serde::{Deserialize, Serialize};

/// The mean and the standard deviation of each column, `z = (x − mean) / std`.
///
/// It is fitted to the training rows only, and stored beside the model: what the network has learnt means nothing
/// without it. A constant column has standard deviation 1 here, so that it becomes 0 and not NaN.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Standardizer {
    /// The mean of each column.
    pub mean: Vec<f64>,
    /// The standard deviation of each column, over the rows (not the rows less one).
    pub std: Vec<f64>,
}

impl Standardizer {
    /// Fits each column of `values`, given row after row with `n_columns` to a row.
    ///
    /// # Panics
    ///
    /// If there is no row, or the last row is not complete.
    #[must_use]
    pub fn fit(values: &[f64], n_columns: usize) -> Self {
        assert!(
            !values.is_empty() && values.len().is_multiple_of(n_columns),
            "whole rows of {n_columns}, at least one"
        );
        let column = |index: usize| values[index..].iter().step_by(n_columns).copied();
        let n_rows = (values.len() / n_columns) as f64;

        // The first value as the origin makes a constant column's deviation exactly 0, which a rounded mean would not.
        let moments = (0..n_columns).map(|index| {
            let origin = values[index];
            let shift = column(index).map(|value| value - origin).sum::<f64>() / n_rows;
            let variance = column(index)
                .map(|value| (value - origin - shift).powi(2))
                .sum::<f64>()
                / n_rows;
            (
                origin + shift,
                if variance > 0.0 { variance.sqrt() } else { 1.0 },
            )
        });
        let (mean, std) = moments.unzip();
        Self { mean, std }
    }

    /// The first column whose mean or deviation is beyond all numbers, if there is one: it cannot be scaled.
    #[must_use]
    pub fn overflowing_column(&self) -> Option<usize> {
        let finite = self
            .mean
            .iter()
            .zip(&self.std)
            .map(|(mean, std)| mean.is_finite() && std.is_finite());
        finite.into_iter().position(|finite| !finite)
    }

    /// Scales rows of values.
    ///
    /// # Panics
    ///
    /// If the last row is not complete.
    #[must_use]
    pub fn transform(&self, values: &[f64]) -> Vec<f64> {
        assert!(
            values.len().is_multiple_of(self.mean.len()),
            "whole rows of {}",
            self.mean.len()
        );
        let moments = self.mean.iter().zip(&self.std).cycle();
        values
            .iter()
            .zip(moments)
            .map(|(value, (mean, std))| (value - mean) / std)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tabular::{Split, Table};

    #[test]
    fn scaled_columns_have_mean_0_and_deviation_1() {
        let scale = Standardizer::fit(&[1.0, 10.0, 3.0, 30.0], 2);
        assert_eq!(
            scale,
            Standardizer {
                mean: vec![2.0, 20.0],
                std: vec![1.0, 10.0]
            }
        );
        assert_eq!(
            scale.transform(&[1.0, 10.0, 3.0, 30.0]),
            [-1.0, -1.0, 1.0, 1.0]
        );
        assert_eq!(scale.transform(&[4.0, 20.0]), [2.0, 0.0]);
    }

    #[test]
    fn constant_column_becomes_exactly_zero() {
        // Three times 0.1 sums to 0.30000000000000004, whose third is not 0.1.
        let values = [0.1, 5.0, 0.1, 6.0, 0.1, 7.0];
        let scale = Standardizer::fit(&values, 2);
        assert_eq!((scale.mean[0], scale.std[0]), (0.1, 1.0));
        assert!(
            scale
                .transform(&values)
                .iter()
                .step_by(2)
                .all(|&value| value == 0.0)
        );
        assert_eq!(Standardizer::fit(&[3.0], 1).transform(&[3.0]), [0.0]);
    }

    #[test]
    fn large_offset_does_not_cancel() {
        let scale = Standardizer::fit(&[1e9 + 1.0, 1e9 + 2.0, 1e9 + 3.0], 1);
        assert!((scale.std[0] - (2.0f64 / 3.0).sqrt()).abs() < 1e-12);
    }

    #[test]
    fn the_test_rows_do_not_leak_into_the_scale() {
        let (table, split) = (Table::boston(), Split::published(3).unwrap());
        let scale = Standardizer::fit(&table.features_of(&split.train), table.n_features);
        assert_ne!(scale, Standardizer::fit(&table.features, table.n_features));
    }

    #[test]
    fn stored_scale_comes_back() {
        let scale = Standardizer::fit(&[1.0, 10.0, 3.0, 31.0], 2);
        assert_eq!(
            serde_json::from_str::<Standardizer>(&serde_json::to_string(&scale).unwrap()).unwrap(),
            scale
        );
    }
}
