//! The mean-field normal posterior of Graves (2011) and Blundell et al. (2015).

use burn::config::Config;
use burn::module::{Module, Param, ParamId};
use burn::tensor::{Device, Shape, Tensor, TensorData};

use super::mean_field::{kl_of_location_scale, rho_param, standardized};
use super::{MarginalFamily, Marginals, Posterior, PosteriorStructure};
use crate::deviation::{log_std_from_rho, rho_from_std, std_from_rho};
use crate::kernels::{self, formula::Spread};
use crate::kl::KlTerm;
use crate::math::half_log_two_pi;
use crate::noise_source::Noise;
use crate::prior::Prior;
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
        NormalPosterior {
            rho: rho_param(shape.num_elements(), self.initial_std, device),
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
    /// A posterior with these deviations, one for each element of the weight.
    ///
    /// # Panics
    ///
    /// Panics unless each deviation is a finite number of at least 1e-30.
    pub fn from_std<const D: usize>(std: Tensor<D>) -> Self {
        let (device, dtype) = (std.device(), std.dtype());
        // On the host, where `f64` keeps the digits of a small deviation.
        let rho: Vec<f64> = std.into_data().iter::<f64>().map(rho_from_std).collect();
        let elements = rho.len();
        let rho = TensorData::new(rho, [elements]);
        Self {
            rho: Param::from_tensor(Tensor::from_data(rho, (&device, dtype))),
        }
    }

    fn rho<const D: usize>(&self, mu: &Tensor<D>) -> Tensor<D> {
        self.rho.val().reshape(mu.shape())
    }
}

impl Posterior for NormalPosterior {
    fn sample<const D: usize>(&self, mu: Tensor<D>, noise: &mut Noise) -> Tensor<D> {
        let elements = mu.shape().num_elements();
        let fused = noise.fused(elements, |span| kernels::draw(&mu, &self.rho.val(), span));
        if let Some(weight) = fused {
            return weight;
        }
        let epsilon = noise.standard_normal(&mu);
        let sigma = std_from_rho(self.rho(&mu));
        mu + sigma * epsilon
    }

    fn std_dev<const D: usize>(&self, mu: Tensor<D>) -> Tensor<D> {
        std_from_rho(self.rho(&mu))
    }

    fn variance<const D: usize>(&self, mu: Tensor<D>) -> Tensor<D> {
        kernels::spread(&self.rho(&mu), Spread::Variance)
            .unwrap_or_else(|| self.std_dev(mu).square())
    }

    fn log_density<const D: usize>(&self, mu: Tensor<D>, weight: Tensor<D>) -> Tensor<1> {
        let rho = self.rho(&mu);
        let z = standardized(weight, mu, rho.clone());
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
        Some((log_std_from_rho(self.rho(&mu)) + standard_entropy()).sum())
    }

    fn kl<P: Prior, const D: usize>(&self, mu: Tensor<D>, prior: &P) -> Option<Tensor<1>> {
        prior
            .kl_from_normal(&mu, &self.rho.val())
            .or_else(|| kl_of_location_scale(&self.marginals(mu), standard_entropy(), prior))
    }

    fn kl_at_draw<P: Prior, const D: usize>(
        &self,
        mu: &Tensor<D>,
        prior: &P,
        noise: Noise,
    ) -> Option<Tensor<1>> {
        prior.kl_from_normal_at_draw(mu, &self.rho.val(), noise)
    }

    fn sample_with_kl<P: Prior, const D: usize>(
        &self,
        mu: &Tensor<D>,
        prior: &P,
        noise: &mut Noise,
    ) -> Option<(Tensor<D>, KlTerm)> {
        prior.draw_with_kl_from_normal(mu, &self.rho.val(), noise)
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

/// The entropy of the standard normal.
fn standard_entropy() -> f64 {
    half_log_two_pi() + 0.5
}
