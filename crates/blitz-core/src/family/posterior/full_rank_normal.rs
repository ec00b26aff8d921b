//! The normal posterior with a full covariance among the weights of one column.

use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Device, Shape, Tensor, TensorData};

use super::location_scale::{LEAST_RHO, rho_param};
use super::{Posterior, PosteriorStructure};
use crate::family::deviation::{log_std_from_rho, scaled_rho, std_from_rho};
use crate::family::{
    Constants, MarginalFamily, Marginals, Nats, Noise, at_least_f32, in_type_of, scale_type,
};
use crate::fields::changed;
use crate::math::{HALF_LOG_TWO_PI, NORMAL_ENTROPY};

/// The most numbers that the factors of one weight may have, half a gigabyte of `f32`.
const MAX_FACTORS: usize = 1 << 27;

/// Configuration of a [`FullRankNormalPosterior`].
///
/// | field | default | meaning | range |
/// |---|---|---|---|
/// | `initial_std` | 0.02 | the deviation that every weight starts with, correlated with none | [1e-30, 1e15] |
///
/// A weight of rank 1, such as a bias, is one weight for each output:
/// [`PosteriorConfig::FullRankNormal`](crate::PosteriorConfig::FullRankNormal) gives it the mean-field normal posterior of the same `initial_std`.
#[derive(Config, Debug, PartialEq)]
pub struct FullRankNormalPosteriorConfig {
    /// The deviation that every weight starts with.
    #[config(default = 0.02)]
    pub initial_std: f64,
}

impl FullRankNormalPosteriorConfig {
    /// A posterior for a weight of `shape`, on `device`.
    ///
    /// # Panics
    ///
    /// Panics if `initial_std` is not a number from 1e-30 to 1e15, or if the factors, rows² × columns, are more than
    /// 2²⁷ numbers.
    pub fn init(&self, shape: &Shape, device: &Device) -> FullRankNormalPosterior {
        super::assert_initial_std(self.initial_std);
        let (rows, columns) = table(shape);
        let factors = rows.saturating_mul(rows).saturating_mul(columns);
        assert!(
            factors <= MAX_FACTORS,
            "a full-rank posterior of a weight of the shape {:?} has {factors} numbers, more than {MAX_FACTORS}: give it to the last layer alone, or take a low-rank one",
            shape.as_slice()
        );
        let dims = [columns, rows, rows];
        FullRankNormalPosterior {
            rho: rho_param(rows * columns, self.initial_std, device),
            // No correlation. Unlike those of a low-rank posterior, factors leave zero: the expected likelihood has a
            // derivative there.
            factor: Param::from_tensor(Tensor::zeros(dims, (device, scale_type(device)))),
        }
    }
}

/// `w_j = μ_j + σ_j ∘ (I + N_j) ε_j` for each column j of the weight, with `ε_j ~ N(0, I)`, a strictly lower triangular
/// N_j and `σ = ln(1 + e^ρ)`: independent normals, each with the full covariance `L_j L_jᵀ` of `L_j = diag(σ_j) (I +
/// N_j)`.
///
/// Rows are the weight's first axis, columns all others together: a column of a [`Linear`](burn::nn::Linear) layer is
/// what leads to one of its outputs. This is the posterior of a *variational last layer* (Harrison, Willes & Snoek, *Variational
/// Bayesian last layers*, 2024): given the features that enter a layer without a bias, that of a regression with normal
/// noise is such a normal, and the ELBO reaches it. (A bias is a weight of its own, independent of them. A feature that
/// is always 1 is one with all covariances.) Of a convolution, whose first axis are its outputs, a column is one place
/// of the kernel in all of them. In a linear layer it has the moments of its outputs in closed form (`Var[xᵀ w_j] =
/// ‖L_jᵀ x‖²`), so that it trains and predicts without draws.
///
/// ```text
/// H(q)    = Σ ln σ_i + n/2 ln 2πe
/// ln q(w) = −½ Σ_j ‖L_j⁻¹ (w_j − μ_j)‖² − Σ ln σ_i − n/2 ln 2π
/// ```
///
/// The triangular systems of `ln q` are solved on the host, in `f64`: the values leave their device for that. A KL to a
/// normal or Laplace prior needs none. A draw costs rows² products a column, and the parameters are 2 + rows a weight,
/// of which a step moves half.
#[derive(Module, Debug)]
pub struct FullRankNormalPosterior {
    /// ρ, flat: element i belongs to element i of the weight in row-major order.
    pub rho: Param<Tensor<1>>,
    /// N, of shape `[columns, rows, rows]`; what is not below a diagonal is never read.
    pub factor: Param<Tensor<3>>,
}

impl FullRankNormalPosterior {
    /// ρ and N, in the type of `like`.
    fn parts<const D: usize>(&self, like: &Tensor<D>) -> (Tensor<1>, Tensor<3>) {
        let factor = in_type_of(self.factor.val(), like).tril(-1);
        (in_type_of(self.rho.val(), like), factor)
    }

    /// `1 + Σ_k N_ik²` of each weight, in the shape of `mu`: its variance in parts of σ².
    fn spread<const D: usize>(mu: &Tensor<D>, factor: Tensor<3>) -> Tensor<D> {
        let squares = factor.square().sum_dim(2).squeeze_dim::<2>(2);
        from_columns(squares, &mu.shape()) + 1.0
    }
}

impl Posterior for FullRankNormalPosterior {
    fn sample<const D: usize>(&self, mu: Tensor<D>, noise: &mut Noise) -> Tensor<D> {
        let wide = at_least_f32(mu.clone());
        let shape = mu.shape();
        let (rho, factor) = self.parts(&wide);
        let epsilon = noise.standard_normal(&wide);
        let mixed = times(factor, columns(epsilon.clone()));
        let noise = epsilon + from_columns(mixed, &shape);
        in_type_of(wide + std_from_rho(rho).reshape(shape) * noise, &mu)
    }

    fn std_dev<const D: usize>(&self, mu: Tensor<D>) -> Tensor<D> {
        let wide = at_least_f32(mu.clone());
        let (rho, factor) = self.parts(&wide);
        let sigma = std_from_rho(rho).reshape(mu.shape());
        in_type_of(sigma * Self::spread(&wide, factor).sqrt(), &mu)
    }

    fn column_factors<const D: usize>(&self, mu: &Tensor<D>) -> Option<Tensor<3>> {
        let (rho, factor) = self.parts(mu);
        let [_, rows, _] = factor.dims();
        let unit = Tensor::<2>::eye(rows, &mu.device()).cast(mu.dtype());
        let sigma: Tensor<D> = std_from_rho(rho).reshape(mu.shape());
        let sigma = columns(sigma);
        Some((factor + unit.unsqueeze()) * sigma.unsqueeze_dim(2))
    }

    fn log_density<const D: usize>(&self, mu: Tensor<D>, weight: Tensor<D>) -> Tensor<1> {
        let n = mu.shape().num_elements();
        let mu = at_least_f32(mu);
        let (rho, factor) = self.parts(&mu);
        let divisor = std_from_rho(rho.clone().clamp_min(LEAST_RHO));
        let sigma: Tensor<D> = divisor.reshape(mu.shape());
        let z = columns((in_type_of(weight, &mu) - mu) / sigma);
        let log_std = log_std_from_rho(rho).sum();
        half_square(z, factor).neg() - log_std - n as f64 * HALF_LOG_TWO_PI
    }

    fn marginals<const D: usize>(&self, mu: Tensor<D>) -> Marginals<D> {
        let mu = at_least_f32(mu);
        let (rho, factor) = self.parts(&mu);
        let spread = Self::spread(&mu, factor);
        let of_rho = |rho: Tensor<1>| rho.reshape(mu.shape());
        Marginals {
            std: of_rho(std_from_rho(rho.clone())) * spread.clone().sqrt(),
            log_std: of_rho(log_std_from_rho(rho)) + spread.log() * 0.5,
            mean: mu,
            family: MarginalFamily::Normal,
        }
    }

    fn entropy<const D: usize>(&self, q: &Marginals<D>) -> Option<Nats<D>> {
        let rho = in_type_of(self.rho.val(), &q.mean);
        let of_weights = log_std_from_rho(rho) + NORMAL_ENTROPY;
        Some(Nats::of_weights(of_weights.reshape(q.mean.shape())))
    }

    fn has_density(&self) -> bool {
        true
    }

    fn structure(&self) -> PosteriorStructure {
        PosteriorStructure::General
    }

    /// Every normal is.
    fn is_symmetric(&self) -> bool {
        true
    }

    fn with_deviations_scaled(mut self, factor: f64) -> Option<Self> {
        self.rho = changed(self.rho, |rho| scaled_rho(rho, factor));
        Some(self)
    }

    fn constants(&self) -> Option<Constants> {
        Some(Constants::new("FullRankNormal", []))
    }
}

/// Rows and columns of a weight of `shape`.
fn table(shape: &Shape) -> (usize, usize) {
    let dims = shape.as_slice();
    let rows = dims.first().copied().unwrap_or(1);
    (rows, dims.iter().skip(1).product())
}

/// The columns of a weight, each a row of the result.
fn columns<const D: usize>(weight: Tensor<D>) -> Tensor<2> {
    let (rows, columns) = table(&weight.shape());
    weight.reshape([rows, columns]).transpose()
}

/// The weight of `shape` with these [`columns`].
fn from_columns<const D: usize>(columns: Tensor<2>, shape: &Shape) -> Tensor<D> {
    columns.transpose().reshape(shape.clone())
}

/// The products of matrices with a vector each.
fn times(matrices: Tensor<3>, vectors: Tensor<2>) -> Tensor<2> {
    matrices.matmul(vectors.unsqueeze_dim(2)).squeeze_dim(2)
}

/// `½ Σ_j ‖ε_j‖²` of `(I + N_j) ε_j = z_j`, with its gradient in z and N.
fn half_square(z: Tensor<2>, factor: Tensor<3>) -> Tensor<1> {
    let [columns, rows] = z.dims();
    let host = |data: TensorData| data.iter::<f64>().collect::<Vec<_>>();
    let (mut epsilon, n) = (host(z.to_data()), host(factor.to_data()));
    let mut pull = Vec::with_capacity(epsilon.len());
    let systems = epsilon.chunks_mut(rows.max(1));
    for (epsilon, n) in systems.zip(n.chunks((rows * rows).max(1))) {
        pull.extend(solve(epsilon, n));
    }
    let half_square = 0.5 * epsilon.iter().map(|e| e * e).sum::<f64>();
    let options = (&z.device(), z.dtype());
    let constant = |values: Vec<f64>| {
        Tensor::<2>::from_data(TensorData::new(values, [columns, rows]), options)
    };
    // dε = (I + N)⁻¹ (dz − dN ε), so ε · dε = a · (dz − dN ε) with (I + N)ᵀ a = ε.
    let first_order = (z.clone() - times(factor, constant(epsilon))) * constant(pull);
    let first_order = first_order.sum();
    let value = Tensor::<1>::from_data(TensorData::new(vec![half_square], [1]), options);
    first_order.clone() - first_order.detach() + value
}

/// Solves `(I + N) ε = z` in the place of z, and returns the solution of `(I + N)ᵀ a = ε`.
fn solve(z: &mut [f64], n: &[f64]) -> Vec<f64> {
    let rows = z.len();
    for i in 0..rows {
        let (before, rest) = z.split_at_mut(i);
        let below = &n[i * rows..i * rows + i];
        rest[0] -= below.iter().zip(&*before).map(|(n, e)| n * e).sum::<f64>();
    }
    let mut a = z.to_vec();
    for i in (0..rows).rev() {
        let (before, rest) = a.split_at_mut(i);
        let below = &n[i * rows..i * rows + i];
        let last = rest[0];
        before
            .iter_mut()
            .zip(below)
            .for_each(|(a, n)| *a -= n * last);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn triangular_systems_are_solved() {
        let n = [0.0, 9.0, 9.0, 0.5, 0.0, 9.0, -0.25, 2.0, 0.0];
        let mut epsilon = [1.0, 2.0, 3.0];
        let a = solve(&mut epsilon, &n);
        // By hand: ε = (1, 2 − 0.5, 3 + 0.25 − 2 · 1.5).
        assert_eq!(epsilon, [1.0, 1.5, 0.25]);
        // a₃ = 0.25, a₂ = 1.5 − 2 a₃, a₁ = 1 − 0.5 a₂ + 0.25 a₃.
        assert_eq!(a, [0.5625, 1.0, 0.25]);
    }

    #[test]
    #[should_panic(expected = "has 1207959552 numbers, more than 134217728")]
    fn a_weight_of_a_whole_network_is_refused_with_its_size() {
        let shape = Shape::new([512, 512, 3, 3]);
        FullRankNormalPosteriorConfig::new().init(&shape, &Device::flex());
    }
}
