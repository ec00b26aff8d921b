//! Real-valued targets with Laplace noise: the median instead of the mean.

use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

use super::check::{check_outputs, check_shapes, check_values};
use super::evaluation::{lazy, to_f64};
use super::loss_type::LossType;
use super::{ExpectedNll, Likelihood, LikelihoodParam, RegressionEvaluation, param};
use crate::error::{PredictError, TargetError};
use blitz_layers::blitz_core::Constants;
use blitz_layers::blitz_core::kernels::leaky_relu_moments;
use blitz_layers::moments::Moments;
use blitz_predict::Mixture;
use blitz_predict::distribution::Laplace;

/// Configuration of a [`LaplaceLikelihood`].
///
/// | field | default | meaning |
/// |---|---|---|
/// | `targets` | 1 | the number of target columns |
/// | `scale` | learned, from 0.5 | the scale b, the mean absolute deviation, in the units of the targets |
#[derive(Config, Debug, PartialEq)]
pub struct LaplaceLikelihoodConfig {
    /// The number of target columns.
    #[config(default = 1)]
    pub targets: usize,
    /// The mean absolute deviation, the same for every example.
    #[config(default = "LikelihoodParam::Learned(0.5)")]
    pub scale: LikelihoodParam,
}

impl LaplaceLikelihoodConfig {
    /// The likelihood.
    ///
    /// # Panics
    ///
    /// Panics if the scale is not positive and finite, or without target columns.
    pub fn init(&self, device: &Device) -> LaplaceLikelihood {
        LaplaceLikelihood {
            log_scale: self.scale.init("scale", self.targets, device),
            is_fixed: self.scale.is_fixed(),
        }
    }
}

/// `p(y | f) = Π_k exp(−|y_k − f_k| / b_k) / 2b_k`: the network's output is the median, the scale is the same for every
/// example.
///
/// ```
/// use blitz_train::{LaplaceLikelihoodConfig, Likelihood, LikelihoodParam};
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let likelihood = LaplaceLikelihoodConfig::new().with_scale(LikelihoodParam::Fixed(2.0)).init(&device);
/// let output = Tensor::<2>::from_floats([[1.0]], &device);
/// let nll = likelihood.nll(output, Tensor::from_floats([[3.0]], &device)).into_scalar::<f32>();
/// assert!((nll - (4f32.ln() + 1.0)).abs() < 1e-6);
/// ```
#[derive(Module, Debug)]
pub struct LaplaceLikelihood {
    /// ln b of each target column.
    pub log_scale: Param<Tensor<1>>,
    /// Whether the scale is known.
    is_fixed: bool,
}

impl LaplaceLikelihood {
    /// The scale b of each target column.
    pub fn scale(&self) -> Vec<f64> {
        param::values(&self.log_scale)
    }

    fn check(&self, output: &Tensor<2>, target: &Tensor<2>) {
        let [targets] = self.log_scale.shape().dims();
        check_shapes("Laplace", targets, targets, output.dims(), target.dims());
    }

    /// The loss at a distance of the target from the output.
    fn at_distance(&self, loss: LossType, distance: Tensor<2>) -> Tensor<1> {
        let log_scale = param::read(&self.log_scale, self.is_fixed);
        let log_scale: Tensor<2> = loss.cast(log_scale).unsqueeze();
        (distance * param::inverse(log_scale.clone()) + log_scale)
            .add_scalar(std::f64::consts::LN_2)
            .sum_dim(1)
            .squeeze_dim(1)
    }
}

impl Likelihood for LaplaceLikelihood {
    type Output = Tensor<2>;
    type Target = Tensor<2>;
    type Evaluation = RegressionEvaluation;
    type Predictive = Mixture<Laplace>;

    /// # Panics
    ///
    /// Panics unless `output` and `target` have the shape `[batch, targets]`.
    fn nll(&self, output: Tensor<2>, target: Tensor<2>) -> Tensor<1> {
        let (loss, output) = LossType::of_output(output);
        self.check(&output, &target);
        self.at_distance(loss, (loss.cast(target) - output).abs())
    }

    fn evaluate(&self, outputs: Vec<Tensor<2>>, target: Tensor<2>) -> RegressionEvaluation {
        let predictive = lazy(self, &outputs);
        let evaluation = RegressionEvaluation::new(outputs, target, |y, median| {
            let log_scale = self.log_scale.val().without_autodiff();
            let inverse = param::inverse(LossType::of(&median).cast(log_scale));
            let z = (y - median) * inverse.unsqueeze();
            let beyond = z.clone().abs().neg().exp().neg() + 1.0;
            z.sign() * beyond.mul_scalar(0.5) + 0.5
        });
        evaluation.with_predictive(predictive)
    }

    fn try_predictive(&self, outputs: Vec<Tensor<2>>) -> Result<Mixture<Laplace>, PredictError> {
        let scale = self.scale();
        check_outputs("Laplace", scale.len(), &outputs)?;
        let draw = |output| {
            let pairs = to_f64(output).into_iter().zip(scale.iter().cycle());
            let laplace = |(location, scale): (f64, &f64)| Laplace {
                location,
                scale: *scale,
            };
            pairs.map(laplace).collect()
        };
        Ok(Mixture::try_from_draws(
            outputs.into_iter().map(draw),
            scale.len(),
        )?)
    }

    fn constants(&self) -> Option<Constants> {
        Some(Constants::new("Laplace", []))
    }

    fn check_target(&self, target: &Tensor<2>) -> Result<(), TargetError> {
        check_values(target, "a finite number", f64::is_finite)
    }
}

impl ExpectedNll for LaplaceLikelihood {
    fn expected_nll(&self, output: Moments<2>, target: Tensor<2>) -> Tensor<1> {
        let variance = output.variance();
        let (loss, mean) = LossType::of_output(output.mean);
        self.check(&mean, &target);
        // |x| is a leaky ReLU of slope −1.
        let off = loss.cast(target) - mean;
        let [distance, _] = leaky_relu_moments(off, loss.cast(variance), -1.0);
        self.at_distance(loss, distance)
    }
}
