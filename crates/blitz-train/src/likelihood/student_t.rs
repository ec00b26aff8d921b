//! Real-valued targets with heavy-tailed noise: outliers pull less.

use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

use super::check::{check_outputs, check_shapes, check_values};
use super::evaluation::to_f64;
use super::loss_type::LossType;
use super::special::{log1p_square, stirling_remainder};
use super::{Likelihood, LikelihoodParam, PointEvaluation, param};
use crate::error::{PredictError, TargetError};
use blitz_layers::blitz_core::Constants;
use blitz_layers::blitz_core::noise::density::HALF_LOG_TWO_PI;
use blitz_predict::Mixture;
use blitz_predict::distribution::StudentT;

/// Configuration of a [`StudentTLikelihood`].
///
/// | field | default | meaning |
/// |---|---|---|
/// | `targets` | 1 | the number of target columns |
/// | `scale` | learned, from 0.5 | the scale σ, in the units of the targets; the deviation is σ √(ν / (ν − 2)) |
/// | `degrees_of_freedom` | 4, fixed | ν: towards infinity the noise becomes normal; above 2 it has a variance |
#[derive(Config, Debug, PartialEq)]
pub struct StudentTLikelihoodConfig {
    /// The number of target columns.
    #[config(default = 1)]
    pub targets: usize,
    /// The scale, the same for every example.
    #[config(default = "LikelihoodParam::Learned(0.5)")]
    pub scale: LikelihoodParam,
    /// The degrees of freedom, the same for every example.
    #[config(default = "LikelihoodParam::Fixed(4.0)")]
    pub degrees_of_freedom: LikelihoodParam,
}

impl StudentTLikelihoodConfig {
    /// The likelihood.
    ///
    /// # Panics
    ///
    /// Panics if the scale or the degrees of freedom are not positive and finite, or without target columns.
    pub fn init(&self, device: &Device) -> StudentTLikelihood {
        StudentTLikelihood {
            log_scale: self.scale.init("scale", self.targets, device),
            log_degrees_of_freedom: self.degrees_of_freedom.init(
                "degrees of freedom",
                self.targets,
                device,
            ),
            scale_is_fixed: self.scale.is_fixed(),
            degrees_of_freedom_are_fixed: self.degrees_of_freedom.is_fixed(),
        }
    }
}

/// `p(y | f) = Π_k t_ν((y_k − f_k) / σ_k) / σ_k`: the network's output is the location.
///
/// The loss of an outlier grows with the logarithm of its distance, not with the square.
///
/// ```
/// use blitz_train::{Likelihood, LikelihoodParam, StudentTLikelihoodConfig};
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let likelihood = StudentTLikelihoodConfig::new()
///     .with_scale(LikelihoodParam::Fixed(1.0))
///     .with_degrees_of_freedom(LikelihoodParam::Fixed(1.0))
///     .init(&device);
/// let output = Tensor::<2>::from_floats([[1.0]], &device);
/// let nll = likelihood.nll(output, Tensor::from_floats([[2.0]], &device)).into_scalar::<f32>();
/// // With one degree of freedom it is Cauchy's: 1 / (π (1 + z²)).
/// assert!((nll - std::f32::consts::TAU.ln()).abs() < 1e-6);
/// ```
#[derive(Module, Debug)]
pub struct StudentTLikelihood {
    /// ln σ of each target column.
    pub log_scale: Param<Tensor<1>>,
    /// ln ν of each target column.
    pub log_degrees_of_freedom: Param<Tensor<1>>,
    /// Whether σ is known.
    scale_is_fixed: bool,
    /// Whether ν is known.
    degrees_of_freedom_are_fixed: bool,
}

impl StudentTLikelihood {
    /// The scale σ of each target column.
    pub fn scale(&self) -> Vec<f64> {
        param::values(&self.log_scale)
    }

    /// The degrees of freedom ν of each target column.
    pub fn degrees_of_freedom(&self) -> Vec<f64> {
        param::values(&self.log_degrees_of_freedom)
    }
}

impl Likelihood for StudentTLikelihood {
    type Output = Tensor<2>;
    type Target = Tensor<2>;
    type Evaluation = PointEvaluation;
    type Predictive = Mixture<StudentT>;

    /// # Panics
    ///
    /// Panics unless `output` and `target` have the shape `[batch, targets]`.
    fn nll(&self, output: Tensor<2>, target: Tensor<2>) -> Tensor<1> {
        let [targets] = self.log_scale.shape().dims();
        check_shapes("Student-t", targets, targets, output.dims(), target.dims());
        let (loss, output) = LossType::of_output(output);
        let log_scale = param::read(&self.log_scale, self.scale_is_fixed);
        let log_scale: Tensor<2> = loss.cast(log_scale).unsqueeze();
        let log_nu = param::read(
            &self.log_degrees_of_freedom,
            self.degrees_of_freedom_are_fixed,
        );
        let log_nu = param::bounded(loss.cast(log_nu).unsqueeze());
        let half = log_nu.clone().exp().mul_scalar(0.5);
        let inverse = param::inverse(log_nu.clone());
        // ln Γ(a + ½) − ln Γ(a) − ½ ln a for a = ν/2, without the terms that cancel at many degrees of freedom: it goes
        // to zero with 1/ν.
        let gammas = half.clone() * inverse.log1p() - 0.5 + stirling_remainder(half.clone() + 0.5)
            - stirling_remainder(half.clone());
        let w = (loss.cast(target) - output)
            * param::inverse(log_scale.clone() + log_nu.mul_scalar(0.5));
        ((half + 0.5) * log1p_square(w) + log_scale - gammas)
            .add_scalar(HALF_LOG_TWO_PI)
            .sum_dim(1)
            .squeeze_dim(1)
    }

    fn evaluate(&self, outputs: Vec<Tensor<2>>, target: Tensor<2>) -> PointEvaluation {
        PointEvaluation::new(outputs, target)
    }

    fn try_predictive(&self, outputs: Vec<Tensor<2>>) -> Result<Mixture<StudentT>, PredictError> {
        let (scale, nu) = (self.scale(), self.degrees_of_freedom());
        check_outputs("Student-t", scale.len(), &outputs)?;
        let draw = |output| {
            let locations = to_f64(output).into_iter().enumerate();
            let student = |(i, location): (usize, f64)| StudentT {
                location,
                scale: scale[i % scale.len()],
                degrees_of_freedom: nu[i % nu.len()],
            };
            locations.map(student).collect()
        };
        Ok(Mixture::try_from_draws(
            outputs.into_iter().map(draw),
            scale.len(),
        )?)
    }

    fn constants(&self) -> Option<Constants> {
        Some(Constants::new("StudentT", []))
    }

    fn check_target(&self, target: &Tensor<2>) -> Result<(), TargetError> {
        check_values(target, "a finite number", f64::is_finite)
    }
}
