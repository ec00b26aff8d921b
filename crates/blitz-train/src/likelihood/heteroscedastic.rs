//! Real-valued targets with normal noise that depends on the input.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::activation::softplus_with_threshold;

use super::check::{check_outputs, check_shapes, check_values};
use super::evaluation::{lazy, standard_normal_cdf, to_f64};
use super::loss_type::LossType;
use super::{ExpectedNll, Likelihood, RegressionEvaluation, param};
use crate::error::{PredictError, TargetError};
use blitz_layers::blitz_core::noise::density::HALF_LOG_TWO_PI;
use blitz_layers::blitz_core::{ConstantError, Constants};
use blitz_layers::moments::Moments;
use blitz_predict::distribution::Normal;
use blitz_predict::{Mixture, NormalMixture};

/// From here on softplus is the identity, to the last digit of `f64`.
const LINEAR_FROM: f64 = 40.0;

/// Configuration of a [`HeteroscedasticLikelihood`].
///
/// | field | default | meaning |
/// |---|---|---|
/// | `targets` | 1 | the number of target columns; the network returns twice as many |
/// | `min_std` | 1e-3 | the least deviation, in the units of the targets, above 0 |
/// | `beta` | 0 | the exponent β of the β-NLL's gradient, in [0, 1] |
#[derive(Config, Debug, PartialEq)]
pub struct HeteroscedasticLikelihoodConfig {
    /// The number of target columns.
    #[config(default = 1)]
    pub targets: usize,
    /// The least deviation.
    #[config(default = 1e-3)]
    pub min_std: f64,
    /// The exponent β of the β-NLL's gradient.
    #[config(default = 0.0)]
    pub beta: f64,
}

impl HeteroscedasticLikelihoodConfig {
    /// The likelihood. It has no parameters, so it needs no device.
    ///
    /// # Panics
    ///
    /// Panics if a value is out of its range.
    pub fn init(&self) -> HeteroscedasticLikelihood {
        assert!(self.targets > 0, "a likelihood needs target columns, got 0");
        assert!(
            self.min_std.is_finite() && self.min_std > 0.0,
            "the least deviation must be positive and finite, got {}",
            self.min_std
        );
        assert!(
            (0.0..=1.0).contains(&self.beta),
            "the exponent of the β-NLL must lie in [0, 1], got {}",
            self.beta
        );
        HeteroscedasticLikelihood {
            targets: self.targets,
            min_std: self.min_std,
            beta: self.beta,
        }
    }
}

/// `p(y | f) = Π_k N(y_k; m_k, σ_k²)` with `σ_k = min_std + exp(s_k)`: the network returns first all means `m`, then
/// all log-deviations `s`, `[batch, 2 · targets]` together.
///
/// The second output is a *logarithm* rather than a deviation before its softplus, since the Fisher information of `ln
/// σ` is 2 whatever the units and the noise, where that of a softplus vanishes as `2/σ²` for large deviations; and
/// since `ln σ`, which the density needs, is then there without a logarithm of something that may have underflowed. The
/// least deviation is added, not clamped to, so that its gradient never quite stops: `ln σ = ln min_std + softplus(s −
/// ln min_std)`, for which neither end overflows. It also keeps the density bounded where the network fits a target
/// exactly. What speaks for a softplus is far extrapolation, where `exp(s)` grows without measure.
///
/// With `beta` above 0 the gradient of each target's term is weighted by `σ^{2β}` (Seitzer et al. 2022, the β-NLL),
/// which keeps the mean learning where the noise is large; they recommend 0.5. The *value* stays the negative log
/// likelihood, but what is descended is then no longer the gradient of an evidence bound.
///
/// ```
/// use blitz_train::{HeteroscedasticLikelihoodConfig, Likelihood};
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let likelihood = HeteroscedasticLikelihoodConfig::new().init();
/// let output = Tensor::<2>::from_floats([[1.0, 1.999f32.ln()]], &device);
/// let nll = likelihood.nll(output, Tensor::from_floats([[3.0]], &device)).into_scalar::<f32>();
/// // ln(2 sqrt(2π)) + 1/2
/// assert!((nll - 2.112_085_7).abs() < 1e-6);
/// ```
#[derive(Module, Debug)]
pub struct HeteroscedasticLikelihood {
    /// The number of target columns.
    pub targets: usize,
    /// The least deviation.
    pub min_std: f64,
    /// The exponent β of the β-NLL's gradient.
    pub beta: f64,
}

impl HeteroscedasticLikelihood {
    fn split(&self, output: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        let mean = output.clone().narrow(1, 0, self.targets);
        let log_std = self.log_std(output.narrow(1, self.targets, self.targets));
        (mean, log_std)
    }

    fn check(&self, output: [usize; 2], target: [usize; 2]) {
        let targets = self.targets;
        check_shapes("heteroscedastic", 2 * targets, targets, output, target);
    }

    /// `ln σ` of the second outputs.
    fn log_std<const D: usize>(&self, s: Tensor<D>) -> Tensor<D> {
        let floor = self.min_std.ln();
        softplus_with_threshold(s - floor, 1.0, LINEAR_FROM) + floor
    }
}

impl Likelihood for HeteroscedasticLikelihood {
    type Output = Tensor<2>;
    type Target = Tensor<2>;
    type Evaluation = RegressionEvaluation;
    type Predictive = NormalMixture;

    /// # Panics
    ///
    /// Panics unless `output` has the shape `[batch, 2 · targets]` and `target` the shape `[batch, targets]`.
    fn nll(&self, output: Tensor<2>, target: Tensor<2>) -> Tensor<1> {
        self.check(output.dims(), target.dims());
        let (loss, output) = LossType::of_output(output);
        let (mean, log_std) = self.split(output);
        let z = (loss.cast(target) - mean) * param::inverse(log_std.clone());
        let mut nll = z.square().mul_scalar(0.5) + log_std.clone();
        if self.beta > 0.0 {
            // Bounded, since `f32` may have ln σ where it has no σ^{2β}, and the value is that of ln σ.
            let exponent = log_std.detach().mul_scalar(2.0 * self.beta);
            let weight = exponent.clamp_max(param::MAX_LOG).exp();
            // The value of the one, the gradient of the other.
            let value = nll.clone().detach();
            nll = value.clone() + weight * (nll - value);
        }
        nll.add_scalar(HALF_LOG_TWO_PI).sum_dim(1).squeeze_dim(1)
    }

    fn evaluate(&self, outputs: Vec<Tensor<2>>, target: Tensor<2>) -> RegressionEvaluation {
        let predictive = lazy(self, &outputs);
        let split =
            |output: Tensor<2>| self.split(LossType::of_output(output.without_autodiff()).1);
        let (means, log_stds): (Vec<_>, Vec<_>) = outputs.into_iter().map(split).unzip();
        let evaluation = RegressionEvaluation::new(means, target, |y, mean| {
            let log_std: Tensor<3> = Tensor::stack(log_stds, 0);
            standard_normal_cdf((y - mean) * param::inverse(log_std))
        });
        evaluation.with_predictive(predictive)
    }

    fn try_predictive(&self, outputs: Vec<Tensor<2>>) -> Result<NormalMixture, PredictError> {
        check_outputs("heteroscedastic", 2 * self.targets, &outputs)?;
        let draw = |output: Tensor<2>| {
            let values = to_f64(output);
            let normal = |row: &[f64], k: usize| Normal {
                mean: row[k],
                std: self.min_std + row[self.targets + k].exp(),
            };
            let rows = values.chunks(2 * self.targets);
            rows.flat_map(|row| (0..self.targets).map(move |k| normal(row, k)))
                .collect()
        };
        Ok(Mixture::try_from_draws(
            outputs.into_iter().map(draw),
            self.targets,
        )?)
    }

    fn constants(&self) -> Option<Constants> {
        Some(Constants::new(
            "Heteroscedastic",
            [self.targets as f64, self.min_std, self.beta],
        ))
    }

    fn set_constants(&mut self, values: &[f64]) -> Result<(), ConstantError> {
        let (targets, min_std, beta) = (values[0], values[1], values[2]);
        let targets = param::count("number of target columns", targets, 1)?;
        ConstantError::unless_positive("least deviation", min_std)?;
        let in_range = (0.0..=1.0).contains(&beta);
        ConstantError::unless(in_range, "exponent of the β-NLL", beta, "in [0, 1]")?;
        (self.targets, self.min_std, self.beta) = (targets, min_std, beta);
        Ok(())
    }

    fn check_target(&self, target: &Tensor<2>) -> Result<(), TargetError> {
        check_values(target, "a finite number", f64::is_finite)
    }
}

impl ExpectedNll for HeteroscedasticLikelihood {
    /// # Panics
    ///
    /// Panics as [`nll`](Likelihood::nll), and with a `beta` above 0: the β-NLL weighs the gradient of a draw.
    fn expected_nll(&self, output: Moments<2>, target: Tensor<2>) -> Tensor<1> {
        assert!(
            self.beta == 0.0,
            "the β-NLL has no expectation over outputs, got β = {}",
            self.beta
        );
        let targets = self.targets;
        self.check(output.dims(), target.dims());
        let loss = LossType::of(&output.mean);
        let part = |first| {
            let output = output.clone();
            output.arranged(|t: Tensor<2>| loss.cast(t.narrow(1, first, targets)))
        };
        let (mean, s) = (part(0), part(targets));
        let elements = target.dims().iter().product::<usize>();
        let flat = |values: Tensor<2>| values.reshape([elements]);
        let off = flat(loss.cast(target) - mean.mean.clone());
        let variance = flat(mean.variance());
        let [nll] = s.expectations(|s| {
            // Of no rows there are none.
            let nodes = s.dims()[0].checked_div(elements).unwrap_or(1);
            let log_std = self.log_std(s);
            // Twice, since a precision may be beyond `f32`.
            let inverse = param::inverse(log_std.clone());
            let off = off.clone().repeat_dim(0, nodes) * inverse.clone();
            let spread = variance.clone().repeat_dim(0, nodes) * inverse.clone() * inverse;
            [(off.square() + spread).mul_scalar(0.5) + log_std]
        });
        nll.add_scalar(HALF_LOG_TWO_PI).sum_dim(1).squeeze_dim(1)
    }
}
