//! From normal logits to class probabilities.

use serde::{Deserialize, Serialize};

/// How probabilities are computed of normal logits f, those of a linearised predictive distribution or of propagated
/// moments: `E[softmax(f)]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Link {
    /// `softmax(fₖ / √(1 + π vₖ/8))`, with fₖ the mean of logit k less the mean of all logits, and vₖ the variance of
    /// logit k less the mean of the others: what all logits have in common changes no probability, so its variance
    /// should change none. Of two classes it is the probit approximation for their difference.
    #[default]
    Probit,
    /// The same with the variances of the logits themselves, as in laplace-torch (MacKay 1992; Gibbs 1997).
    PlainProbit,
    /// The mean over draws of the logits.
    MonteCarlo {
        /// The number of draws.
        draws: usize,
        /// Of their noise.
        seed: u64,
    },
}

/// `1 / √(1 + π v/8)`.
pub(crate) fn probit_scale(variance: f64) -> f64 {
    (1.0 + std::f64::consts::PI / 8.0 * variance).sqrt().recip()
}

/// How many times a logit less the mean of all is one less the mean of the others: `C/(C − 1)`, and 0 of a single one,
/// which has no others.
pub(crate) fn less_others(logits: usize) -> f64 {
    match logits {
        1 => 0.0,
        count => count as f64 / (count as f64 - 1.0),
    }
}

/// The variance of each logit less the mean of the others, of their covariance, row-major.
pub(crate) fn contrast_variances(covariance: &[f64], logits: usize) -> Vec<f64> {
    let count = logits as f64;
    let rows = || covariance.chunks(logits);
    let means: Vec<f64> = rows().map(|row| row.iter().sum::<f64>() / count).collect();
    let all = means.iter().sum::<f64>() / count;
    let others = less_others(logits);
    let contrast =
        |(k, row): (usize, &[f64])| (row[k] - 2.0 * means[k] + all).max(0.0) * others * others;
    rows().enumerate().map(contrast).collect()
}

/// The logits less their mean, each divided by its deviation as the probit approximation has it.
pub(crate) fn probit_logits(logits: &[f64], contrast_variances: &[f64]) -> Vec<f64> {
    let mean = logits.iter().sum::<f64>() / logits.len() as f64;
    let pairs = logits.iter().zip(contrast_variances);
    pairs.map(|(z, v)| (z - mean) * probit_scale(*v)).collect()
}

/// The logits, each divided by its own deviation so.
pub(crate) fn plain_probit_logits(logits: &[f64], variances: &[f64]) -> Vec<f64> {
    let pairs = logits.iter().zip(variances);
    pairs.map(|(z, v)| z * probit_scale(*v)).collect()
}
