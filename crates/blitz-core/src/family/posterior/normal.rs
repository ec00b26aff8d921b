//! The mean-field normal posterior of Graves (2011) and Blundell et al. (2015).

use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Device, Shape, Tensor, TensorData};

use super::{LocationScale, PosteriorStructure, UnitNoise};
use crate::family::deviation::rho_from_std;
use crate::family::{Constants, MarginalFamily, Marginals, Nats, Noise, at_least_f32};
use crate::math::{HALF_LOG_TWO_PI, NORMAL_ENTROPY};

/// Configuration of a [`NormalPosterior`].
///
/// | field | default | meaning | range |
/// |---|---|---|---|
/// | `initial_std` | 0.02 | the deviation σ every weight starts with | [1e-30, 1e15] |
///
/// A deviation below the digits of its mean, 6e-8 |μ| in `f32`, is hardly in a draw: most draws are the mean, and a KL
/// that is estimated at them is up to ½ nat too large for such a weight. One in closed form is exact. So it is for
/// every family.
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
    /// Panics if `initial_std` is not a number from 1e-30 to 1e15.
    pub fn init(&self, shape: &Shape, device: &Device) -> NormalPosterior {
        LocationScale::new(NormalUnit {}, self.initial_std, shape, device)
    }
}

/// Independent normals: `w_i = μ_i + σ_i ε_i`, with `σ_i = ln(1 + e^ρ_i)` and `ε_i ~ N(0, 1)`.
///
/// Graves, *Practical variational inference for neural networks* (2011); Blundell et al., *Weight uncertainty in
/// neural networks* (2015).
///
/// ```
/// use blitz_core::prelude::*;
/// use blitz_core::{Noise, NormalPosteriorConfig, Posterior};
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
pub type NormalPosterior = LocationScale<NormalUnit>;

/// The standard normal.
#[derive(Module, Debug)]
pub struct NormalUnit {}

impl UnitNoise for NormalUnit {
    fn sample<const D: usize>(&self, noise: &mut Noise, like: &Tensor<D>) -> Tensor<D> {
        noise.standard_normal(like)
    }

    fn std_dev(&self, _elements: usize) -> f64 {
        1.0
    }

    fn log_density<const D: usize>(&self, z: Tensor<D>) -> Nats<D> {
        Nats::of_weights(z.square().mul_scalar(-0.5).sub_scalar(HALF_LOG_TWO_PI))
    }

    fn entropy(&self, _elements: usize) -> Option<f64> {
        Some(NORMAL_ENTROPY)
    }

    fn has_density(&self) -> bool {
        true
    }

    fn expected_log_density<const D: usize>(&self, q: &Marginals<D>) -> Option<Tensor<D>> {
        Some(q.second_moment() * -0.5 - HALF_LOG_TWO_PI)
    }

    fn is_standard_normal(&self) -> bool {
        true
    }

    fn family(&self) -> MarginalFamily {
        MarginalFamily::Normal
    }

    fn structure(&self) -> PosteriorStructure {
        PosteriorStructure::IndependentNormal
    }

    fn constants(&self) -> Option<Constants> {
        Some(Constants::new("Normal", []))
    }
}

impl NormalPosterior {
    /// A posterior with these deviations, one for each element of the weight. ρ has their type, `f32` at least. The
    /// squares of deviations beyond 1.8e19 are infinite in `f32`, and so is the KL to a normal prior.
    ///
    /// # Panics
    ///
    /// Panics unless each deviation is a finite number of at least 1e-30.
    pub fn from_std<const D: usize>(std: Tensor<D>) -> Self {
        let std = at_least_f32(std);
        let (device, dtype) = (std.device(), std.dtype());
        // On the host, where `f64` keeps the digits of a small deviation.
        let rho: Vec<f64> = std.into_data().iter::<f64>().map(rho_from_std).collect();
        let elements = rho.len();
        let rho = TensorData::new(rho, [elements]);
        Self {
            rho: Param::from_tensor(Tensor::from_data(rho, (&device, dtype))),
            unit: NormalUnit {},
        }
    }
}
