//! Counts that vary more than Poisson's.

use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

use super::check::{check_outputs, check_shapes};
use super::count::{MAX_LOG_RATE, bad_counts, check_counts};
use super::evaluation::to_f64;
use super::loss_type::LossType;
use super::special::{exp_m1, stirling_remainder};
use super::{Likelihood, LikelihoodParam, PointEvaluation, param};
use crate::error::{PredictError, TargetError};
use blitz_layers::blitz_core::Constants;
use blitz_predict::Mixture;
use blitz_predict::distribution::NegativeBinomial;

/// Configuration of a [`NegativeBinomialLikelihood`].
///
/// | field | default | meaning |
/// |---|---|---|
/// | `targets` | 1 | the number of target columns |
/// | `dispersion` | learned, from 0.5 | α, above 0: the variance is μ + α μ² |
#[derive(Config, Debug, PartialEq)]
pub struct NegativeBinomialLikelihoodConfig {
    /// The number of target columns.
    #[config(default = 1)]
    pub targets: usize,
    /// The dispersion, the same for every example.
    #[config(default = "LikelihoodParam::Learned(0.5)")]
    pub dispersion: LikelihoodParam,
}

impl NegativeBinomialLikelihoodConfig {
    /// The likelihood.
    ///
    /// # Panics
    ///
    /// Panics if the dispersion is not positive and finite, or without target columns.
    pub fn init(&self, device: &Device) -> NegativeBinomialLikelihood {
        NegativeBinomialLikelihood {
            log_dispersion: self.dispersion.init("dispersion", self.targets, device),
            is_fixed: self.dispersion.is_fixed(),
        }
    }
}

/// `p(y | f) = Π_k Γ(y + r) / (Γ(r) y!) (r/(r + μ))^r (μ/(r + μ))^y` with `μ = exp(f)` and `r = 1/α`: the network's
/// output is the log mean, the variance `μ + α μ²`.
///
/// As α goes to zero the counts become Poisson's. The shares of an exposure are as with
/// [`PoissonLikelihood`](super::PoissonLikelihood).
///
/// ```
/// use blitz_train::{Likelihood, NegativeBinomialLikelihoodConfig, LikelihoodParam};
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let likelihood =
///     NegativeBinomialLikelihoodConfig::new().with_dispersion(LikelihoodParam::Fixed(1.0)).init(&device);
/// let output = Tensor::<2>::from_floats([[0.0]], &device);
/// let nll = likelihood.nll(output, Tensor::from_floats([[3.0]], &device)).into_scalar::<f32>();
/// // With α = 1 and μ = 1 it is geometric: 2⁻⁴.
/// assert!((nll - 16f32.ln()).abs() < 1e-6);
/// ```
#[derive(Module, Debug)]
pub struct NegativeBinomialLikelihood {
    /// ln α of each target column.
    pub log_dispersion: Param<Tensor<1>>,
    /// Whether the dispersion is known.
    is_fixed: bool,
}

/// Where `ln(1 + q)` is summed by its series.
const SMALL: f64 = 1e-3;

/// Where `ln(1 + q)` is a difference of logarithms, which has its digits from there on.
const LARGE: f64 = 1e6;

/// `ln(1 + q) / q` of |q| up to [`SMALL`], to the last digit of `f64`.
fn log1p_over(q: Tensor<2>) -> Tensor<2> {
    let sum = q.clone().mul_scalar(0.2).sub_scalar(0.25) * q.clone();
    let sum = (sum + 1.0 / 3.0) * q.clone();
    (sum - 0.5) * q + 1.0
}

impl NegativeBinomialLikelihood {
    /// The dispersion α of each target column.
    pub fn dispersion(&self) -> Vec<f64> {
        param::values(&self.log_dispersion)
    }
}

impl Likelihood for NegativeBinomialLikelihood {
    type Output = Tensor<2>;
    type Target = Tensor<2>;
    type Evaluation = PointEvaluation;
    type Predictive = Mixture<NegativeBinomial>;

    /// # Panics
    ///
    /// Panics unless `output` and `target` have the shape `[batch, targets]`.
    fn nll(&self, output: Tensor<2>, target: Tensor<2>) -> Tensor<1> {
        let [targets] = self.log_dispersion.shape().dims();
        check_shapes(
            "negative binomial",
            targets,
            targets,
            output.dims(),
            target.dims(),
        );
        let (loss, output) = LossType::of_output(output);
        let target = loss.cast(target);
        let bad = bad_counts(&target);
        let zero = target.clone().equal_elem(0.0);
        let log_dispersion = param::read(&self.log_dispersion, self.is_fixed);
        let log_dispersion: Tensor<2> = loss.cast(log_dispersion).unsqueeze();
        let log_r = param::bounded(log_dispersion.neg()).expand(output.dims());
        let r = log_r.clone().exp();
        // The least of 1 and r, and the same in parts of r, so that r + y is a divisor without numbers as large as r:
        // the gradient of a quotient has the square of its divisor, for which `f32` has no number beyond 1e19.
        let is_large = log_r.clone().greater_elem(0.0);
        let least = log_r.clone().mask_fill(is_large.clone(), 0.0).exp();
        let part = log_r
            .clone()
            .mask_fill(is_large.bool_not(), 0.0)
            .neg()
            .exp();
        // The loss grows as r f beyond.
        let beyond = relu(output.clone() - MAX_LOG_RATE) * r.clone();
        let log_mean = output.clamp_max(MAX_LOG_RATE);
        let mean = log_mean.clone().exp();
        // Written around the difference of y and μ, as Poisson's, to which it goes term by term as r grows: the
        // textbook's `ln Γ(y + r) − ln Γ(r)` has no digits left then.
        let y = target.clamp_min(1.0);
        let t = (y.clone().log() - log_mean.clone()).mask_fill(zero.clone(), 0.0);
        let excess = y.clone() * exp_m1(t.clone().neg());
        let dispersion = log_r.neg().exp();
        let constant = y
            .clone()
            .mul_scalar(std::f64::consts::TAU)
            .log()
            .mul_scalar(0.5)
            + (y.clone() * dispersion.clone()).log1p().mul_scalar(0.5)
            + stirling_remainder(y.clone())
            + stirling_remainder(r.clone())
            - stirling_remainder(r.clone() + y.clone());
        let constant = constant.mask_fill(zero.clone(), 0.0);
        let excess = excess / (least.clone() + y.clone() * part.clone());
        let y = y.mask_fill(zero.clone(), 0.0);
        // l = ln((r + μ) / (r + y)), as a logarithm of 1 + q unless q is near −1, or so large that its gradient has no
        // number left.
        let total = r.clone() + y.clone();
        // Without a divisor where y is zero: r alone may be so small that its square is none.
        let q = (excess.clone() * part).mask_where(zero.clone(), mean.clone() * dispersion);
        let rq = (excess * least).mask_where(zero.clone(), mean.clone());
        let far = q
            .clone()
            .lower_elem(-0.5)
            .bool_or(q.clone().greater_elem(LARGE));
        let l = q.clone().clamp(-0.5, LARGE).log1p();
        let l = l.mask_where(far, (r.clone() + mean.clone()).log() - total.log());
        // r l, by the series of l where q is small: an r without measure would be the gradient of q.
        let small = q.clone().abs().lower_elem(SMALL);
        let series = rq.clone() * log1p_over(q.mask_fill(small.clone().bool_not(), 0.0));
        let rl = (r.mask_fill(small.clone(), 1.0) * l.clone()).mask_where(small, series);
        // −ln p = y (t + l) + r l + …, where t and l cancel if both counts are large against r: their sum is a
        // logarithm of 1 + u.
        let sum = t + l.clone();
        let far = sum
            .clone()
            .abs()
            .greater_elem(std::f64::consts::LN_2)
            .bool_or(log_mean.lower_elem(-MAX_LOG_RATE))
            .bool_or(zero);
        // Filled before they are divided: the gradient of a quotient that overflows is NaN, also where it is not used.
        let mean = mean.mask_fill(far.clone(), 1.0);
        let u = rq.mask_fill(far.clone(), 0.0) / mean;
        let both = u.neg().clamp(-0.9, 2.0).log1p().mask_where(far, sum);
        (y * both + rl + constant + beyond)
            .mask_fill(bad, f32::NAN)
            .sum_dim(1)
            .squeeze_dim(1)
    }

    fn evaluate(&self, outputs: Vec<Tensor<2>>, target: Tensor<2>) -> PointEvaluation {
        let means = outputs
            .into_iter()
            .map(|output| LossType::of_output(output.without_autodiff()).1.exp());
        PointEvaluation::new(means.collect(), target)
    }

    fn try_predictive(
        &self,
        outputs: Vec<Tensor<2>>,
    ) -> Result<Mixture<NegativeBinomial>, PredictError> {
        let dispersion = self.dispersion();
        check_outputs("negative binomial", dispersion.len(), &outputs)?;
        let draw = |output| {
            let pairs = to_f64(output).into_iter().zip(dispersion.iter().cycle());
            let negative_binomial = |(log_mean, dispersion): (f64, &f64)| NegativeBinomial {
                log_mean,
                dispersion: *dispersion,
            };
            pairs.map(negative_binomial).collect()
        };
        Ok(Mixture::try_from_draws(
            outputs.into_iter().map(draw),
            dispersion.len(),
        )?)
    }

    fn constants(&self) -> Option<Constants> {
        Some(Constants::new("NegativeBinomial", []))
    }

    fn check_target(&self, target: &Tensor<2>) -> Result<(), TargetError> {
        check_counts(target)
    }
}
