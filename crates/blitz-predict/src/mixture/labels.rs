//! A classification and the labels that were seen.

use super::CategoricalMixture;
use crate::check;
use crate::error::{InputError, or_panic};

impl CategoricalMixture {
    /// `−ln p(label | x)` of each example, in nats.
    ///
    /// # Panics
    ///
    /// Panics unless there is one label for each example, below the number of classes.
    pub fn nll(&self, labels: &[usize]) -> Vec<f64> {
        or_panic(self.try_nll(labels))
    }

    /// As [`nll`](Self::nll), with an error in place of a panic.
    ///
    /// # Errors
    ///
    /// Unless there is one label for each example, below the number of classes.
    ///
    /// ```
    /// use blitz_predict::CategoricalMixture;
    ///
    /// let y = CategoricalMixture::from_logits([vec![0.0, 0.0]], 2);
    /// assert_eq!(y.try_nll(&[1]).unwrap(), [2f64.ln()]);
    /// let error = y.try_nll(&[7]).unwrap_err();
    /// assert_eq!(error.to_string(), "example 0: there is no class 7 among 2");
    /// ```
    pub fn try_nll(&self, labels: &[usize]) -> Result<Vec<f64>, InputError> {
        check::classes(self.len(), self.classes(), labels)?;
        let pairs = self.rows().zip(labels);
        Ok(pairs.map(|(row, label)| -row[*label]).collect())
    }

    /// Whether the most probable class is the label.
    ///
    /// # Panics
    ///
    /// As [`nll`](Self::nll).
    pub fn correct(&self, labels: &[usize]) -> Vec<bool> {
        or_panic(self.try_correct(labels))
    }

    /// As [`correct`](Self::correct), with an error in place of a panic.
    ///
    /// # Errors
    ///
    /// As [`try_nll`](Self::try_nll).
    pub fn try_correct(&self, labels: &[usize]) -> Result<Vec<bool>, InputError> {
        check::classes(self.len(), self.classes(), labels)?;
        let pairs = self.predicted().into_iter().zip(labels);
        Ok(pairs
            .map(|(predicted, label)| predicted == *label)
            .collect())
    }

    /// The share of examples whose most probable class is the label.
    ///
    /// # Panics
    ///
    /// As [`nll`](Self::nll), and without examples.
    pub fn accuracy(&self, labels: &[usize]) -> f64 {
        assert!(!self.is_empty(), "no accuracy without examples");
        let correct = self.correct(labels).into_iter().filter(|correct| *correct);
        correct.count() as f64 / self.len() as f64
    }
}
