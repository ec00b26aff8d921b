//! Class probabilities of normal logits.

use std::borrow::Cow;

use blitz_layers::blitz_core::noise::layout;
use blitz_predict::distribution::softmax::softmax;
use nalgebra::DMatrix;

use super::numbers::normals;
use super::spectrum::Spectrum;
use crate::predict::link::{Link, plain_probit_logits, probit_logits};

/// Normal logits of one example.
pub(super) trait NormalLogits {
    fn means(&self) -> &[f64];

    /// The variance of each.
    fn variances(&self) -> Vec<f64>;

    /// The variance of each less the mean of the others.
    fn contrast_variances(&self) -> Vec<f64>;

    /// The symmetric root of their covariance.
    fn root(&self) -> Root<'_>;

    /// Logits whose softmax is the mean of theirs, by the link.
    fn linked(&self, link: Link) -> Vec<f64> {
        match link {
            Link::Probit => probit_logits(self.means(), &self.contrast_variances()),
            Link::PlainProbit => plain_probit_logits(self.means(), &self.variances()),
            Link::MonteCarlo { draws, seed } => {
                let mean = mean_softmax(self.means(), &self.root(), draws, seed);
                // No draw may have seen a class.
                let floor = |p: f64| p.max(f64::MIN_POSITIVE).ln();
                mean.into_iter().map(floor).collect()
            }
        }
    }
}

/// A matrix `S = Sᵀ` with `S S` the covariance of the logits.
pub(super) enum Root<'a> {
    Diagonal(Vec<f64>),
    /// `Q diag(r) Qᵀ`.
    Along(Cow<'a, Spectrum>, Vec<f64>),
}

impl Root<'_> {
    /// That of a whole covariance of so many logits.
    pub(super) fn of(covariance: Vec<f64>, outputs: usize) -> Self {
        let spectrum = Spectrum::new(DMatrix::from_vec(outputs, outputs, covariance));
        let roots = spectrum.values.iter().map(|v| v.sqrt()).collect();
        Self::Along(Cow::Owned(spectrum), roots)
    }

    /// `S z`.
    pub(super) fn times(&self, z: &[f64]) -> Vec<f64> {
        let scaled = |z: &[f64], roots: &[f64]| -> Vec<f64> {
            z.iter().zip(roots).map(|(z, root)| z * root).collect()
        };
        match self {
            Self::Diagonal(roots) => scaled(z, roots),
            Self::Along(spectrum, roots) => {
                spectrum.vector(&scaled(&spectrum.coordinates(z), roots))
            }
        }
    }
}

/// `E[softmax(f)]` over so many draws of f, normal about these logits, whose covariance has this root.
fn mean_softmax(logits: &[f64], root: &Root<'_>, draws: usize, seed: u64) -> Vec<f64> {
    assert!(draws > 0, "a mean over draws needs draws, got 0");
    let mut mean = vec![0.0; logits.len()];
    for draw in 0..draws {
        let step = root.times(&normals(seed ^ layout::LINK, draw as u64, 0, logits.len()));
        let drawn: Vec<f64> = logits.iter().zip(step).map(|(z, s)| z + s).collect();
        for (mean, p) in mean.iter_mut().zip(softmax(drawn, logits.len())) {
            *mean += p / draws as f64;
        }
    }
    mean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_logits_have_in_common_costs_no_digits() {
        let certain = Root::Diagonal(vec![0.0; 10]);
        let p = mean_softmax(&[1e15; 10], &certain, 1, 0);
        assert!(p.iter().all(|p| (p - 0.1).abs() < 1e-15), "{p:?}");
    }
}
