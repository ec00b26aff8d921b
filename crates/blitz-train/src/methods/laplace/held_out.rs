//! The prior precision that predicts held-out examples best.

use std::fmt;

use burn::data::dataloader::DataLoader;
use burn::tensor::Tensor;

use super::curvature::Spread;
use super::error::LaplaceError;
use super::features::for_each_batch;
use super::logits::LogitLayer;
use crate::network::LabeledBatch;

/// How well a posterior predicts examples that the network was not trained on, beside the trained network itself.
///
/// Negative log likelihoods are means over the examples, in nats. Those of the posterior are by its linearised predictive distribution.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct HeldOut {
    /// The prior precision λ that was found.
    pub prior_precision: f64,
    /// Of the posterior.
    pub nll: f64,
    /// Of the trained weights.
    pub trained_nll: f64,
    /// The standard error of `trained_nll − nll`, whose two terms are of the same examples.
    pub std_error: f64,
    /// The number of examples.
    pub examples: usize,
}

impl HeldOut {
    /// Whether the posterior predicts better than the trained weights, by more than a standard error.
    ///
    /// If not, λ is so large that there is no harm, and nothing gained either.
    pub fn improves(&self) -> bool {
        self.trained_nll - self.nll > self.std_error
    }
}

impl fmt::Display for HeldOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "λ = {:.3e}: NLL {:.4} of {} held-out examples, {:.4} by the trained weights, difference ± {:.4}: {}",
            self.prior_precision,
            self.nll,
            self.examples,
            self.trained_nll,
            self.std_error,
            match self.improves() {
                true => "the posterior predicts better",
                false => "the posterior does not predict better",
            }
        )
    }
}

/// Sums over examples, for each precision tried.
struct Sums {
    nll: Vec<f64>,
    /// Of the squared differences from the trained weights' nll.
    squares: Vec<f64>,
    trained: f64,
}

impl LogitLayer {
    /// The precision in [10⁻¹², 10¹²] of lowest held-out nll: powers of ten first, then a finer grid about the best.
    ///
    /// `read` gives the labels of a batch of so many examples, with so many before it; `nll` is an example's, of its logits, and of what their covariance at a
    /// precision is computed from or of the logits alone.
    pub(super) fn held_out<I: Clone, T, L>(
        &self,
        data: &dyn DataLoader<LabeledBatch<I, T>>,
        features: impl Fn(I) -> Tensor<2>,
        read: impl Fn(T, usize, usize) -> Result<Vec<L>, LaplaceError>,
        nll: impl Fn(&[f64], Option<(&Spread<'_>, f64)>, &L) -> f64,
    ) -> Result<HeldOut, LaplaceError> {
        let pass = |precisions: &[f64]| {
            let mut sums = Sums {
                nll: vec![0.0; precisions.len()],
                squares: vec![0.0; precisions.len()],
                trained: 0.0,
            };
            let d_input = self.shape.d_input;
            let examples = for_each_batch(data, &features, &self.shape, |phi, targets, before| {
                let labels = read(targets, phi.nrows(), before)?;
                for (row, label) in phi.row_iter().zip(&labels) {
                    let x: Vec<f64> = row.iter().copied().take(d_input).collect();
                    let (logits, spread) =
                        (self.logits(&x), self.curvature.spread(&self.shape, &x));
                    let trained = nll(&logits, None, label);
                    sums.trained += trained;
                    for (i, precision) in precisions.iter().enumerate() {
                        let value = nll(&logits, Some((&spread, *precision)), label);
                        sums.nll[i] += value;
                        sums.squares[i] += (trained - value).powi(2);
                    }
                }
                Ok(())
            })?;
            Ok::<_, LaplaceError>((sums, examples))
        };
        // Those whose covariance has no digits are left out.
        let grid = |steps: std::ops::RangeInclusive<i32>, at: &dyn Fn(i32) -> f64| {
            let precisions: Vec<f64> = steps.map(|i| 10f64.powf(at(i))).collect();
            let possible = |p: &f64| self.curvature.check(*p).is_ok();
            precisions
                .into_iter()
                .filter(possible)
                .collect::<Vec<f64>>()
        };
        let best = |sums: &Sums| {
            let indexed = sums.nll.iter().enumerate();
            indexed.min_by(|a, b| a.1.total_cmp(b.1)).map(|(i, _)| i)
        };
        let coarse = grid(-12..=12, &f64::from);
        let (sums, _) = pass(&coarse)?;
        // At 10¹² every curvature of finite numbers that is worth a posterior has its digits.
        let middle = best(&sums).map_or(12.0, |i| coarse[i].log10());
        let fine = grid(-8..=8, &|i| (middle + f64::from(i) / 8.0).min(12.0));
        let (sums, examples) = pass(&fine)?;
        let Some(at) = best(&sums) else {
            return Err(LaplaceError::NoOptimum {
                reason: "no prior precision in [1e-12, 1e12] makes up for collinear features",
            });
        };
        let n = examples as f64;
        let (nll, trained_nll) = (sums.nll[at] / n, sums.trained / n);
        let variance = sums.squares[at] / n - (trained_nll - nll).powi(2);
        Ok(HeldOut {
            prior_precision: fine[at],
            nll,
            trained_nll,
            std_error: (variance.max(0.0) / n).sqrt(),
            examples,
        })
    }
}
