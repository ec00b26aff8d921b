//! What the likelihoods of counts share.

use burn::tensor::{Bool, Tensor};

use super::Evaluation;
use super::check::check_values;
use super::loss_type::LossType;
use crate::error::TargetError;

/// The largest log rate that is exponentiated. `exp(40)` is 2e17, beyond any count and with a square that `f32` still
/// holds, as optimizers need of gradients; above it the likelihoods of counts go on along their tangent.
pub(super) const MAX_LOG_RATE: f64 = 40.0;

/// NaN, infinite, negative and fractional counts.
pub(super) fn bad_counts(target: &Tensor<2>) -> Tensor<2, Bool> {
    let fractional = target.clone().floor().not_equal(target.clone());
    let finite = target.clone().is_finite();
    fractional
        .bool_or(finite.bool_not())
        .bool_or(target.clone().lower_elem(0.0))
}

pub(super) fn check_counts(target: &Tensor<2>) -> Result<(), TargetError> {
    check_values(target, "a whole number from 0 up", |y| {
        y >= 0.0 && y.is_finite() && y.fract() == 0.0
    })
}

/// What the metrics of a regression are computed from where the distribution function has no form on a device: the root
/// mean squared error, but no coverage. The predictive distribution has both.
#[derive(Debug, Clone)]
pub struct PointEvaluation {
    /// The predictive mean, of shape `[batch, targets]`.
    pub mean: Tensor<2>,
    /// The target, of the same shape.
    pub target: Tensor<2>,
}

impl PointEvaluation {
    /// From the draws' means.
    pub(super) fn new(means: Vec<Tensor<2>>, target: Tensor<2>) -> Self {
        // Off the graph first: no metric is differentiated.
        let means = means.into_iter().map(Tensor::without_autodiff);
        let (loss, means) = LossType::of_output(Tensor::stack::<3>(means.collect(), 0));
        Self {
            mean: means.mean_dim(0).squeeze_dim(0),
            target: loss.cast(target.without_autodiff()),
        }
    }
}

impl Evaluation for PointEvaluation {
    fn without_autodiff(self) -> Self {
        Self {
            mean: self.mean.without_autodiff(),
            target: self.target.without_autodiff(),
        }
    }
}
