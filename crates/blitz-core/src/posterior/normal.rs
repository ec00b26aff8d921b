//! The mean-field normal posterior of Graves (2011) and Blundell et al. (2015).

use burn::config::Config;
use burn::module::{Module, Param, ParamId};
use burn::tensor::{Device, Shape, Tensor};

use crate::deviation::{log_std_from_rho, rho_from_std, std_from_rho};
use crate::noise_source::Noise;
use crate::posterior::{MarginalFamily, Marginals, Posterior, PosteriorStructure};
use crate::prior::{Prior, half_log_two_pi};
use crate::rows::select_rows;

/// Configuration of a [`NormalPosterior`].
///
/// | field | default | meaning |
/// |---|---|---|
/// | `initial_std` | 0.02 | the deviation σ every weight starts with |
///
/// A tiny start, such as the 9e-4 of BLiTZ's ρ = −7, trains like a deterministic network and then reports intervals
/// that are far too narrow: the deviation has to be learned upwards from almost nothing. A start of the size of
/// the weights themselves drowns the signal in noise.
#[derive(Config, Debug, PartialEq)]
pub struct NormalPosteriorConfig {
    /// The deviation σ that every weight starts with.
    #[config(default = 0.02)]
    pub initial_std: f64,
}

impl NormalPosteriorConfig {
    /// A posterior for a weight of `shape`, on `device`.
    ///
    /// # Panics
    ///
    /// Panics if `initial_std` is not a positive, finite number.
    pub fn init(&self, shape: &Shape, device: &Device) -> NormalPosterior {
        let rho = rho_from_std(self.initial_std);
        let flat = [shape.num_elements()];
        NormalPosterior {
            rho: Param::uninitialized(
                ParamId::new(),
                move |device, require_grad| {
                    let rho = Tensor::<1>::full(flat, rho, device);
                    if require_grad {
                        rho.require_grad()
                    } else {
                        rho
                    }
                },
                device.clone(),
                true,
                flat.into(),
            ),
        }
    }
}

/// Independent normals: `w_i = μ_i + σ_i ε_i`, with `σ_i = ln(1 + e^ρ_i)` and `ε_i ~ N(0, 1)`.
///
/// Graves, *Practical variational inference for neural networks* (2011); Blundell et al., *Weight uncertainty in
/// neural networks* (2015).
///
/// ```
/// use blitz_core::prelude::*;
/// use burn::tensor::{Device, Shape, Tensor};
///
/// let device = Device::flex();
/// let posterior = NormalPosteriorConfig::new().with_initial_std(0.5).init(&Shape::new([2, 2]), &device);
/// let mu = Tensor::<2>::ones([2, 2], &device);
/// // The same numbers wherever and whenever it is drawn:
/// let mut noise = Noise::new(NoiseKey::new(7, 0, 0));
/// let w = posterior.sample(mu.clone(), &mut noise);
/// let again = posterior.sample(mu, &mut Noise::new(NoiseKey::new(7, 0, 0)));
/// assert_eq!(w.into_data(), again.into_data());
/// ```
#[derive(Module, Debug)]
pub struct NormalPosterior {
    /// ρ, flat: element i belongs to element i of the weight in row-major order.
    pub rho: Param<Tensor<1>>,
}

impl NormalPosterior {
    fn rho<const D: usize>(&self, mu: &Tensor<D>) -> Tensor<D> {
        self.rho.val().reshape(mu.shape())
    }
}

impl Posterior for NormalPosterior {
    fn sample<const D: usize>(&self, mu: Tensor<D>, noise: &mut Noise) -> Tensor<D> {
        let epsilon = noise.standard_normal(&mu);
        let sigma = std_from_rho(self.rho(&mu));
        mu + sigma * epsilon
    }

    fn std_dev<const D: usize>(&self, mu: Tensor<D>) -> Tensor<D> {
        std_from_rho(self.rho(&mu))
    }

    fn log_density<const D: usize>(&self, mu: Tensor<D>, weight: Tensor<D>) -> Tensor<1> {
        let rho = self.rho(&mu);
        // A weight whose deviation is below e^-40 equals its mean in floating point, and the quotient's derivative, 1 / σ²,
        // would overflow.
        let z = (weight - mu) / std_from_rho(rho.clone().clamp_min(-40.0));
        crate::prior::normal_log_density(z, log_std_from_rho(rho))
    }

    fn marginals<const D: usize>(&self, mu: Tensor<D>) -> Marginals<D> {
        let rho = self.rho(&mu);
        Marginals {
            mean: mu,
            std: std_from_rho(rho.clone()),
            log_std: log_std_from_rho(rho),
            family: MarginalFamily::Normal,
        }
    }

    fn entropy<const D: usize>(&self, mu: Tensor<D>) -> Option<Tensor<1>> {
        Some((log_std_from_rho(self.rho(&mu)) + (half_log_two_pi() + 0.5)).sum())
    }

    fn kl<P: Prior, const D: usize>(&self, mu: Tensor<D>, prior: &P) -> Option<Tensor<1>> {
        // Summed as one elementwise term: the entropy and the expectation are large and nearly cancel.
        let q = self.marginals(mu);
        let expected = prior.expected_log_density(&q)?;
        let per_weight = expected + q.log_std + (half_log_two_pi() + 0.5);
        Some(per_weight.sum().neg())
    }

    fn rows(&self, shape: &Shape, rows: &[usize]) -> Option<Self> {
        let length = shape.num_elements() / shape[0].max(1);
        let table = self.rho.val().reshape([shape[0], length]);
        let rho = select_rows(table, rows).reshape([rows.len() * length]);
        Some(Self {
            rho: Param::initialized(ParamId::new(), rho),
        })
    }

    fn structure(&self) -> PosteriorStructure {
        PosteriorStructure::IndependentNormal
    }
}
