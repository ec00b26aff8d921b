//! Weights in eight bits, as Burn's quantizer makes them: they get no posterior, and what reads them, or a posterior
//! whose own numbers are such, computes with those that they stand for.

use std::convert::Infallible;

use blitz_core::prelude::*;
use blitz_core::{
    BayesianizeError, NormalPosteriorConfig, NormalPrior, WeightMoments, at_least_f32, in_type_of,
    trains, weight_rows,
};
use burn::module::{Module, ModuleMapper, Param, ParamGroup, Quantizer};
use burn::nn::{EmbeddingConfig, Linear};
use burn::tensor::quantization::{Calibration, QuantScheme, QuantValue, ScaleDtype};
use burn::tensor::{DType, Device, Tensor};

use crate::digest::given;
use crate::net::{families, linear, scalar, values};

fn scheme() -> QuantScheme {
    let scheme = Device::flex().settings().quantization.scheme;
    scheme.with_value(QuantValue::Q8S)
}

fn quantized<M: Module>(module: M) -> M {
    module.quantize_weights(&mut Quantizer::new(Calibration::MinMax, scheme()))
}

fn is_quantized<const D: usize>(tensor: &Tensor<D>) -> bool {
    matches!(tensor.dtype(), DType::QFloat(_))
}

fn devices() -> [Device; 2] {
    [Device::flex(), Device::flex().autodiff()]
}

fn layer(device: &Device) -> Linear {
    linear(32, 16, true, 0.5, device)
}

#[test]
fn a_quantized_weight_gets_no_posterior_and_the_error_says_why() {
    for device in devices() {
        let net = quantized(layer(&device));
        assert!(is_quantized(&net.weight.val()));
        assert!(!trains(&net.weight));
        let reasons = ["weight is quantized", "bias is quantized"].map(String::from);
        let wanted = BayesianizeError::NothingToConvert {
            reasons: reasons.to_vec(),
        };
        let bayesianized = net.clone().try_bayesianize(&BayesianizeConfig::new());
        assert_eq!(bayesianized.unwrap_err(), wanted);
        assert_eq!(net.try_moped(&MopedConfig::new()).unwrap_err(), wanted);
    }
}

#[test]
#[should_panic(expected = "weight is quantized")]
fn a_posterior_of_ones_own_is_refused_likewise() {
    let net = quantized(layer(&Device::flex()));
    let _ = net.attach_posteriors(|weight| {
        let posterior = NormalPosteriorConfig::new().init(weight.shape, weight.device);
        Some((posterior, NormalPrior::new(1.0)))
    });
}

#[test]
fn the_weights_that_are_not_quantized_are_converted() {
    for device in devices() {
        let mut quantizer = Quantizer::new(Calibration::MinMax, scheme());
        let group = ParamGroup::from_path("weight");
        let net = layer(&device).quantize_weights_group(&mut quantizer, group);
        let x = Tensor::<2>::ones([3, 32], &device);
        let plain = values(net.forward(x.clone()));
        for net in [
            net.clone().bayesianize(&BayesianizeConfig::new()),
            net.moped(&MopedConfig::new()),
        ] {
            let marginals = net.weight_marginals();
            let paths: Vec<_> = marginals.iter().map(|weight| &weight.path).collect();
            assert_eq!(paths, ["bias"]);
            assert!(is_quantized(&net.weight.val()));
            let mean = net.with_mean(|net| net.forward(x.clone()));
            assert_eq!(values(mean), plain);
        }
    }
}

#[test]
fn quantized_means_become_the_numbers_that_they_stand_for() {
    for device in devices() {
        let net = layer(&device).bayesianize(&BayesianizeConfig::new());
        let wanted = quantized(net.mean_network()).weight.val().dequantize();
        let mapped = net.map_means(|means| Ok::<_, Infallible>(quantized(means)));
        let net = mapped.unwrap_or_else(|error| match error {});
        assert_eq!(net.weight.base().dtype(), DType::F32);
        assert_eq!(values(net.weight.base()), values(wanted));
        assert_eq!(net.num_bayesian_weights(), 32 * 16 + 16);
        assert!(trains(&net.weight) && trains(net.bias.as_ref().unwrap()));
        let drawn = values(net.sample_network(1, 0).weight.val());
        assert!(drawn.iter().all(|weight| weight.is_finite()));
        if device.is_autodiff() {
            let gradients = net.kl_cost().backward();
            assert!(net.weight.base().grad(&gradients).is_some());
        }
    }
}

#[test]
fn a_quantized_tensor_is_computed_with_as_the_numbers_that_it_stands_for() {
    for device in devices() {
        let net = quantized(layer(&device));
        let packed = net.weight.val();
        let wanted = values(packed.clone().dequantize());
        let single = at_least_f32(packed.clone());
        assert_eq!(single.dtype(), DType::F32);
        assert_eq!(values(single), wanted);
        let like = Tensor::<1>::zeros([1], (&device, DType::F64));
        let double = in_type_of(packed, &like);
        assert_eq!(double.dtype(), DType::F64);
        assert_eq!(values(double.cast(DType::F32)), wanted);

        let squares: Vec<_> = wanted.iter().map(|w| w * w).collect();
        let moments = WeightMoments::of(&net.weight);
        assert_eq!(values(moments.second_moment()), squares);
    }
}

#[test]
fn rows_of_a_table_quantized_in_blocks_are_not_quantized_anew() {
    let device = Device::flex();
    let mut table = given(EmbeddingConfig::new(8, 32).init(&device), 0.5, DType::F32);
    // A block is four rows of unlike ones.
    let in_blocks = scheme().per_block([4, 32], ScaleDtype::F32);
    let scales = Tensor::<2>::from_floats([[1.0], [0.1], [0.01], [3.0]], &device);
    table.weight = table.weight.map(|table| table * scales.repeat_dim(0, 2));
    let table = table.quantize_weights(&mut Quantizer::new(Calibration::MinMax, in_blocks));
    assert!(is_quantized(&table.weight.val()));
    let all = table.weight.val().dequantize();
    let rows = weight_rows(&table.weight, &[2, 5, 6, 1]);
    let [a, b, c, d] = [2, 5, 6, 1].map(|row| all.clone().slice([row..row + 1, 0..32]));
    let wanted = Tensor::cat(vec![a, b, c, d], 0);
    assert_eq!(values(rows.dequantize()), values(wanted));
}

/// The same numbers in `f32`.
fn dequantized<M: Module>(module: M) -> M {
    struct Dequantize;

    impl ModuleMapper for Dequantize {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|value| match is_quantized(&value) {
                true => value.dequantize(),
                false => value,
            })
        }
    }

    module.map(&mut Dequantize)
}

/// A draw of the weight, that draw's KL, rows of another draw, and the deviations.
fn drawn(net: &Linear) -> [Vec<f32>; 4] {
    let weight = net.with_draw(1, 0, |net| values(net.weight.val()));
    let kl = net.with_draw(1, 0, |net| vec![scalar(net.kl_cost()) as f32]);
    let rows = net.with_draw(1, 1, |net| values(weight_rows(&net.weight, &[3, 5])));
    let stds = net.weight_marginals()[0].std_devs.clone();
    [weight, kl, rows, stds]
}

#[test]
fn a_posterior_in_few_bits_is_that_of_the_numbers_that_it_stands_for() {
    let mixture = PriorConfig::scale_mixture(0.5, 1.0, 0.1);
    for device in devices() {
        for posterior in families(0.1) {
            for prior in [PriorConfig::normal(1.0), mixture.clone()] {
                let case = format!("{posterior:?} under {prior:?}");
                let config = BayesianizeConfig::new()
                    .with_posterior(posterior.clone())
                    .with_prior(prior)
                    .only("weight");
                let net = quantized(layer(&device).bayesianize(&config));
                assert!(is_quantized(&net.weight.base()));
                let wanted = drawn(&dequantized(net.clone()));
                assert_eq!(drawn(&net), wanted, "{case}");
                // So is one that was loaded from its record.
                let plain = layer(&device).bayesianize(&config);
                let loaded = plain.try_load_record(net.clone().into_record()).unwrap();
                assert!(is_quantized(&loaded.weight.base()));
                assert_eq!(drawn(&loaded), wanted, "{case}");
            }
        }
    }
}

#[test]
fn parts_of_a_posterior_in_few_bits_are_those_of_its_numbers() {
    for device in devices() {
        let net = quantized(layer(&device).bayesianize(&BayesianizeConfig::new()));
        let plain = dequantized(net.clone());
        let x = Tensor::<2>::ones([3, 32], &device);
        let forward = |net: &Linear| values(net.with_draw(1, 0, |net| net.forward(x.clone())));
        assert_eq!(forward(&net), forward(&plain));
        let moments = |net: &Linear| {
            let moments = WeightMoments::of(&net.weight);
            (values(moments.mean), moments.variance.map(values))
        };
        assert_eq!(moments(&net), moments(&plain));
        // Means that are packed come out of `map_means` as numbers.
        let mapped = net.clone().map_means(Ok::<_, Infallible>);
        let mapped = mapped.unwrap_or_else(|error| match error {});
        assert_eq!(mapped.weight.base().dtype(), DType::F32);
        assert_eq!(drawn(&mapped), drawn(&plain));
    }
}
