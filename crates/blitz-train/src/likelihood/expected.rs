//! Expected losses over normal outputs.

use blitz_layers::moments::Moments;
use burn::tensor::Tensor;

use super::Likelihood;

/// A likelihood whose expected loss over uncertain outputs needs no draws, for the ELBO by moments
/// ([`Elbo::loss_by_moments`](crate::Elbo::loss_by_moments)).
///
/// | likelihood | over outputs `f ~ N(m, v)` |
/// |---|---|
/// | Gaussian | exact, of any distribution: `−ln p(y \| m) + v / 2σ²` |
/// | Laplace | exact, by the moments of a folded normal |
/// | Poisson | exact, `−ln p(y \| m) + eᵐ (e^{v/2} − 1)` |
/// | heteroscedastic | mean and log-deviation as independent; 16-node quadrature over the second |
/// | Bernoulli | within 3e-4 nats: 16-node quadrature up to `v = 9`, then `E max(x, 0)` of `x ~ N(m, v + π²/3)` and two terms of an Edgeworth series |
/// | categorical | an upper bound, `E ln Σ e^{f_k} ≤ ln Σ e^{m_k + v_k / 2}`, so that the objective stays a bound of the evidence |
///
/// ```
/// use blitz_train::prelude::*;
/// use blitz_train::ExpectedNll;
/// use blitz_train::blitz_layers::moments::Moments;
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let likelihood = GaussianLikelihoodConfig::new().with_noise(LikelihoodParam::Fixed(1.0)).init(&device);
/// let [mean, variance, target] = [1.0, 0.5, 1.0].map(|value| Tensor::<2>::from_floats([[value]], &device));
/// let loss = likelihood.expected_nll(Moments::new(mean, variance), target).into_scalar::<f32>();
/// // ½ ln 2π + ½ · 0.5
/// assert!((loss - 1.168_938_5).abs() < 1e-6);
/// ```
pub trait ExpectedNll: Likelihood {
    /// `E[−ln p(target | f)]` of each example in nats, or an upper bound of it, of shape `[batch]`, over independent
    /// normal outputs f with these moments.
    ///
    /// # Panics
    ///
    /// As [`nll`](Likelihood::nll), for other shapes.
    fn expected_nll(&self, output: Moments<2>, target: Self::Target) -> Tensor<1>;
}
