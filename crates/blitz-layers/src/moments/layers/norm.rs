//! Normalizations as they are in prediction.

use blitz_core::{WeightMoments, in_type_of};
use burn::module::Param;
use burn::nn::{BatchNorm, LayerNorm};
use burn::tensor::{Tensor, assert_shape};

use crate::axes::along;
use crate::moments::{Correlations, ForwardMoments, Moments};
use crate::weights::for_one_call;

/// By the running statistics, on an autodiff device too: exact, of independent inputs or of inputs with their
/// covariances.
impl<const D: usize, C: Correlations> ForwardMoments<Moments<D, C>> for BatchNorm {
    type Output = Moments<D, C>;

    fn forward_moments(&self, input: Moments<D, C>) -> Moments<D, C> {
        let [num_features] = self.gamma.lazy_shape().dims();
        assert_shape!(input.mean, [_, num_features, ..]);
        let device = input.mean.device();
        let along = |values: Tensor<1>| along::<D>(in_type_of(values, &input.mean), 1);
        let mean = along(self.running_mean.value_sync().to_device(&device));
        let variance = along(self.running_var.value_sync().to_device(&device));
        let scale = (variance + self.epsilon).sqrt().recip();
        // As Burn does: the product of a large mean and a large scale would round, or be none of `f16`.
        let normalized = (input + mean.neg()).times_independent(Moments::certain(scale));
        scaled(normalized, &self.gamma, Some(&self.beta), 1)
    }
}

/// To first order in what is uncertain: `Var y = J Var x Jᵀ` with the layer's derivative `J = (I − (1 1ᵀ + u uᵀ)/n)/s` at
/// the means. They are normalized, `u`, by the root s of the expected square of the features less their mean, which is
/// larger than that of their means.
///
/// Good where the features vary by less than they differ, and where there are many of them.
impl<const D: usize, C: Correlations> ForwardMoments<Moments<D, C>> for LayerNorm {
    type Output = Moments<D, C>;

    fn forward_moments(&self, input: Moments<D, C>) -> Moments<D, C> {
        let [features] = self.gamma.lazy_shape().dims();
        assert_shape!(input.mean, [.., features]);
        let last = D - 1;
        let Some(spread) = input.variance else {
            let unit = unit(self, &input.mean);
            let certain = Moments {
                mean: unit.forward(input.mean),
                variance: None,
            };
            return scaled(certain, &self.gamma, self.beta.as_ref(), last);
        };
        let (variance, between) = C::split(spread);
        let given = input.mean;
        let mean = in_type_of(given.clone(), &variance);
        let centered = mean.clone() - mean.mean_dim(last);
        let of_centered = C::centered(&variance, &between);
        let expected = centered.clone().square().mean_dim(last) + of_centered;
        let scale = (expected + epsilon(self, &centered)).sqrt().recip();
        let unit = centered * scale.clone();
        let (variance, between) = C::projected(variance, between, &unit);
        let between = C::scaled(between, &scale);
        let normalized = Moments {
            mean: in_type_of(unit, &given),
            variance: Some(C::join(variance * scale.square(), between)),
        };
        scaled(normalized, &self.gamma, self.beta.as_ref(), last)
    }
}

/// The layer without its parameters, in the type of `like`.
fn unit<const D: usize>(layer: &LayerNorm, like: &Tensor<D>) -> LayerNorm {
    let features = like.dims()[D - 1];
    let ones = Tensor::<1>::ones([features], (&like.device(), like.dtype()));
    let mut unit = layer.clone();
    unit.gamma = for_one_call(ones);
    unit.beta = None;
    unit
}

/// Burn keeps ε to itself. It is the square of what the layer divides by where the deviation of the features is next to
/// nothing.
fn epsilon<const D: usize>(layer: &LayerNorm, like: &Tensor<D>) -> Tensor<D> {
    const NOTHING: f64 = 1e-15;
    let n = like.dims()[D - 1];
    if n == 1 {
        // Of one feature the output is zero, whatever it is divided by.
        return Tensor::ones([1; D], (&like.device(), like.dtype()));
    }
    let mut values = vec![0.0; n];
    values[0] = NOTHING;
    let probe = Tensor::<1>::from_data(values.as_slice(), (&like.device(), like.dtype()));
    let first = unit(layer, like).forward(probe).narrow(0, 0, 1);
    let centered = NOTHING * (1.0 - 1.0 / n as f64);
    first.recip().mul_scalar(centered).square().reshape([1; D])
}

/// `γ x + β` with parameters on one axis.
fn scaled<const D: usize, C: Correlations>(
    input: Moments<D, C>,
    gamma: &Param<Tensor<1>>,
    beta: Option<&Param<Tensor<1>>>,
    axis: usize,
) -> Moments<D, C> {
    let parameter = |param: &Param<Tensor<1>>| {
        let moments = WeightMoments::of(param);
        Moments {
            mean: along(in_type_of(moments.mean, &input.mean), axis),
            variance: moments.variance.map(|variance| along(variance, axis)),
        }
    };
    let (gamma, beta) = (parameter(gamma), beta.map(parameter));
    let scaled = input.times_independent(gamma);
    match beta {
        Some(beta) => scaled.plus_independent(beta),
        None => scaled,
    }
}
