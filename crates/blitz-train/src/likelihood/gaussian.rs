//! Real-valued targets with normal noise.

use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

use super::check::{check_outputs, check_shapes, check_values};
use super::evaluation::{lazy, standard_normal_cdf, to_f64};
use super::loss_type::LossType;
use super::{ExpectedNll, Likelihood, LikelihoodParam, RegressionEvaluation, param};
use crate::error::{PredictError, TargetError};
use blitz_layers::blitz_core::Constants;
use blitz_layers::blitz_core::noise::density::HALF_LOG_TWO_PI;
use blitz_layers::moments::Moments;
use blitz_predict::distribution::Normal;
use blitz_predict::{Mixture, NormalMixture};

/// Configuration of a [`GaussianLikelihood`].
///
/// | field | default | meaning |
/// |---|---|---|
/// | `targets` | 1 | the number of target columns |
/// | `noise` | learned, from 0.5 | the deviation of the noise, in the units of the targets |
#[derive(Config, Debug, PartialEq)]
pub struct GaussianLikelihoodConfig {
    /// The number of target columns.
    #[config(default = 1)]
    pub targets: usize,
    /// The deviation of the noise, the same for every example.
    #[config(default = "LikelihoodParam::Learned(0.5)")]
    pub noise: LikelihoodParam,
}

impl GaussianLikelihoodConfig {
    /// The likelihood.
    ///
    /// # Panics
    ///
    /// Panics if the deviation is not positive and finite, or without target columns.
    pub fn init(&self, device: &Device) -> GaussianLikelihood {
        GaussianLikelihood {
            log_std: self.noise.init("noise", self.targets, device),
            is_fixed: self.noise.is_fixed(),
        }
    }
}

/// `p(y | f) = Π_k N(y_k; f_k, σ_k²)`: the network's output is the mean, the noise is the same for every example.
///
/// The noise is a point estimate, learned together with the posterior, not a Bayesian parameter.
///
/// ```
/// use blitz_train::prelude::*;
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let likelihood = GaussianLikelihoodConfig::new().with_noise(LikelihoodParam::Fixed(2.0)).init(&device);
/// let output = Tensor::<2>::from_floats([[1.0]], &device);
/// let nll = likelihood.nll(output, Tensor::from_floats([[3.0]], &device)).into_scalar::<f32>();
/// // ln(2 sqrt(2π)) + 1/2
/// assert!((nll - 2.112_085_7).abs() < 1e-6);
/// ```
#[derive(Module, Debug)]
pub struct GaussianLikelihood {
    /// ln σ of each target column.
    pub log_std: Param<Tensor<1>>,
    /// Whether the noise is known.
    is_fixed: bool,
}

impl GaussianLikelihood {
    /// The deviation σ of the noise of each target column.
    pub fn noise_std(&self) -> Vec<f64> {
        param::values(&self.log_std)
    }

    /// `ln σ`, broadcast over the examples.
    fn log_std(&self, loss: LossType) -> Tensor<2> {
        loss.cast(param::read(&self.log_std, self.is_fixed))
            .unsqueeze()
    }

    fn check(&self, output: &Tensor<2>, target: &Tensor<2>) {
        let [targets] = self.log_std.shape().dims();
        check_shapes("Gaussian", targets, targets, output.dims(), target.dims());
    }
}

impl Likelihood for GaussianLikelihood {
    type Output = Tensor<2>;
    type Target = Tensor<2>;
    type Evaluation = RegressionEvaluation;
    type Predictive = NormalMixture;

    /// # Panics
    ///
    /// Panics unless `output` and `target` have the shape `[batch, targets]`.
    fn nll(&self, output: Tensor<2>, target: Tensor<2>) -> Tensor<1> {
        self.check(&output, &target);
        let [_, targets] = output.dims();
        let (loss, output) = LossType::of_output(output);
        let log_std = self.log_std(loss);
        let z = (loss.cast(target) - output) * param::inverse(log_std.clone());
        (z.square().mul_scalar(0.5) + log_std)
            .sum_dim(1)
            .add_scalar(targets as f64 * HALF_LOG_TWO_PI)
            .squeeze_dim(1)
    }

    fn evaluate(&self, outputs: Vec<Tensor<2>>, target: Tensor<2>) -> RegressionEvaluation {
        let predictive = lazy(self, &outputs);
        let evaluation = RegressionEvaluation::new(outputs, target, |y, mean| {
            let log_std = self.log_std(LossType::of(&mean)).without_autodiff();
            standard_normal_cdf((y - mean) * param::inverse(log_std).unsqueeze())
        });
        evaluation.with_predictive(predictive)
    }

    fn try_predictive(&self, outputs: Vec<Tensor<2>>) -> Result<NormalMixture, PredictError> {
        let std = self.noise_std();
        check_outputs("Gaussian", std.len(), &outputs)?;
        let draw = |output| {
            let pairs = to_f64(output).into_iter().zip(std.iter().cycle());
            pairs
                .map(|(mean, std)| Normal { mean, std: *std })
                .collect()
        };
        Ok(Mixture::try_from_draws(
            outputs.into_iter().map(draw),
            std.len(),
        )?)
    }

    fn constants(&self) -> Option<Constants> {
        Some(Constants::new("Gaussian", []))
    }

    fn check_target(&self, target: &Tensor<2>) -> Result<(), TargetError> {
        check_values(target, "a finite number", f64::is_finite)
    }
}

/// Exact, whatever the distribution of the outputs.
impl ExpectedNll for GaussianLikelihood {
    fn expected_nll(&self, output: Moments<2>, target: Tensor<2>) -> Tensor<1> {
        let loss = LossType::of(&output.mean);
        // Twice, since a precision may be beyond `f32`.
        let inverse = param::inverse(self.log_std(loss));
        let spread = loss.cast(output.variance()) * inverse.clone() * inverse;
        self.nll(output.mean, target) + spread.mul_scalar(0.5).sum_dim(1).squeeze_dim(1)
    }
}
