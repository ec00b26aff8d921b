//! Counts whose variance is their mean.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::activation::relu;

use super::check::{check_outputs, check_shapes};
use super::count::{MAX_LOG_RATE, bad_counts, check_counts};
use super::evaluation::to_f64;
use super::loss_type::LossType;
use super::special::{exp_m1, stirling_remainder};
use super::{ExpectedNll, Likelihood, PointEvaluation, param};
use crate::error::{PredictError, TargetError};
use blitz_layers::blitz_core::{ConstantError, Constants};
use blitz_layers::moments::Moments;
use blitz_predict::Mixture;
use blitz_predict::distribution::Poisson;

/// Configuration of a [`PoissonLikelihood`].
///
/// | field | default | meaning |
/// |---|---|---|
/// | `targets` | 1 | the number of target columns |
#[derive(Config, Debug, PartialEq, Eq)]
pub struct PoissonLikelihoodConfig {
    /// The number of target columns.
    #[config(default = 1)]
    pub targets: usize,
}

impl PoissonLikelihoodConfig {
    /// The likelihood. It has no parameters, so it needs no device.
    ///
    /// # Panics
    ///
    /// Panics without target columns.
    pub fn init(&self) -> PoissonLikelihood {
        assert!(self.targets > 0, "a likelihood needs target columns, got 0");
        PoissonLikelihood {
            targets: self.targets,
        }
    }
}

/// `p(y | f) = Π_k λ_k^{y_k} exp(−λ_k) / y_k!` with `λ = exp(f)`: the network's output is the log rate.
///
/// Counts over different times, areas or populations are compared by an exposure, whose logarithm is added to the
/// output: see [`WithExposure`](crate::WithExposure). Above a log rate of 40 the loss goes on along its tangent, so
/// that nothing overflows.
///
/// ```
/// use blitz_train::{Likelihood, PoissonLikelihoodConfig};
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let likelihood = PoissonLikelihoodConfig::new().init();
/// let output = Tensor::<2>::from_floats([[2f32.ln()]], &device);
/// let nll = likelihood.nll(output, Tensor::from_floats([[3.0]], &device)).into_scalar::<f32>();
/// // 2³ e⁻² / 3!
/// assert!((nll - (2.0 + (6f32 / 8.0).ln())).abs() < 1e-6);
/// ```
#[derive(Module, Debug)]
pub struct PoissonLikelihood {
    /// The number of target columns.
    pub targets: usize,
}

impl Likelihood for PoissonLikelihood {
    type Output = Tensor<2>;
    type Target = Tensor<2>;
    type Evaluation = PointEvaluation;
    type Predictive = Mixture<Poisson>;

    /// # Panics
    ///
    /// Panics unless `output` and `target` have the shape `[batch, targets]`.
    fn nll(&self, output: Tensor<2>, target: Tensor<2>) -> Tensor<1> {
        let targets = self.targets;
        check_shapes("Poisson", targets, targets, output.dims(), target.dims());
        let (loss, output) = LossType::of_output(output);
        let target = loss.cast(target);
        let bad = bad_counts(&target);
        let zero = target.clone().equal_elem(0.0);
        let beyond = relu(output.clone() - MAX_LOG_RATE).mul_scalar(MAX_LOG_RATE.exp());
        let log_rate = output.clamp_max(MAX_LOG_RATE);
        // Loader's saddle point form (2000): λ − y ln λ + ln y! cancels to nothing in f32 at large counts. For y = 0,
        // which has no logarithm, the loss is λ.
        let y = target.clamp_min(1.0);
        let t = y.clone().log() - log_rate.clone();
        let constant = y
            .clone()
            .mul_scalar(std::f64::consts::TAU)
            .log()
            .mul_scalar(0.5)
            + stirling_remainder(y.clone());
        let nll = y * (exp_m1(t.clone().neg()) + t) + constant;
        (nll.mask_where(zero, log_rate.exp()) + beyond)
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

    fn try_predictive(&self, outputs: Vec<Tensor<2>>) -> Result<Mixture<Poisson>, PredictError> {
        check_outputs("Poisson", self.targets, &outputs)?;
        let draw = |output| {
            let log_rates = to_f64(output).into_iter();
            log_rates.map(|log_rate| Poisson { log_rate }).collect()
        };
        Ok(Mixture::try_from_draws(
            outputs.into_iter().map(draw),
            self.targets,
        )?)
    }

    fn constants(&self) -> Option<Constants> {
        Some(Constants::new("Poisson", [self.targets as f64]))
    }

    fn set_constants(&mut self, values: &[f64]) -> Result<(), ConstantError> {
        self.targets = param::count("number of target columns", values[0], 1)?;
        Ok(())
    }

    fn check_target(&self, target: &Tensor<2>) -> Result<(), TargetError> {
        check_counts(target)
    }
}

/// The expected rate `e^{m + v/2}` goes on along its tangent where the exponent is above 40, as the rate does in the
/// loss.
impl ExpectedNll for PoissonLikelihood {
    fn expected_nll(&self, output: Moments<2>, target: Tensor<2>) -> Tensor<1> {
        let loss = LossType::of(&output.mean);
        let half = loss.cast(output.variance()).mul_scalar(0.5);
        let mean = loss.cast(output.mean.clone());
        // How far the exponent rises from m below 40: e^m alone vanishes, and e^{v/2} alone overflows, where their
        // product does neither.
        let room = relu(mean.clone().neg() + MAX_LOG_RATE);
        let rise = half.clone().min_pair(room.clone());
        let rate = (mean.clamp_max(MAX_LOG_RATE) + rise.clone()).exp();
        // Not the half without the rise: their gradients, of e⁴⁰ each, would leave nothing of that of the rate.
        let beyond = relu(half - room).mul_scalar(MAX_LOG_RATE.exp());
        let more = beyond - rate * exp_m1(rise.neg());
        self.nll(output.mean, target) + more.sum_dim(1).squeeze_dim(1)
    }
}
