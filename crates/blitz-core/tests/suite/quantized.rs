//! Weights in eight bits, as Burn's quantizer makes them: what reads them computes with the numbers that they stand for.

use blitz_core::{WeightMoments, at_least_f32, in_type_of, weight_rows};
use burn::module::{Module, Quantizer};
use burn::nn::{EmbeddingConfig, Linear};
use burn::tensor::quantization::{Calibration, QuantScheme, QuantValue, ScaleDtype};
use burn::tensor::{DType, Device, Tensor};

use crate::digest::given;
use crate::net::{linear, values};

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
