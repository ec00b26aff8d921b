//! What a likelihood of real numbers hands to the metrics, and to predictions.

use burn::tensor::{Tensor, TensorData};

use super::loss_type::LossType;
use super::{Evaluation, LazyPredictive, Likelihood};
use blitz_predict::Mixture;
use blitz_predict::distribution::Distribution;

/// What the metrics of a regression are computed from.
#[derive(Debug, Clone)]
pub struct RegressionEvaluation {
    /// The predictive mean, of shape `[batch, targets]`.
    pub mean: Tensor<2>,
    /// The predictive distribution function at the target, of the same shape. Calibrated predictions have it uniform.
    pub cdf: Tensor<2>,
    /// The target, of the same shape.
    pub target: Tensor<2>,
    /// The predictive distribution, for the metrics that need it; without one they are NaN.
    pub predictive: Option<LazyPredictive>,
}

impl RegressionEvaluation {
    pub(super) fn with_predictive(self, predictive: LazyPredictive) -> Self {
        Self {
            predictive: Some(predictive),
            ..self
        }
    }

    /// From the draws' outputs, which are means or medians, and the distribution function of each draw given targets
    /// and outputs, of shape `[1, batch, targets]` and `[draws, batch, targets]`.
    pub(super) fn new(
        outputs: Vec<Tensor<2>>,
        target: Tensor<2>,
        cdf: impl FnOnce(Tensor<3>, Tensor<3>) -> Tensor<3>,
    ) -> Self {
        // Off the graph first: no metric is differentiated, and a training step would track all of this.
        let outputs = outputs.into_iter().map(Tensor::without_autodiff);
        let (loss, outputs) = LossType::of_output(Tensor::stack::<3>(outputs.collect(), 0));
        let target = loss.cast(target.without_autodiff());
        // F(y) of the mixture: the mean of the components' distribution functions.
        let cdf = cdf(target.clone().unsqueeze(), outputs.clone());
        Self {
            mean: outputs.mean_dim(0).squeeze_dim(0),
            cdf: cdf.mean_dim(0).squeeze_dim(0),
            target,
            predictive: None,
        }
    }
}

pub(super) fn standard_normal_cdf(z: Tensor<3>) -> Tensor<3> {
    z.mul_scalar(std::f64::consts::FRAC_1_SQRT_2)
        .erf()
        .mul_scalar(0.5)
        + 0.5
}

impl Evaluation for RegressionEvaluation {
    fn without_autodiff(self) -> Self {
        Self {
            mean: self.mean.without_autodiff(),
            cdf: self.cdf.without_autodiff(),
            target: self.target.without_autodiff(),
            predictive: self.predictive,
        }
    }
}

/// The predictive distribution of outputs, off their graph, when a metric asks.
pub(super) fn lazy<L, C>(likelihood: &L, outputs: &[Tensor<2>]) -> LazyPredictive
where
    L: Likelihood<Output = Tensor<2>, Predictive = Mixture<C>>,
    C: Distribution + 'static,
{
    let likelihood = likelihood.clone();
    let outputs: Vec<_> = outputs
        .iter()
        .map(|o| o.clone().without_autodiff())
        .collect();
    LazyPredictive::new(move || likelihood.try_predictive(outputs.clone()))
}

pub(crate) fn to_f64<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    let data: TensorData = tensor.into_data();
    data.iter::<f64>().collect()
}
