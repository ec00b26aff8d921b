//! The mean-field Laplace posterior.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Device, Shape, Tensor};
use core::f64::consts::{LN_2, SQRT_2};

use super::{LocationScale, UnitNoise};
use crate::family::prior::expected_abs;
use crate::family::{Constants, MarginalFamily, Marginals, Nats, Noise};

/// Configuration of a [`LaplacePosterior`].
///
/// | field | default | meaning | range |
/// |---|---|---|---|
/// | `initial_std` | 0.02 | the deviation b √2 every weight starts with | [1e-30, 1e15] |
#[derive(Config, Debug, PartialEq)]
pub struct LaplacePosteriorConfig {
    /// The deviation that every weight starts with.
    #[config(default = 0.02)]
    pub initial_std: f64,
}

impl LaplacePosteriorConfig {
    /// A posterior for a weight of `shape`, on `device`.
    ///
    /// # Panics
    ///
    /// Panics if `initial_std` is not a number from 1e-30 to 1e15.
    pub fn init(&self, shape: &Shape, device: &Device) -> LaplacePosterior {
        LocationScale::new(LaplaceUnit {}, self.initial_std, shape, device)
    }
}

/// Independent Laplace distributions: `w_i = μ_i + b_i s_i e_i`, with `b_i = ln(1 + e^ρ_i)`, a sign `s_i` and `e_i ~
/// Exp(1)`.
///
/// Most draws are closer to the mean than a normal's of the same deviation, a few much farther. Its deviation is b √2,
/// its entropy `Σ 1 + ln 2b_i`; with a Laplace prior the KL can be zero.
pub type LaplacePosterior = LocationScale<LaplaceUnit>;

/// The Laplace distribution of scale 1, of density `e^−|z| / 2`.
#[derive(Module, Debug)]
pub struct LaplaceUnit {}

impl UnitNoise for LaplaceUnit {
    fn sample<const D: usize>(&self, noise: &mut Noise, like: &Tensor<D>) -> Tensor<D> {
        // Half the squared length of two normals is exponential.
        let square = noise.standard_normal(like).square() + noise.standard_normal(like).square();
        let signs: Tensor<D> = noise.signs(like.shape(), like);
        square * signs * 0.5
    }

    fn std_dev(&self, _elements: usize) -> f64 {
        SQRT_2
    }

    fn log_density<const D: usize>(&self, z: Tensor<D>) -> Nats<D> {
        Nats::of_weights((z.abs() + LN_2).neg())
    }

    fn entropy(&self, _elements: usize) -> Option<f64> {
        Some(1.0 + LN_2)
    }

    fn has_density(&self) -> bool {
        true
    }

    fn expected_log_density<const D: usize>(&self, q: &Marginals<D>) -> Option<Tensor<D>> {
        Some((expected_abs(q)? + LN_2).neg())
    }

    fn family(&self) -> MarginalFamily {
        MarginalFamily::Laplace
    }

    fn constants(&self) -> Option<Constants> {
        Some(Constants::new("Laplace", []))
    }
}
