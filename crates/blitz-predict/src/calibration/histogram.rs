//! Histogram binning: the frequencies that were observed, bin by bin.

use serde::{Deserialize, Serialize};

use super::one_against_the_rest::{apply_each, fit_each};
use crate::check;
use crate::error::{InputError, or_panic};
use crate::score::bin_of;

/// A probability becomes the frequency of the event among the held-out examples of its bin, of bins of equal width
/// (Zadrozny & Elkan 2001).
///
/// Bins are `(i/bins, (i+1)/bins]`, as of [`reliability_bins`](crate::score::reliability_bins); a bin without an
/// example keeps its middle. It fits the bars of a reliability diagram, and so assumes no shape, not even order; some
/// dozens of examples for each bin that matters are needed. Where the frequency should never fall,
/// [`IsotonicRegression`](super::IsotonicRegression) chooses its bins by itself.
///
/// ```
/// use blitz_predict::calibration::HistogramBinning;
///
/// // Of four above ½ one happened, of two below none; nothing is known of the last bin.
/// let p = [0.6, 0.55, 0.6, 0.7, 0.3, 0.4];
/// let fit = HistogramBinning::fit(&p, &[true, false, false, false, false, false], 4);
/// assert_eq!(fit.apply(&[0.3, 0.51, 0.75, 0.9]), [0.0, 0.25, 0.25, 0.875]);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct HistogramBinning {
    /// The frequency in each bin.
    frequencies: Vec<f64>,
}

/// What a file says: a fit only once it is checked.
#[derive(Deserialize)]
struct Stored {
    frequencies: Vec<f64>,
}

impl TryFrom<Stored> for HistogramBinning {
    type Error = InputError;

    fn try_from(Stored { frequencies }: Stored) -> Result<Self, InputError> {
        check::not_empty(frequencies.len(), "bin")?;
        check::probabilities(&frequencies, "frequency")?;
        Ok(Self { frequencies })
    }
}

impl HistogramBinning {
    /// Fit the frequency of an event in `bins` bins of the probability it was given.
    ///
    /// # Panics
    ///
    /// Panics without predictions or bins, with more than 2²⁰ bins, unless there is one outcome for each, or if a
    /// probability lies outside [0, 1].
    pub fn fit(probability: &[f64], happened: &[bool], bins: usize) -> Self {
        or_panic(Self::try_fit(probability, happened, bins))
    }

    /// As [`fit`](Self::fit), with an error in place of a panic.
    ///
    /// # Errors
    ///
    /// Without predictions or bins, with more than 2²⁰ bins, unless there is one outcome for each, or if a probability
    /// lies outside [0, 1].
    pub fn try_fit(
        probability: &[f64],
        happened: &[bool],
        bins: usize,
    ) -> Result<Self, InputError> {
        check::bins(bins)?;
        check::not_empty(probability.len(), "prediction")?;
        check::same_length(
            (probability.len(), "probabilities"),
            (happened.len(), "outcomes"),
        )?;
        check::probabilities(probability, "probability")?;
        let mut counts = vec![(0.0, 0.0); bins];
        for (p, happened) in probability.iter().zip(happened) {
            let (hits, of) = &mut counts[bin_of(*p, bins)];
            *hits += f64::from(u8::from(*happened));
            *of += 1.0;
        }
        let frequency = |(bin, (hits, of)): (usize, (f64, f64))| {
            if of > 0.0 {
                hits / of
            } else {
                (bin as f64 + 0.5) / bins as f64
            }
        };
        let frequencies = counts.into_iter().enumerate().map(frequency).collect();
        Ok(Self { frequencies })
    }

    /// The frequency in the bin of each probability.
    ///
    /// # Panics
    ///
    /// Panics if a probability lies outside [0, 1].
    pub fn apply(&self, probability: &[f64]) -> Vec<f64> {
        or_panic(self.try_apply(probability))
    }

    /// As [`apply`](Self::apply), with an error in place of a panic.
    ///
    /// # Errors
    ///
    /// If a probability lies outside [0, 1].
    pub fn try_apply(&self, probability: &[f64]) -> Result<Vec<f64>, InputError> {
        check::probabilities(probability, "probability")?;
        Ok(probability.iter().map(|p| self.at(*p)).collect())
    }

    /// The frequency in each bin, lowest probabilities first.
    pub fn frequencies(&self) -> &[f64] {
        &self.frequencies
    }

    fn at(&self, p: f64) -> f64 {
        self.frequencies[bin_of(p, self.frequencies.len())]
    }
}

/// [`HistogramBinning`] of each class's probability on whether it is the label, one against the rest, then normalized (Zadrozny & Elkan 2002; Guo et al. 2017).
///
/// Probabilities that all become 0 are taken for equal ones.
///
/// ```
/// use blitz_predict::calibration::HistogramClasses;
///
/// // Class 0 above ½ was right once in two, below never.
/// let p = [0.9, 0.1, 0.9, 0.1, 0.2, 0.8];
/// let fit = HistogramClasses::fit(&p, 2, &[0, 1, 1], 2);
/// assert_eq!(fit.apply(&[0.7, 0.3, 0.2, 0.8]), [0.5, 0.5, 0.0, 1.0]);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "StoredClasses")]
pub struct HistogramClasses {
    /// The bins of each class.
    classes: Vec<HistogramBinning>,
}

#[derive(Deserialize)]
struct StoredClasses {
    classes: Vec<HistogramBinning>,
}

impl TryFrom<StoredClasses> for HistogramClasses {
    type Error = InputError;

    fn try_from(StoredClasses { classes }: StoredClasses) -> Result<Self, InputError> {
        check::not_empty(classes.len(), "class")?;
        Ok(Self { classes })
    }
}

impl HistogramClasses {
    /// Fit the probabilities of each class, in row-major order `[example, class]`, of examples that training has not
    /// seen.
    ///
    /// # Panics
    ///
    /// Panics without examples or bins, with more than 2²⁰ bins, unless there is one label below `classes` for each
    /// example, if a probability lies outside [0, 1], or if those of an example don't sum to 1 (to 1e-4).
    pub fn fit(probabilities: &[f64], classes: usize, labels: &[usize], bins: usize) -> Self {
        or_panic(Self::try_fit(probabilities, classes, labels, bins))
    }

    /// As [`fit`](Self::fit), with an error in place of a panic.
    ///
    /// # Errors
    ///
    /// Without examples or bins, with more than 2²⁰ bins, unless there is one label below `classes` for each example,
    /// if a probability lies outside [0, 1], or if those of an example don't sum to 1 (to 1e-4).
    pub fn try_fit(
        probabilities: &[f64],
        classes: usize,
        labels: &[usize],
        bins: usize,
    ) -> Result<Self, InputError> {
        let fit = |p: &[f64], happened: &[bool]| HistogramBinning::try_fit(p, happened, bins);
        Ok(Self {
            classes: fit_each(probabilities, classes, labels, fit)?,
        })
    }

    /// The calibrated probabilities, in row-major order `[example, class]`.
    ///
    /// # Panics
    ///
    /// Panics unless `probabilities` are whole rows of the classes of the fit, inside [0, 1] and summing to 1.
    pub fn apply(&self, probabilities: &[f64]) -> Vec<f64> {
        or_panic(self.try_apply(probabilities))
    }

    /// As [`apply`](Self::apply), with an error in place of a panic.
    ///
    /// # Errors
    ///
    /// Unless `probabilities` are whole rows of the classes of the fit, inside [0, 1] and summing to 1.
    pub fn try_apply(&self, probabilities: &[f64]) -> Result<Vec<f64>, InputError> {
        apply_each(&self.classes, probabilities, HistogramBinning::at)
    }
}
