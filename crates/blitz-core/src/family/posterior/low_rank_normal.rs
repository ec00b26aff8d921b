//! The normal posterior with a covariance of low rank plus a diagonal.

use burn::config::Config;
use burn::module::{Module, Param, ParamId};
use burn::tensor::{Device, Shape, Tensor, TensorData};

use super::location_scale::{flat_rows, rho_param};
use super::{Posterior, PosteriorStructure};
use crate::family::deviation::{log_std_from_rho, scaled_rho, std_from_rho};
use crate::family::{
    Constants, MarginalFamily, Marginals, Nats, Noise, at_least_f32, in_type_of, scale_type,
    select_rows,
};
use crate::fields::changed;
use crate::math::{HALF_LOG_TWO_PI, NORMAL_ENTROPY};
use blitz_noise::NoiseKey;

/// Below this ρ counts as this: σ is then 3e-7, and U / σ still far from `f32`'s range.
const HELD_RHO: f64 = -15.0;

/// The smallest `initial_std`, above the σ of [`HELD_RHO`].
const MIN_INITIAL_STD: f64 = 1e-6;

/// The largest rank: the cost of a KL grows with its square, and the k elimination steps run one after the other.
const MAX_RANK: usize = 32;

/// The factors' initial size as a share of σ.
const FACTOR_SHARE: f64 = 0.1;

/// Configuration of a [`LowRankNormalPosterior`].
///
/// | field | default | meaning | range |
/// |---|---|---|---|
/// | `rank` | 4 | number k of directions in which the weights vary together; at most n count | 1 to 32 |
/// | `initial_std` | 0.02 | the deviation σ of the diagonal part that every weight starts with | [1e-6, 1e15] |
/// | `seed` | 0 | of the initial factors | |
///
/// The factors U start as normals of a tenth of `initial_std`. At zero they would stay there: both the KL's derivative
/// in U and the expectation of the likelihood's vanish at U = 0. The same seed and shape give the same factors, in
/// every process and on every backend.
#[derive(Config, Debug, PartialEq)]
pub struct LowRankNormalPosteriorConfig {
    /// The rank of the part that is not diagonal.
    #[config(default = 4)]
    pub rank: usize,
    /// The deviation of the diagonal part that every weight starts with.
    #[config(default = 0.02)]
    pub initial_std: f64,
    /// The seed of the initial factors.
    #[config(default = 0)]
    pub seed: u64,
}

impl LowRankNormalPosteriorConfig {
    /// A posterior for a weight of `shape`, on `device`.
    ///
    /// # Panics
    ///
    /// Panics if `rank` is not between 1 and 32, or `initial_std` is not a number from 1e-6 to 1e15.
    pub fn init(&self, shape: &Shape, device: &Device) -> LowRankNormalPosterior {
        assert!(
            (1..=MAX_RANK).contains(&self.rank),
            "a low-rank posterior's rank must lie between 1 and {MAX_RANK}, got {}",
            self.rank
        );
        super::assert_initial_std(self.initial_std);
        assert!(
            self.initial_std >= MIN_INITIAL_STD,
            "a low-rank posterior's initial deviation must be at least {MIN_INITIAL_STD:?}, got {:?}",
            self.initial_std
        );
        let n = shape.num_elements();
        LowRankNormalPosterior {
            rho: rho_param(n, self.initial_std, device),
            factor: self.factor(n, device),
        }
    }

    fn factor(&self, n: usize, device: &Device) -> Param<Tensor<2>> {
        // More directions than weights would repeat each other.
        let rank = self.rank.min(n);
        let key = NoiseKey::new(self.seed, n as u64, rank as u32);
        let size = (FACTOR_SHARE * self.initial_std) as f32;
        let mut values = vec![0.0f32; n * rank];
        key.fill_standard_normal(0, &mut values);
        values.iter_mut().for_each(|value| *value *= size);
        let options = (device, scale_type(device));
        Param::from_tensor(Tensor::from_data(
            TensorData::new(values, [n, rank]),
            options,
        ))
    }
}

/// `w = μ + σ ∘ ε + U z` over the flat weight, with `ε ~ N(0, I_n)`, `z ~ N(0, I_k)` and `σ = ln(1 + e^ρ)`: a normal
/// with the covariance `Σ = diag(σ²) + U Uᵀ`.
///
/// The k columns of U are directions in which all weights of a tensor vary together, which a mean-field posterior
/// cannot do; its cost is that of the mean field with k + 1 deviations a weight. With `V = U / σ` and `M = I_k + VᵀV`,
///
/// ```text
/// H(q)    = Σ ln σ_i + ½ ln det M + n/2 ln 2πe
/// ln q(w) = −½ min_a (‖(w − μ) / σ − V a‖² + ‖a‖²) − Σ ln σ_i − ½ ln det M − n/2 ln 2π
/// ```
///
/// by the matrix determinant lemma and Woodbury's identity, the latter as a least-squares problem, which subtracts no
/// large numbers. The determinant comes from eliminating the k × k matrix with tensor operations, gradient included. A
/// ρ below −15, a deviation of 3.06e-7, counts as −15, also after
/// [`scale_deviations`](crate::BayesianModule::scale_deviations), which scales the ρ that is stored: the diagonal part
/// is no narrower, U is. Its gradient is that at −15, so that it can grow again.
///
/// Ong, Nott & Smith, *Gaussian variational approximation with a factor covariance structure* (2018); Tomczak, Swaroop
/// & Turner, *Efficient low rank Gaussian variational inference for neural networks* (2020).
#[derive(Module, Debug)]
pub struct LowRankNormalPosterior {
    /// ρ of the diagonal part, flat: element i belongs to element i of the weight in row-major order.
    pub rho: Param<Tensor<1>>,
    /// U, of shape `[n, rank]`, its rows in the same order.
    pub factor: Param<Tensor<2>>,
}

impl LowRankNormalPosterior {
    /// ρ of the diagonal part and U, in the type of `like`.
    fn parts<const D: usize>(&self, like: &Tensor<D>) -> (Tensor<1>, Tensor<2>) {
        let rho = at_least(in_type_of(self.rho.val(), like));
        (rho, in_type_of(self.factor.val(), like))
    }

    /// The variance of each weight.
    fn variance_of<const D: usize>(&self, mu: &Tensor<D>) -> Tensor<D> {
        if is_of_nothing(mu) {
            return mu.clone();
        }
        let (rho, factor) = self.parts(mu);
        let low_rank = factor.square().sum_dim(1).squeeze_dim::<1>(1);
        (std_from_rho(rho).square() + low_rank).reshape(mu.shape())
    }
}

impl Posterior for LowRankNormalPosterior {
    fn sample<const D: usize>(&self, mu: Tensor<D>, noise: &mut Noise) -> Tensor<D> {
        if is_of_nothing(&mu) {
            return mu;
        }
        let wide = at_least_f32(mu.clone());
        let (rho, factor) = self.parts(&wide);
        let [_, rank] = factor.dims();
        let epsilon = noise.standard_normal(&wide);
        let like: Tensor<2> = Tensor::zeros([rank, 1], (&mu.device(), wide.dtype()));
        let shared = factor.matmul(noise.standard_normal(&like));
        let shape = mu.shape();
        let sigma = std_from_rho(rho).reshape(shape.clone());
        in_type_of(wide + sigma * epsilon + shared.reshape(shape), &mu)
    }

    fn std_dev<const D: usize>(&self, mu: Tensor<D>) -> Tensor<D> {
        let std = self.variance_of(&at_least_f32(mu.clone())).sqrt();
        in_type_of(std, &mu)
    }

    fn log_density<const D: usize>(&self, mu: Tensor<D>, weight: Tensor<D>) -> Tensor<1> {
        let n = mu.shape().num_elements();
        let mu = at_least_f32(mu);
        if is_of_nothing(&mu) {
            return mu.sum();
        }
        let (rho, factor) = self.parts(&mu);
        let z = (in_type_of(weight, &mu) - mu).reshape([n]) / std_from_rho(rho.clone());
        let z = z.unsqueeze_dim::<2>(1);
        let factor = relative(factor, rho.clone());
        let rank = factor.dims()[1];
        let projected = factor.clone().transpose().matmul(z.clone());
        let (log_det, a) = eliminate(Tensor::cat(vec![capacitance(&factor), projected], 1), rank);
        // At the minimum the derivative in a is zero, so a enters as a constant.
        let a = a.detach();
        let square = (z - factor.matmul(a.clone())).square().sum() + a.square().sum();
        (square + log_det) * -0.5 - log_std_from_rho(rho).sum() - n as f64 * HALF_LOG_TWO_PI
    }

    fn marginals<const D: usize>(&self, mu: Tensor<D>) -> Marginals<D> {
        let mu = at_least_f32(mu);
        let variance = self.variance_of(&mu);
        Marginals {
            mean: mu,
            std: variance.clone().sqrt(),
            log_std: variance.log() * 0.5,
            family: MarginalFamily::Normal,
        }
    }

    fn entropy<const D: usize>(&self, q: &Marginals<D>) -> Option<Nats<D>> {
        if is_of_nothing(&q.mean) {
            return Some(Nats::of_weights(q.mean.clone()));
        }
        let shape = q.mean.shape();
        let (rho, factor) = self.parts(&q.mean);
        let diagonal = log_std_from_rho(rho.clone()) + NORMAL_ENTROPY;
        let factor = relative(factor, rho);
        let rank = factor.dims()[1];
        let (log_det, _) = eliminate(capacitance(&factor), rank);
        Some(Nats::of_weights(diagonal.reshape(shape)).and(log_det * 0.5))
    }

    fn has_density(&self) -> bool {
        true
    }

    /// A part of a normal vector is normal, with that part of the covariance.
    fn marginal_of_rows(&self, shape: &Shape, rows: &[usize]) -> Option<Self> {
        let length = shape.num_elements() / shape[0].max(1);
        let factor = self.factor.val();
        let [_, rank] = factor.dims();
        let factor = select_rows(factor.reshape([shape[0], length * rank]), rows);
        let factor = factor.reshape([rows.len() * length, rank]);
        Some(Self {
            rho: flat_rows(&self.rho, shape, rows),
            factor: Param::initialized(ParamId::new(), factor),
        })
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
        self.factor = changed(self.factor, |columns| columns.mul_scalar(factor));
        Some(self)
    }

    fn constants(&self) -> Option<Constants> {
        Some(Constants::new("LowRankNormal", []))
    }
}

/// ρ from [`HELD_RHO`] on, with the gradient of ρ itself: that of a clamp is 0 below, where a weight would stay for
/// ever, whatever wants it wider.
fn at_least(rho: Tensor<1>) -> Tensor<1> {
    let missing = rho.clone().detach().neg() + HELD_RHO;
    rho + missing.clamp_min(0.0)
}

/// Whether there is no weight: then there are no directions either, and no matrix to eliminate.
fn is_of_nothing<const D: usize>(mu: &Tensor<D>) -> bool {
    mu.shape().num_elements() == 0
}

/// V = U / σ.
fn relative(factor: Tensor<2>, rho: Tensor<1>) -> Tensor<2> {
    factor / std_from_rho(rho).unsqueeze_dim::<2>(1)
}

/// `M = I + VᵀV`.
fn capacitance(factor: &Tensor<2>) -> Tensor<2> {
    let rank = factor.dims()[1];
    let identity = Tensor::<2>::eye(rank, &factor.device()).cast(factor.dtype());
    factor.clone().transpose().matmul(factor.clone()) + identity
}

/// `(ln det M, M⁻¹ B)` of the symmetric, positive definite `M` in `[M | B]`, by Gauss–Jordan elimination, which for
/// such a matrix needs no exchange of rows.
fn eliminate(augmented: Tensor<2>, rank: usize) -> (Tensor<1>, Tensor<2>) {
    let device = augmented.device();
    let [_, columns] = augmented.dims();
    let identity = Tensor::<2>::eye(rank, &device).cast(augmented.dtype());
    let mut matrix = augmented;
    let mut log_det = None;
    for j in 0..rank {
        let row = matrix.clone().slice([j..j + 1, 0..columns]);
        let column = matrix.clone().slice([0..rank, j..j + 1]);
        // M exceeds the identity, so each pivot is at least 1; rounding could say otherwise if columns of V are long
        // and nearly dependent.
        let pivot = row.clone().slice([0..1, j..j + 1]).clamp_min(1.0);
        let log_pivot = pivot.clone().reshape([1]).log();
        log_det = Some(match log_det {
            None => log_pivot,
            Some(sum) => sum + log_pivot,
        });
        let unit = identity.clone().slice([0..rank, j..j + 1]);
        matrix = matrix - (column - unit).matmul(row / pivot);
    }
    let solution = matrix.slice([0..rank, rank..columns]);
    (log_det.expect("a rank of at least 1"), solution)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of three weights, with ρ = −16.
    fn narrow(device: &Device) -> LowRankNormalPosterior {
        let config = LowRankNormalPosteriorConfig::new().with_rank(1);
        let mut posterior = config.init(&Shape::new([3]), device);
        let rho = Tensor::full([3], -16.0, device).require_grad();
        posterior.rho = Param::initialized(ParamId::new(), rho);
        posterior
    }

    #[test]
    fn a_deviation_below_the_least_counts_as_the_least_and_can_grow() {
        let device = Device::flex().autodiff();
        let posterior = narrow(&device);
        let mu = Tensor::<1>::zeros([3], &device);
        let (rho, _) = posterior.parts(&mu);
        let rho: Vec<f64> = rho.into_data().iter::<f64>().collect();
        assert_eq!(rho, [-15.0; 3]);
        let entropy = posterior.entropy(&posterior.marginals(mu)).unwrap().total();
        let gradients = entropy.backward();
        let of_rho = posterior.rho.val().grad(&gradients).unwrap();
        // d ln σ / dρ is 1 there, and of the three directions the factor, which is long beside σ, decides on one.
        let sum: f64 = of_rho.into_data().iter::<f64>().sum();
        assert!((sum - 2.0).abs() < 1e-3, "{sum}");
    }

    #[test]
    fn scaling_below_the_least_deviation_and_back_restores_it() {
        let device = Device::flex();
        let config = LowRankNormalPosteriorConfig::new().with_initial_std(1e-6);
        let posterior = config.init(&Shape::new([3]), &device);
        let std = |posterior: &LowRankNormalPosterior| {
            let (rho, _) = posterior.parts(&Tensor::<1>::zeros([3], &device));
            std_from_rho(rho).into_data().iter::<f64>().next().unwrap()
        };
        let narrower = posterior.with_deviations_scaled(0.1).unwrap();
        assert!((std(&narrower) / 3.06e-7 - 1.0).abs() < 1e-2);
        let back = narrower.with_deviations_scaled(10.0).unwrap();
        assert!((std(&back) / 1e-6 - 1.0).abs() < 1e-4);
    }
}
