//! The mean-field Laplace posterior.

use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Device, Shape, Tensor};
use core::f64::consts::{LN_2, SQRT_2};

use super::mean_field::{kl_of_location_scale, rho_param, standardized};
use super::{MarginalFamily, Marginals, Posterior, PosteriorStructure};
use crate::deviation::{log_std_from_rho, std_from_rho};
use crate::noise_source::Noise;
use crate::prior::Prior;

/// Configuration of a [`LaplacePosterior`].
///
/// | field | default | meaning | range |
/// |---|---|---|---|
/// | `initial_std` | 0.02 | the deviation b √2 every weight starts with | > 0 |
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
    /// Panics if `initial_std` is not a positive, finite number.
    pub fn init(&self, shape: &Shape, device: &Device) -> LaplacePosterior {
        super::assert_initial_std(self.initial_std);
        LaplacePosterior {
            rho: rho_param(shape.num_elements(), self.initial_std / SQRT_2, device),
        }
    }
}

/// Independent Laplace distributions: `w_i = μ_i + b_i s_i e_i`, with `b_i = ln(1 + e^ρ_i)`, a sign `s_i` and `e_i ~ Exp(1)`.
///
/// Most draws are closer to the mean than a normal's of the same deviation, a few much farther. Its deviation is b √2, its
/// entropy `Σ 1 + ln 2b_i`; with a Laplace prior the KL can be zero.
#[derive(Module, Debug)]
pub struct LaplacePosterior {
    /// ρ of the scale b, flat: element i belongs to element i of the weight in row-major order.
    pub rho: Param<Tensor<1>>,
}

impl LaplacePosterior {
    fn rho<const D: usize>(&self, mu: &Tensor<D>) -> Tensor<D> {
        self.rho.val().reshape(mu.shape())
    }
}

impl Posterior for LaplacePosterior {
    fn sample<const D: usize>(&self, mu: Tensor<D>, noise: &mut Noise) -> Tensor<D> {
        // Half the squared length of two normals is exponential.
        let square = noise.standard_normal(&mu).square() + noise.standard_normal(&mu).square();
        let signs: Tensor<D> = noise.signs(mu.shape(), &mu);
        let scale = std_from_rho(self.rho(&mu));
        mu + scale * (square * signs * 0.5)
    }

    fn std_dev<const D: usize>(&self, mu: Tensor<D>) -> Tensor<D> {
        std_from_rho(self.rho(&mu)) * SQRT_2
    }

    fn log_density<const D: usize>(&self, mu: Tensor<D>, weight: Tensor<D>) -> Tensor<1> {
        let rho = self.rho(&mu);
        let z = standardized(weight, mu, rho.clone());
        (z.abs() + log_std_from_rho(rho) + LN_2).sum().neg()
    }

    fn marginals<const D: usize>(&self, mu: Tensor<D>) -> Marginals<D> {
        let rho = self.rho(&mu);
        Marginals {
            mean: mu,
            std: std_from_rho(rho.clone()) * SQRT_2,
            log_std: log_std_from_rho(rho) + 0.5 * LN_2,
            family: MarginalFamily::Laplace,
        }
    }

    fn entropy<const D: usize>(&self, mu: Tensor<D>) -> Option<Tensor<1>> {
        Some((log_std_from_rho(self.rho(&mu)) + (1.0 + LN_2)).sum())
    }

    fn kl<P: Prior, const D: usize>(&self, mu: Tensor<D>, prior: &P) -> Option<Tensor<1>> {
        // 1 + ln 2b, with ln b = ln(b √2) − ½ ln 2.
        kl_of_location_scale(&self.marginals(mu), 1.0 + 0.5 * LN_2, prior)
    }

    fn structure(&self) -> PosteriorStructure {
        PosteriorStructure::SignSymmetric
    }
}
