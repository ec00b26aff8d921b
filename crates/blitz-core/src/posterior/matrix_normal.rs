//! The matrix-variate normal posterior of Louizos & Welling (2016), with diagonal row and column covariances.

use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Device, Shape, Tensor};

use super::mean_field::{kl_of_location_scale, rho_param};
use super::{MarginalFamily, Marginals, Posterior, PosteriorStructure};
use crate::deviation::{log_std_from_rho, std_from_rho};
use crate::math::half_log_two_pi;
use crate::noise_source::Noise;
use crate::prior::{Prior, normal_log_density};

/// Where ρ stops to count as a divisor; the product of two such scales is e^-40.
const LEAST_RHO: f64 = -20.0;

/// Configuration of a [`MatrixNormalPosterior`].
///
/// | field | default | meaning | range |
/// |---|---|---|---|
/// | `initial_std` | 0.02 | the deviation a_i b_j every weight starts with | > 0 |
///
/// A weight of rank 1, such as a bias, has no rows and columns:
/// [`PosteriorConfig::MatrixNormal`](crate::PosteriorConfig::MatrixNormal) gives it the mean-field normal posterior of the same
/// `initial_std`.
#[derive(Config, Debug, PartialEq)]
pub struct MatrixNormalPosteriorConfig {
    /// The deviation that every weight starts with.
    #[config(default = 0.02)]
    pub initial_std: f64,
}

impl MatrixNormalPosteriorConfig {
    /// A posterior for a weight of `shape`, on `device`.
    ///
    /// # Panics
    ///
    /// Panics if `initial_std` is not a positive, finite number, or the weight has fewer than two axes.
    pub fn init(&self, shape: &Shape, device: &Device) -> MatrixNormalPosterior {
        super::assert_initial_std(self.initial_std);
        let dims = shape.as_slice();
        assert!(
            dims.len() >= 2,
            "a matrix-variate posterior needs a weight of at least two axes, got the shape {dims:?}"
        );
        let root = self.initial_std.sqrt();
        MatrixNormalPosterior {
            row_rho: rho_param(dims[0], root, device),
            column_rho: rho_param(dims[1..].iter().product(), root, device),
        }
    }
}

/// `W = M + A E B` with `A = diag(a)`, `B = diag(b)` and standard normals E: `w_ij ~ N(μ_ij, a_i² b_j²)`.
///
/// Rows are the weight's first axis, columns all others together: the inputs and outputs of a
/// [`Linear`](burn::nn::Linear) layer, the output channels and kernels of a convolution. The row and column covariances of
/// the matrix-variate normal are diagonal, so the weights are independent normals whose deviations share `d0 + rest`
/// parameters in place of one a weight: half the parameters of the mean field, and less noisy gradients for each. (a c,
/// b / c) is the same posterior for every c.
///
/// Louizos & Welling, *Structured and efficient variational deep learning with matrix Gaussian posteriors* (2016).
#[derive(Module, Debug)]
pub struct MatrixNormalPosterior {
    /// ρ of the rows' factors, `a = ln(1 + e^ρ)`.
    pub row_rho: Param<Tensor<1>>,
    /// ρ of the columns' factors b.
    pub column_rho: Param<Tensor<1>>,
}

impl MatrixNormalPosterior {
    /// `f` of both ρ, joined into one value a weight.
    fn outer<const D: usize>(
        &self,
        shape: Shape,
        f: impl Fn(Tensor<2>) -> Tensor<2>,
        join: impl Fn(Tensor<2>, Tensor<2>) -> Tensor<2>,
    ) -> Tensor<D> {
        let rows = f(self.row_rho.val().unsqueeze_dim(1));
        let columns = f(self.column_rho.val().unsqueeze_dim(0));
        join(rows, columns).reshape(shape)
    }

    fn log_std<const D: usize>(&self, shape: Shape) -> Tensor<D> {
        self.outer(shape, log_std_from_rho, |a, b| a + b)
    }
}

impl Posterior for MatrixNormalPosterior {
    fn sample<const D: usize>(&self, mu: Tensor<D>, noise: &mut Noise) -> Tensor<D> {
        let epsilon = noise.standard_normal(&mu);
        let std = self.std_dev(mu.clone());
        mu + std * epsilon
    }

    fn std_dev<const D: usize>(&self, mu: Tensor<D>) -> Tensor<D> {
        self.outer(mu.shape(), std_from_rho, |a, b| a * b)
    }

    fn log_density<const D: usize>(&self, mu: Tensor<D>, weight: Tensor<D>) -> Tensor<1> {
        let divisor = |rho: Tensor<2>| std_from_rho(rho.clamp_min(LEAST_RHO));
        let shape = mu.shape();
        let z = (weight - mu) / self.outer(shape.clone(), divisor, |a, b| a * b);
        normal_log_density(z, self.log_std(shape))
    }

    fn marginals<const D: usize>(&self, mu: Tensor<D>) -> Marginals<D> {
        Marginals {
            std: self.std_dev(mu.clone()),
            log_std: self.log_std(mu.shape()),
            mean: mu,
            family: MarginalFamily::Normal,
        }
    }

    fn entropy<const D: usize>(&self, mu: Tensor<D>) -> Option<Tensor<1>> {
        Some((self.log_std::<D>(mu.shape()) + (half_log_two_pi() + 0.5)).sum())
    }

    fn kl<P: Prior, const D: usize>(&self, mu: Tensor<D>, prior: &P) -> Option<Tensor<1>> {
        kl_of_location_scale(&self.marginals(mu), half_log_two_pi() + 0.5, prior)
    }

    fn structure(&self) -> PosteriorStructure {
        PosteriorStructure::IndependentNormal
    }
}
