//! Burn's linear layer with LoRA and posteriors on its factors, by every estimator.

use blitz_core::deviation::std_from_rho;
use blitz_layers::prelude::*;
use burn::module::{Lora, Module, ModuleMapper, Param, QLora, Quantizer};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::quantization::{Calibration, QuantValue};
use burn::tensor::{DType, Device, FloatDType, Tensor};

use crate::seeded::{normals, seeded_throughout};
use crate::statistics::{
    ESTIMATORS, assert_close, assert_covariance, assert_falls_with_the_batch, assert_mean,
    assert_normal, rho, values,
};

const RANK: usize = 2;
const SCALE: f64 = 1.5;
/// The estimators that have noise of each row's own.
const OF_ROWS: [Estimator; 2] = [Estimator::LocalReparameterization, Estimator::Flipout];

/// Normals in the places of the factors.
#[derive(Default)]
struct Factors {
    seed: u64,
    inside: bool,
}

impl ModuleMapper for Factors {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.inside = ["a", "b"].contains(&name);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.inside = false;
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if !self.inside {
            return param;
        }
        self.seed += 1;
        param.map(|old| {
            let new = normals(self.seed, old.dims(), &old.device()).cast(old.dtype());
            new.set_require_grad(old.is_require_grad())
        })
    }
}

fn lora() -> Lora {
    Lora::new(RANK, SCALE * RANK as f64)
}

/// 3 → 4 with an adapter whose factors are normals.
fn adapted(device: &Device) -> Linear {
    let base = seeded_throughout(LinearConfig::new(3, 4).init(device), 22);
    base.apply_lora(lora()).map(&mut Factors::default())
}

/// With posteriors on the factors of these names.
fn bayesian(layer: Linear, factors: &str, std: f64) -> Linear {
    let config = BayesianizeConfig::new()
        .with_posterior(PosteriorConfig::normal(std))
        .only(WeightFilter::path(factors));
    layer.bayesianize(&config)
}

fn drawn<const D: usize>(
    estimator: Estimator,
    layer: &Linear,
    index: u64,
    input: &Tensor<D>,
) -> Tensor<D> {
    layer.with_draw(31, index, |layer| estimator.linear(layer, input.clone()))
}

#[test]
fn as_the_deviations_vanish_every_estimator_is_burns_adapted_layer() {
    let device = Device::flex();
    let plain = adapted(&device);
    for factors in ["weight.lora.a", "**.lora.*"] {
        let layer = bayesian(plain.clone(), factors, 1e-9);
        for estimator in ESTIMATORS {
            let what = format!("{estimator:?} of {factors}");
            let x = normals(3, [5, 3], &device);
            let got = drawn(estimator, &layer, 0, &x);
            assert_close(got, plain.forward(x), &what);
            let x = normals(3, [2, 5, 3], &device);
            let got = drawn(estimator, &layer, 0, &x);
            assert_close(got, plain.forward(x), &what);
            let x = normals(3, [3], &device);
            let got = layer.with_draw(31, 0, |layer| estimator.linear(layer, x.clone()));
            assert_close(got, plain.forward(x), &what);
        }
    }
}

#[test]
fn the_mean_mode_and_layers_without_posteriors_are_burns_for_every_estimator() {
    let device = Device::flex();
    let x = normals(3, [5, 3], &device);
    let plain = seeded_throughout(LinearConfig::new(3, 4).init(&device), 22);
    let adapted = adapted(&device);
    let layer = bayesian(adapted.clone(), "**.lora.*", 0.5);
    for estimator in ESTIMATORS {
        let what = format!("{estimator:?}");
        let got = estimator.linear(&plain, x.clone());
        assert_eq!(values(got), values(plain.forward(x.clone())), "{what}");
        let mean = layer.with_mean(|layer| estimator.linear(layer, x.clone()));
        assert_close(mean, adapted.forward(x.clone()), &what);
        let got = estimator.linear(&adapted, x.clone());
        assert_close(got, adapted.forward(x.clone()), &what);
    }
}

#[test]
fn a_base_in_few_bits_or_of_another_type_is_the_one_that_burn_merges() {
    let device = Device::flex();
    let x = normals(3, [5, 3], &device);
    let scheme = device.settings().quantization.scheme;
    let quantizer = Quantizer::new(Calibration::MinMax, scheme.with_value(QuantValue::Q8S));
    let config = LinearConfig::new(3, 4).with_bias(false);
    let base = seeded_throughout(config.init(&device), 22);
    let packed = base.clone().apply_qlora(QLora::new(lora(), quantizer));
    let half = lora().set_dtype(FloatDType::F16);
    let halves = base.apply_lora(half);
    for (layer, dtype, digits) in [(packed, DType::F32, 1e-5), (halves, DType::F16, 2e-2)] {
        let layer = bayesian(layer.map(&mut Factors::default()), "**.lora.a", 1e-9);
        let x = x.clone().cast(dtype);
        let wanted = values(drawn(Estimator::SharedWeights, &layer, 0, &x));
        for estimator in OF_ROWS {
            let got = drawn(estimator, &layer, 0, &x);
            assert_eq!(got.dtype(), dtype);
            for (got, wanted) in values(got).iter().zip(&wanted) {
                let off = (got - wanted).abs();
                assert!(off < digits, "{estimator:?}, {dtype:?}: {got} for {wanted}");
            }
        }
    }
}

/// The mean of each output, and the covariances of two outputs of a row of norm one: `scale² σ² BᵀB`.
fn moments(layer: &Linear, x: &Tensor<2>, std: f64) -> (Vec<f64>, Vec<f64>) {
    let mean = values(layer.with_mean(|layer| layer.forward(x.clone())));
    let b = layer.weight.adapter().unwrap().b.val();
    let gram = b.clone().transpose().matmul(b) * (SCALE * std).powi(2);
    (mean, values(gram))
}

#[test]
fn rows_have_the_mean_and_covariance_of_the_posterior_and_noise_of_their_own() {
    let device = Device::flex();
    let std = 0.3;
    let layer = bayesian(adapted(&device), "**.lora.a", std);
    let x = Tensor::<2>::from_floats([[1.0, -2.0, 0.5], [1.5, -1.0, 1.0]], &device);
    let (mean, gram) = moments(&layer, &x, std);
    let norms = [5.25, 4.25];
    let variance: Vec<f64> = norms
        .iter()
        .flat_map(|norm| (0..4).map(|j| norm * gram[5 * j]).collect::<Vec<_>>())
        .collect();
    for estimator in ESTIMATORS {
        let samples: Vec<_> = (0..4000)
            .map(|index| values(drawn(estimator, &layer, index, &x)))
            .collect();
        let what = format!("{estimator:?}");
        assert_normal(&samples, &mean, &variance, &what);
        // Two outputs of one row share the noise of x A.
        let of_row = norms[0] * gram[1];
        assert!(of_row.abs() > 0.01);
        assert_covariance(&samples, [0, 1], &mean, &variance, of_row, &what);
        // The first outputs of the two rows share a draw's weights, or nothing.
        let between = match estimator {
            Estimator::SharedWeights => 4.0 * gram[0],
            _ => 0.0,
        };
        assert_covariance(&samples, [0, 4], &mean, &variance, between, &what);
    }
}

#[test]
fn flipouts_positions_share_their_rows_weights() {
    let device = Device::flex();
    let layer = bayesian(adapted(&device), "**.lora.*", 0.5);
    let x = Tensor::<3>::ones([2, 2, 3], &device);
    for (estimator, of_row, of_all) in [
        (Estimator::SharedWeights, true, true),
        (Estimator::LocalReparameterization, false, false),
        (Estimator::Flipout, true, false),
    ] {
        let outputs = (0..20).map(|index| values(drawn(estimator, &layer, index, &x)));
        let outputs: Vec<_> = outputs.collect();
        let same = |a: usize, b: usize| {
            let of_draw = |output: &Vec<f64>| (output[a] - output[b]).abs() < 1e-5;
            outputs.iter().all(of_draw)
        };
        assert_eq!(same(0, 4), of_row, "{estimator:?}");
        assert_eq!(same(0, 8), of_all, "{estimator:?}");
    }
}

/// The gradients of the mean and of ρ of the factor a.
fn gradients(layer: &Linear, loss: Tensor<1>) -> Vec<f64> {
    let a = &layer.weight.adapter().unwrap().a;
    let gradients = loss.backward();
    let of_mean = values(a.base().grad(&gradients).unwrap());
    [of_mean, values(rho(a).grad(&gradients).unwrap())].concat()
}

#[test]
fn the_gradient_of_every_estimator_is_unbiased() {
    let device = Device::flex().autodiff();
    let layer = bayesian(adapted(&device), "**.lora.a", 0.1);
    let x = Tensor::<2>::from_floats([[0.5, -1.0, 0.2], [0.3, 0.6, -0.4]], &device);
    // An output is normal, so that E exp = exp(mean + variance / 2).
    let adapter = layer.weight.adapter().unwrap();
    let b = adapter.b.val().detach();
    let variance_of_a = std_from_rho(rho(&adapter.a)).square().reshape([3, RANK]);
    let variance = x.clone().square().matmul(variance_of_a);
    let variance = variance.matmul(b.clone().square()) * SCALE.powi(2);
    let low = x.clone().matmul(adapter.a.base()).matmul(b) * SCALE;
    let bias = layer.bias.as_ref().unwrap().val().unsqueeze::<2>();
    let mean = x.clone().matmul(layer.weight.base()) + bias + low;
    let expected = gradients(&layer, (mean + variance / 2.0).exp().mean());
    for estimator in ESTIMATORS {
        let samples: Vec<_> = (0..800)
            .map(|index| gradients(&layer, drawn(estimator, &layer, index, &x).exp().mean()))
            .collect();
        assert_mean(&samples, &expected, &format!("{estimator:?}"));
    }
}

#[test]
fn the_gradients_variance_falls_as_one_over_the_batch_unless_rows_share_their_weights() {
    let device = Device::flex().autodiff();
    let layer = bayesian(adapted(&device), "**.lora.a", 0.5);
    for estimator in ESTIMATORS {
        assert_falls_with_the_batch(estimator, |batch, index| {
            let x = Tensor::<2>::ones([batch, 3], &device);
            gradients(&layer, drawn(estimator, &layer, index, &x).square().mean())[0]
        });
    }
}

#[test]
fn the_kl_is_that_of_the_factors_whichever_estimator_has_run() {
    let device = Device::flex();
    let layer = bayesian(adapted(&device), "**.lora.a", 0.5);
    let wanted = values(layer.kl_cost());
    let x = normals(3, [5, 3], &device);
    for estimator in ESTIMATORS {
        let kl = layer.with_draw(1, 0, |layer| {
            estimator.linear(layer, x.clone());
            layer.kl_cost()
        });
        assert_eq!(values(kl), wanted, "{estimator:?}");
    }
}

#[test]
fn antithetic_draws_reflect_the_output() {
    let device = Device::flex();
    let layer = bayesian(adapted(&device), "**.lora.a", 0.5);
    let x = normals(3, [5, 3], &device);
    let mean = values(layer.with_mean(|layer| layer.forward(x.clone())));
    for estimator in ESTIMATORS {
        let draw = layer.draw(3, 8);
        let first = values(estimator.linear(&layer, x.clone()));
        let _second = draw.antithetic(&layer, 9).unwrap();
        let second = values(estimator.linear(&layer, x.clone()));
        for ((mean, first), second) in mean.iter().zip(&first).zip(&second) {
            assert!((first - mean).abs() > 1e-6);
            let off = first + second - 2.0 * mean;
            assert!(off.abs() < 1e-4, "{estimator:?}: {off}");
        }
    }
}
