//! The matrix-variate normal posterior of Louizos & Welling (2016), with diagonal row and column covariances.

use burn::config::Config;
use burn::module::{Module, Param, ParamId};
use burn::tensor::{Device, Shape, Tensor};

use super::location_scale::{LEAST_RHO, relative_std, rho_param};
use super::{Posterior, PosteriorForm, PosteriorStructure, VarianceFactors};
use crate::family::deviation::{log_std_from_rho, scaled_rho, std_from_rho, variance_from_rho};
use crate::family::{
    Constants, MarginalFamily, Marginals, Nats, Noise, at_least_f32, in_type_of, select_rows,
};
use crate::fields::changed;
use crate::math::{HALF_LOG_TWO_PI, NORMAL_ENTROPY};

/// Configuration of a [`MatrixNormalPosterior`].
///
/// | field | default | meaning | range |
/// |---|---|---|---|
/// | `initial_std` | 0.02 | the deviation a_i b_j every weight starts with | [1e-30, 1e15] |
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
    /// Panics if `initial_std` is not a number from 1e-30 to 1e15, or the weight has fewer than two axes.
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
    /// `f` of both ρ, joined into one value a weight, in the shape and type of `mu`.
    fn outer<const D: usize>(
        &self,
        mu: &Tensor<D>,
        f: impl Fn(Tensor<2>) -> Tensor<2>,
        join: impl Fn(Tensor<2>, Tensor<2>) -> Tensor<2>,
    ) -> Tensor<D> {
        let rows = f(in_type_of(self.row_rho.val(), mu).unsqueeze_dim(1));
        let columns = f(in_type_of(self.column_rho.val(), mu).unsqueeze_dim(0));
        join(rows, columns).reshape(mu.shape())
    }

    fn log_std<const D: usize>(&self, mu: &Tensor<D>) -> Tensor<D> {
        self.outer(mu, log_std_from_rho, |a, b| a + b)
    }
}

impl Posterior for MatrixNormalPosterior {
    fn sample<const D: usize>(&self, mu: Tensor<D>, noise: &mut Noise) -> Tensor<D> {
        let wide = at_least_f32(mu.clone());
        let epsilon = noise.standard_normal(&wide);
        in_type_of(wide.clone() + self.std_dev(wide) * epsilon, &mu)
    }

    fn std_dev<const D: usize>(&self, mu: Tensor<D>) -> Tensor<D> {
        let wide = at_least_f32(mu.clone());
        in_type_of(self.outer(&wide, std_from_rho, |a, b| a * b), &mu)
    }

    fn variance_factors<const D: usize>(&self, mu: &Tensor<D>) -> Option<VarianceFactors> {
        let squares = |rho: &Param<Tensor<1>>| {
            let rho = in_type_of(rho.val(), &at_least_f32(mu.clone()));
            in_type_of(variance_from_rho(rho), mu)
        };
        Some(VarianceFactors {
            rows: squares(&self.row_rho),
            columns: squares(&self.column_rho),
        })
    }

    fn log_density<const D: usize>(&self, mu: Tensor<D>, weight: Tensor<D>) -> Tensor<1> {
        let mu = at_least_f32(mu);
        let log_std = self.log_std(&mu);
        let z = (in_type_of(weight, &mu) - mu) / divisor(&log_std);
        (z.square().mul_scalar(-0.5) - log_std)
            .sub_scalar(HALF_LOG_TWO_PI)
            .sum()
    }

    fn marginals<const D: usize>(&self, mu: Tensor<D>) -> Marginals<D> {
        let mu = at_least_f32(mu);
        Marginals {
            std: self.std_dev(mu.clone()),
            log_std: self.log_std(&mu),
            mean: mu,
            family: MarginalFamily::Normal,
        }
    }

    fn entropy<const D: usize>(&self, q: &Marginals<D>) -> Option<Nats<D>> {
        let log_std = q.log_std.clone();
        Some(Nats::of_weights(log_std + NORMAL_ENTROPY))
    }

    fn form(&self) -> PosteriorForm {
        PosteriorForm::MatrixNormal {
            row_rho: self.row_rho.val(),
            column_rho: self.column_rho.val(),
        }
    }

    fn has_density(&self) -> bool {
        true
    }

    fn expected_log_density<const D: usize>(
        &self,
        mu: Tensor<D>,
        q: &Marginals<D>,
    ) -> Option<Tensor<D>> {
        let log_std = self.log_std(&q.mean);
        let scale = divisor(&log_std);
        let difference = (q.mean.clone() - in_type_of(mu, &q.mean)) / scale.clone();
        let second_moment = difference.square() + relative_std(q, scale, &log_std).square();
        Some(second_moment * -0.5 - HALF_LOG_TWO_PI - log_std)
    }

    fn marginal_of_rows(&self, _shape: &Shape, rows: &[usize]) -> Option<Self> {
        let row_rho = select_rows(self.row_rho.val(), rows);
        Some(Self {
            row_rho: Param::initialized(ParamId::new(), row_rho),
            column_rho: self.column_rho.clone(),
        })
    }

    fn structure(&self) -> PosteriorStructure {
        PosteriorStructure::IndependentNormal
    }

    fn with_deviations_scaled(mut self, factor: f64) -> Option<Self> {
        self.row_rho = changed(self.row_rho, |rho| scaled_rho(rho, factor));
        Some(self)
    }

    fn constants(&self) -> Option<Constants> {
        Some(Constants::new("MatrixNormal", []))
    }
}

/// A deviation as a divisor.
fn divisor<const D: usize>(log_std: &Tensor<D>) -> Tensor<D> {
    log_std.clone().clamp_min(LEAST_RHO).exp()
}
