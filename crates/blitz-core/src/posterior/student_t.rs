//! The mean-field Student-t posterior, with fixed degrees of freedom.

use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Device, Shape, Tensor};

use super::mean_field::{kl_of_location_scale, rho_param, standardized};
use super::{MarginalFamily, Marginals, Posterior, PosteriorStructure};
use crate::deviation::{log_std_from_rho, std_from_rho};
use crate::math::digamma;
use crate::noise_source::Noise;
use crate::prior::{Prior, student_t_log_normalizer};

/// Configuration of a [`StudentTPosterior`].
///
/// | field | default | meaning | range |
/// |---|---|---|---|
/// | `df` | 4 | degrees of freedom ν, not learned | > 2 |
/// | `initial_std` | 0.02 | the deviation s √(ν / (ν − 2)) every weight starts with | > 0 |
#[derive(Config, Debug, PartialEq)]
pub struct StudentTPosteriorConfig {
    /// The degrees of freedom.
    #[config(default = 4.0)]
    pub df: f64,
    /// The deviation that every weight starts with.
    #[config(default = 0.02)]
    pub initial_std: f64,
}

impl StudentTPosteriorConfig {
    /// A posterior for a weight of `shape`, on `device`.
    ///
    /// # Panics
    ///
    /// Panics unless `df` is finite and above 2 and `initial_std` positive and finite.
    pub fn init(&self, shape: &Shape, device: &Device) -> StudentTPosterior {
        assert!(
            self.df.is_finite() && self.df > 2.0,
            "a Student-t posterior needs more than 2 degrees of freedom to have a deviation, got {}",
            self.df
        );
        super::assert_initial_std(self.initial_std);
        let scale = self.initial_std / deviation_of_unit_scale(self.df);
        StudentTPosterior {
            rho: rho_param(shape.num_elements(), scale, device),
            df: self.df,
        }
    }
}

/// Independent Student-t distributions: `w_i = μ_i + s_i t_i`, with `s_i = ln(1 + e^ρ_i)` and `t_i ~ t_ν`.
///
/// Its tails are heavier the fewer degrees of freedom it has; at ν → ∞ it is the mean-field normal. Drawn as
/// `t = z √((e^q − 1) / q)` with `q = (z² + z'²) / ν` from two normals each, Bailey's polar method (*Polar generation of
/// random variates with the t-distribution*, 1994), which is exact for every ν.
#[derive(Module, Debug)]
pub struct StudentTPosterior {
    /// ρ of the scale s, flat: element i belongs to element i of the weight in row-major order.
    pub rho: Param<Tensor<1>>,
    /// The degrees of freedom ν.
    pub df: f64,
}

impl StudentTPosterior {
    fn rho<const D: usize>(&self, mu: &Tensor<D>) -> Tensor<D> {
        self.rho.val().reshape(mu.shape())
    }

    /// The entropy of `t_ν`.
    fn standard_entropy(&self) -> f64 {
        let half = 0.5 * (self.df + 1.0);
        half * (digamma(half) - digamma(0.5 * self.df)) + student_t_log_normalizer(self.df)
    }
}

impl Posterior for StudentTPosterior {
    fn sample<const D: usize>(&self, mu: Tensor<D>, noise: &mut Noise) -> Tensor<D> {
        let z = noise.standard_normal(&mu);
        let other = noise.standard_normal(&mu);
        // (y − 1) / ln y for y = e^q, in which y's rounding cancels (Kahan); y must not round to 1.
        let y = ((z.clone().square() + other.square()) / self.df)
            .clamp_min(1e-6)
            .exp();
        let t = z * ((y.clone() - 1.0) / y.log()).sqrt();
        let scale = std_from_rho(self.rho(&mu));
        mu + scale * t
    }

    fn std_dev<const D: usize>(&self, mu: Tensor<D>) -> Tensor<D> {
        std_from_rho(self.rho(&mu)) * deviation_of_unit_scale(self.df)
    }

    fn log_density<const D: usize>(&self, mu: Tensor<D>, weight: Tensor<D>) -> Tensor<1> {
        let rho = self.rho(&mu);
        let z = standardized(weight, mu, rho.clone());
        let tail = (z.square() / self.df).log1p() * (0.5 * (self.df + 1.0));
        (tail + log_std_from_rho(rho) + student_t_log_normalizer(self.df))
            .sum()
            .neg()
    }

    fn marginals<const D: usize>(&self, mu: Tensor<D>) -> Marginals<D> {
        let rho = self.rho(&mu);
        let deviation = deviation_of_unit_scale(self.df);
        Marginals {
            mean: mu,
            std: std_from_rho(rho.clone()) * deviation,
            log_std: log_std_from_rho(rho) + deviation.ln(),
            family: MarginalFamily::Other,
        }
    }

    fn entropy<const D: usize>(&self, mu: Tensor<D>) -> Option<Tensor<1>> {
        Some((log_std_from_rho(self.rho(&mu)) + self.standard_entropy()).sum())
    }

    fn kl<P: Prior, const D: usize>(&self, mu: Tensor<D>, prior: &P) -> Option<Tensor<1>> {
        let of_unit = self.standard_entropy() - deviation_of_unit_scale(self.df).ln();
        kl_of_location_scale(&self.marginals(mu), of_unit, prior)
    }

    fn structure(&self) -> PosteriorStructure {
        PosteriorStructure::SignSymmetric
    }
}

/// `√(ν / (ν − 2))`.
fn deviation_of_unit_scale(df: f64) -> f64 {
    (df / (df - 2.0)).sqrt()
}
