//! The KL of variances of rank one, beside the same posterior without a form.

use blitz_core::prelude::*;
use blitz_core::{BuiltinPosterior, KlEstimator, WeightReading};
use burn::module::{Module, ModuleVisitor, Param};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{DType, Device, Gradients, Tensor};

use crate::digest::given;
use crate::elementwise::Elementwise;
use crate::net::{devices, scalar};

/// A layer under this prior, with both kinds of posterior: the same means and deviations.
fn layers(prior: PriorConfig, dtype: DType, device: &Device) -> [Linear; 2] {
    let layer = LinearConfig::new(7, 5).with_bias(false).init(device);
    let config = BayesianizeConfig::new().with_posterior(PosteriorConfig::matrix_normal(0.2));
    let layer = given(layer.bayesianize(&config), 0.5, dtype);
    let inner = layer.posteriors::<BuiltinPosterior>().remove(0).posterior;
    let of_sums = layer
        .clone()
        .replace_posteriors(|weight| Some((inner.clone(), prior.init(weight.device))));
    let of_weights = layer.replace_posteriors(|weight| {
        let inner = inner.clone();
        Some((Elementwise { inner }, prior.init(weight.device)))
    });
    [of_sums, of_weights]
}

/// The KL, and its gradients in μ and in the posterior's two ρ.
fn kl(layer: &Linear) -> (f64, Vec<Vec<f64>>) {
    struct Collect<'a>(&'a Gradients, Vec<Vec<f64>>);
    impl ModuleVisitor for Collect<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if self.1.len() < 3 {
                self.1.push(values(param.base().grad(self.0).unwrap()));
            }
        }
    }
    let term = layer.kl_terms().remove(0);
    assert_eq!(term.estimator, KlEstimator::ClosedForm);
    let grads = term.value.backward();
    let mut collect = Collect(&grads, Vec::new());
    layer.visit(&mut collect);
    (scalar(term.value), collect.1)
}

#[test]
fn the_kl_and_its_gradients_are_those_of_the_weights_one_by_one() {
    for device in devices() {
        let device = device.autodiff();
        for prior in [
            PriorConfig::normal(0.7),
            PriorConfig::learned_normal(0.7),
            PriorConfig::empirical_normal(None),
            PriorConfig::empirical_normal(Some("group")),
            PriorConfig::laplace(0.5),
        ] {
            // Burn's backward pass of a division by a number multiplies by its reciprocal in `f32`, also of `f64`
            // tensors.
            for (dtype, step) in [(DType::F32, 1e-5), (DType::F64, 1e-7), (DType::F16, 5e-3)] {
                if dtype == DType::F16 && device != Device::flex().autodiff() {
                    // NdArray has no 16 bits.
                    continue;
                }
                let [of_sums, of_weights] = layers(prior.clone(), dtype, &device).map(|l| kl(&l));
                let what = format!("{prior:?}, {dtype:?}");
                let error = (of_sums.0 - of_weights.0).abs();
                assert!(
                    error < step * of_weights.0.abs(),
                    "{what}: {of_sums:?} {of_weights:?}"
                );
                for (got, expected) in of_sums.1.iter().zip(&of_weights.1) {
                    let scale = expected.iter().fold(0.0f64, |max, g| max.max(g.abs()));
                    assert_eq!(got.len(), expected.len());
                    for (got, expected) in got.iter().zip(expected) {
                        let error = (got - expected).abs();
                        assert!(error <= step * scale, "{what}: {got} for {expected}");
                    }
                }
            }
        }
    }
}

#[test]
fn the_factors_multiplied_are_the_variances() {
    for device in devices() {
        let [layer, elementwise] = layers(PriorConfig::default(), DType::F32, &device);
        let factors = WeightReading::with_variance_factors(&layer.weight).unwrap();
        let rows = factors.part.rows.unsqueeze_dim::<2>(1);
        let products = values(rows * factors.part.columns.unsqueeze_dim::<2>(0));
        let WeightReading::Split(split) = WeightReading::with_variance(&layer.weight) else {
            panic!("a matrix-variate normal has variances")
        };
        for (got, expected) in products.iter().zip(values(split.part)) {
            assert!((got - expected).abs() < 1e-6 * expected, "{got} {expected}");
        }
        // Not of a posterior that says nothing of them, in the mean mode, without sampling, or of pruned weights.
        assert!(WeightReading::with_variance_factors(&elementwise.weight).is_none());
        let none = |layer: &Linear| WeightReading::with_variance_factors(&layer.weight).is_none();
        assert!(layer.with_mean(none));
        assert!(none(&layer.clone().freeze_sampling()));
        assert!(none(&layer.clone().prune_by_signal_to_noise(0.5).0));
    }
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}
