//! What binary predictions are asked besides: probabilities, and entropies with their two parts.

use super::equal::Mixture;
use crate::distribution::Bernoulli;

/// As for classes, `H[y] = E_s[H[y | s]] + I[y; s]`, in nats: see [`CategoricalMixture`](super::CategoricalMixture).
///
/// ```
/// use blitz_predict::distribution::Bernoulli;
/// use blitz_predict::Mixture;
///
/// // Two draws that contradict each other.
/// let y = Mixture::from_draws([9.0, -9.0].map(|logit| vec![Bernoulli { logit }]), 1);
/// assert!((y.probability()[0] - 0.5).abs() < 1e-12);
/// assert!((y.mutual_information()[0] - 2f64.ln()).abs() < 0.01);
/// ```
impl Mixture<Bernoulli> {
    /// `P(y = 1 | x)`.
    pub fn probability(&self) -> Vec<f64> {
        self.mean()
    }

    /// The entropy of each prediction, aleatoric and epistemic together.
    pub fn entropy(&self) -> Vec<f64> {
        // Both probabilities from the draws: 1 − p would lose the smaller one, and ln p what the larger one is below 1.
        let term = |p: f64, other: f64| match p {
            0.0 => 0.0,
            _ if p > 0.5 => -p * (-other).ln_1p(),
            _ => -p * p.ln(),
        };
        let of = |ones: f64, zeros: f64| term(ones, zeros) + term(zeros, ones);
        self.map(|draws| {
            let mean = |sign: f64| {
                let one = |b: &Bernoulli| {
                    Bernoulli {
                        logit: sign * b.logit,
                    }
                    .probability()
                };
                draws.iter().map(one).sum::<f64>() / draws.len() as f64
            };
            of(mean(1.0), mean(-1.0))
        })
    }

    /// The mean entropy of the draws: what more data cannot reduce.
    pub fn expected_entropy(&self) -> Vec<f64> {
        self.map(|draws| draws.iter().map(Bernoulli::entropy).sum::<f64>() / draws.len() as f64)
    }

    /// The mutual information of target and weights (BALD): how much the draws disagree, what more data could reduce.
    pub fn mutual_information(&self) -> Vec<f64> {
        let pairs = self.entropy().into_iter().zip(self.expected_entropy());
        // Never negative but for rounding.
        pairs
            .map(|(total, expected)| (total - expected).max(0.0))
            .collect()
    }
}
