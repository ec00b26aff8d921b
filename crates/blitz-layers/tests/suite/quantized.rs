//! Layers whose weights are in eight bits compute with the numbers that these stand for, as Burn's do.

use blitz_layers::moments::{ForwardMoments, Moments};
use blitz_layers::prelude::*;
use burn::module::{Lora, Module, ModuleMapper, Param, QLora, Quantizer};
use burn::nn::{Embedding, GruConfig, LayerNormConfig, Linear, LstmConfig, LstmState};
use burn::tensor::quantization::{Calibration, QuantValue};
use burn::tensor::{DType, Device, FloatDType, Int, Tensor};

use crate::digest::given;
use crate::seeded::normals;
use crate::statistics::{assert_close, values};

const D_INPUT: usize = 8;
const D_HIDDEN: usize = 16;

fn quantizer() -> Quantizer {
    let scheme = Device::flex().settings().quantization.scheme;
    Quantizer::new(Calibration::MinMax, scheme.with_value(QuantValue::Q8S))
}

fn quantized<M: Module>(module: M) -> M {
    module.quantize_weights(&mut quantizer())
}

/// The same numbers in `dtype`.
fn dequantized<M: Module>(module: M, dtype: DType) -> M {
    struct Dequantize(DType);

    impl ModuleMapper for Dequantize {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|packed| {
                assert!(matches!(packed.dtype(), DType::QFloat(_)));
                packed.dequantize().cast(self.0)
            })
        }
    }

    module.map(&mut Dequantize(dtype))
}

/// The layer with other weights, those of each gate on a scale of its own, the smallest a five-hundredth of the
/// largest.
fn with_unlike_gates<M: Module>(module: M) -> M {
    struct Scale(Vec<String>);

    impl ModuleMapper for Scale {
        fn enter_module(&mut self, name: &str, _container_type: &str) {
            self.0.push(name.to_string());
        }

        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.0.pop();
        }

        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let is_in = |gates: &[&str]| self.0.iter().any(|name| gates.contains(&name.as_str()));
            let scale = match () {
                () if is_in(&["cell_gate", "new_gate"]) => 0.01,
                () if is_in(&["output_gate", "reset_gate"]) => 5.0,
                () => 0.3,
            };
            param.map(|weight| weight * scale)
        }
    }

    given(module, 1.0, DType::F32).map(&mut Scale(Vec::new()))
}

fn sequence(device: &Device) -> Tensor<3> {
    normals(1, [3, 5, D_INPUT], device)
}

#[test]
fn a_quantized_lstm_computes_what_burns_does() {
    let device = Device::flex();
    for bias in [false, true] {
        let plain = LstmConfig::new(D_INPUT, D_HIDDEN, bias).init(&device);
        let plain = with_unlike_gates(plain);
        let (wanted, end) = quantized(plain.clone()).forward(sequence(&device), None);
        for estimator in [Estimator::SharedWeights, Estimator::Flipout] {
            let layer = BayesianLstmConfig::new(D_INPUT, D_HIDDEN, bias)
                .with_estimator(estimator)
                .init(&device)
                .load_record(plain.clone().into_record().allow_partial(true));
            let layer = quantized(layer.mean_network());
            let (output, state) = layer.forward(sequence(&device), None);
            let case = format!("{estimator:?}, bias: {bias}");
            assert_close(output, wanted.clone(), &case);
            let LstmState { cell, hidden } = state;
            assert_close(cell.squeeze_dim(0), end.cell.clone(), &case);
            assert_close(hidden.squeeze_dim(0), end.hidden.clone(), &case);
        }
    }
}

#[test]
fn a_quantized_gru_computes_what_burns_does() {
    let device = Device::flex();
    for [bias, reset_after] in [[false, false], [false, true], [true, false], [true, true]] {
        let plain = GruConfig::new(D_INPUT, D_HIDDEN, bias)
            .with_reset_after(reset_after)
            .init(&device);
        let plain = with_unlike_gates(plain);
        let wanted = quantized(plain.clone()).forward(sequence(&device), None);
        for estimator in [Estimator::SharedWeights, Estimator::Flipout] {
            let layer = BayesianGruConfig::new(D_INPUT, D_HIDDEN, bias)
                .with_reset_after(reset_after)
                .with_estimator(estimator)
                .init(&device)
                .load_record(plain.clone().into_record().allow_partial(true));
            let layer = quantized(layer.mean_network());
            let (output, _) = layer.forward(sequence(&device), None);
            let case = format!("{estimator:?}, bias: {bias}, reset_after: {reset_after}");
            assert_close(output, wanted.clone(), &case);
        }
    }
}

#[test]
fn quantized_peepholes_and_inputs_of_other_types_are_computed_with() {
    let device = Device::flex();
    for estimator in [Estimator::SharedWeights, Estimator::Flipout] {
        let layer = BayesianLstmConfig::new(D_INPUT, D_HIDDEN, true)
            .with_peephole(true)
            .with_estimator(estimator)
            .init(&device);
        let layer = quantized(with_unlike_gates(layer.mean_network()));
        for dtype in [DType::F32, DType::F64] {
            let x = sequence(&device).cast(dtype);
            let (wanted, _) = dequantized(layer.clone(), dtype).forward(x.clone(), None);
            let (output, _) = layer.forward(x, None);
            assert_eq!(output.dtype(), dtype);
            assert_close(output, wanted, &format!("{estimator:?}, {dtype:?}"));
        }
    }
}

fn embedding() -> BayesianEmbeddingConfig {
    BayesianEmbeddingConfig::new(10, 32).with_padding_idx(Some(0))
}

#[test]
fn a_quantized_embedding_computes_what_burns_does() {
    for device in [Device::flex(), Device::flex().autodiff()] {
        let words = Tensor::<2, Int>::from_ints([[4, 1, 9], [4, 2, 7]], &device);
        let layer = given(embedding().init(&device).mean_network(), 0.5, DType::F32);
        let layer = quantized(layer);
        let plain = Embedding {
            weight: layer.weight.clone(),
        };
        let wanted = values(plain.forward(words.clone()));
        assert_eq!(values(layer.forward(words.clone())), wanted);
        let moments = layer.forward_moments(words);
        assert!(moments.variance.is_none());
        assert_eq!(values(moments.mean), wanted);
    }
}

#[test]
fn the_vectors_of_a_quantized_embedding_are_bounded() {
    let device = Device::flex();
    let words = Tensor::<2, Int>::from_ints([[4, 1, 9]], &device);
    let config = embedding().with_max_norm(Some(0.7));
    let layer = given(config.init(&device).mean_network(), 0.5, DType::F32);
    let layer = quantized(layer);
    let wanted = dequantized(layer.clone(), DType::F32).forward(words.clone());
    let output = layer.forward(words);
    assert_eq!(values(output.clone()), values(wanted));
    for vector in values(output).chunks(32) {
        let norm = vector.iter().map(|x| x * x).sum::<f64>().sqrt();
        assert!((norm - 0.7).abs() < 1e-6, "{norm}");
    }
}

#[test]
fn a_batch_of_padding_alone_has_the_type_of_the_others() {
    let device = Device::flex();
    let padding = Tensor::<2, Int>::zeros([2, 3], &device);
    let words = Tensor::<2, Int>::ones([2, 3], &device);
    let plain = given(embedding().init(&device).mean_network(), 0.5, DType::F32);
    let lora = || Lora::new(2, 4.0).set_dtype(FloatDType::F16);
    for layer in [
        quantized(plain.clone()),
        plain.clone().apply_lora(lora()),
        plain.apply_qlora(QLora::new(lora(), quantizer())),
    ] {
        let output = layer.forward(padding.clone());
        assert_eq!(output.dtype(), layer.forward(words.clone()).dtype());
        assert_eq!(output.dims(), [2, 3, 32]);
        assert!(values(output).iter().all(|x| *x == 0.0));
    }
}

#[test]
fn quantized_norms_pass_moments_on() {
    let device = Device::flex();
    let shape = [4, 32];
    let variance = normals(2, shape, &device).square() + 0.1;
    let certain = Moments::certain(normals(1, shape, &device));
    for input in [
        certain.clone(),
        Moments::new(certain.mean.clone(), variance),
    ] {
        let layer = quantized(given(
            LayerNormConfig::new(32).init(&device),
            0.5,
            DType::F32,
        ));
        let wanted = dequantized(layer.clone(), DType::F32).forward_moments(input.clone());
        let got = layer.forward_moments(input);
        assert_eq!(values(got.mean), values(wanted.mean));
        assert_eq!(got.variance.map(values), wanted.variance.map(values));
    }
}

#[test]
fn quantized_linear_layers_pass_moments_on() {
    let device = Device::flex();
    let layer = BayesianLinearConfig::new(8, 16)
        .init(&device)
        .mean_network();
    let layer = quantized(given(layer, 0.5, DType::F32));
    let input = Moments::new(
        normals(1, [4, 8], &device),
        normals(2, [4, 8], &device).square() + 0.1,
    );
    let wanted = dequantized(layer.clone(), DType::F32).forward_moments(input.clone());
    let got = layer.forward_moments(input.clone());
    assert_close(got.mean, wanted.mean, "mean");
    assert_close(got.variance.unwrap(), wanted.variance.unwrap(), "variance");
    let plain = Linear {
        weight: layer.weight,
        bias: layer.bias,
    };
    let wanted = dequantized(plain.clone(), DType::F32).forward_moments(input.clone());
    let got = plain.forward_moments(input);
    assert_close(got.variance.unwrap(), wanted.variance.unwrap(), "Burn's");
}

#[test]
fn a_bayesian_layer_in_few_bits_is_that_of_the_numbers_that_it_stands_for() {
    let device = Device::flex();
    let input = Moments::new(
        normals(1, [4, 8], &device),
        normals(2, [4, 8], &device).square() + 0.1,
    );
    for estimator in [
        Estimator::SharedWeights,
        Estimator::LocalReparameterization,
        Estimator::Flipout,
    ] {
        let config = BayesianLinearConfig::new(8, 16).with_estimator(estimator);
        let layer = quantized(config.init(&device));
        let plain = dequantized(layer.clone(), DType::F32);
        let drawn = |layer: &BayesianLinear| {
            layer.with_draw(1, 0, |layer| layer.forward(input.mean.clone()))
        };
        assert_close(drawn(&layer), drawn(&plain), &format!("{estimator:?}"));
        let pass = |layer: &BayesianLinear| {
            layer
                .with_moments(|layer| layer.forward_moments(input.clone()))
                .unwrap()
        };
        let (got, wanted) = (pass(&layer), pass(&plain));
        assert_close(got.mean, wanted.mean, "mean");
        assert_close(got.variance.unwrap(), wanted.variance.unwrap(), "variance");
    }
    let words = Tensor::<2, Int>::from_ints([[4, 1, 9], [4, 2, 0]], &device);
    let table = quantized(embedding().init(&device));
    let plain = dequantized(table.clone(), DType::F32);
    let drawn = |table: &BayesianEmbedding| {
        values(table.with_draw(1, 0, |table| table.forward(words.clone())))
    };
    assert_eq!(drawn(&table), drawn(&plain));
}
