//! The noise of the layers does not change: a difference from these tables is a value-breaking change, to be told in
//! the changelog.
//!
//! Noise of outputs, signs and masks are read off layers that pass them on as they are, so they are held to the bit, on
//! flex.

use std::collections::BTreeMap;

use blitz_layers::conv::{
    BayesianConvTranspose1dConfig, BayesianConvTranspose2dConfig, BayesianConvTranspose3dConfig,
};
use blitz_layers::prelude::*;
use burn::module::Module;
use burn::tensor::{DType, Device, Tensor};

use crate::digest::{assert_table, given, of_network, of_tensor};
use crate::types::TYPES;

const SEED: u64 = 8;

/// `ones` of the shape, in `dtype`.
fn ones<const D: usize>(shape: [usize; D], dtype: DType) -> Tensor<D> {
    Tensor::ones(shape, (&Device::flex(), dtype))
}

/// Weights of zero mean and of one deviation, which gives outputs that are the noise times a constant.
fn noise_alone<M: Module>(layer: M, dtype: DType) -> M {
    given(layer, 0.0, dtype)
}

fn of_estimator(estimator: Estimator) -> BTreeMap<String, u64> {
    let device = Device::flex();
    let mut got = BTreeMap::new();
    for dtype in TYPES {
        let linear = BayesianLinearConfig::new(1, 5)
            .with_bias(false)
            .with_estimator(estimator)
            .init(&device);
        let linear = noise_alone(linear, dtype);
        let conv = BayesianConv1dConfig::new(1, 3, 1)
            .with_bias(false)
            .with_estimator(estimator)
            .init(&device);
        let conv = noise_alone(conv, dtype);
        for index in [0, 3] {
            // The second call of a layer in a draw has noise of its own.
            linear.with_draw(SEED, index, |layer| {
                for call in 0..2 {
                    let digest = of_tensor(layer.forward(ones([7, 1], dtype)));
                    got.insert(format!("linear {dtype:?} {index} call {call}"), digest);
                }
            });
            let digest = conv.with_draw(SEED, index, |l| {
                of_tensor(l.forward(ones([4, 1, 6], dtype)))
            });
            got.insert(format!("conv {dtype:?} {index}"), digest);
        }
    }
    got
}

const LOCAL: &[(&str, u64)] = &[
    ("conv BF16 0", 0x267e2cb77cb70596),
    ("conv BF16 3", 0x1ebebb61d951085d),
    ("conv F16 0", 0x535c29730234c054),
    ("conv F16 3", 0x2533c782ff2f30af),
    ("conv F32 0", 0x6e21cff811710082),
    ("conv F32 3", 0x15ba0b65d31d01cf),
    ("conv F64 0", 0x15b8b18872b06df5),
    ("conv F64 3", 0x9488158ce94f8bd2),
    ("linear BF16 0 call 0", 0xbef234532fe57471),
    ("linear BF16 0 call 1", 0x8e6fd0b251c4feb4),
    ("linear BF16 3 call 0", 0x421aa71d02da8bf8),
    ("linear BF16 3 call 1", 0x1a863148cabb9534),
    ("linear F16 0 call 0", 0xc79dbe9cd5282e0b),
    ("linear F16 0 call 1", 0x157d8701bb1dd5a7),
    ("linear F16 3 call 0", 0x5b934b1b6d254cf3),
    ("linear F16 3 call 1", 0x01ab7a3f79457a48),
    ("linear F32 0 call 0", 0x1a444eedadc0e3e2),
    ("linear F32 0 call 1", 0x1f8336cdad28c0a5),
    ("linear F32 3 call 0", 0xb4e1f1df1616e552),
    ("linear F32 3 call 1", 0xa4740b063e725afe),
    ("linear F64 0 call 0", 0x84bc66b7b5d56456),
    ("linear F64 0 call 1", 0xfffa5e239b05c6e6),
    ("linear F64 3 call 0", 0x773b912272e05936),
    ("linear F64 3 call 1", 0x342bde4c995bf55a),
];

#[test]
fn the_noise_of_local_reparameterization_is_that_of_earlier_versions_to_the_bit() {
    assert_table(LOCAL, &of_estimator(Estimator::LocalReparameterization));
}

const FLIPOUT: &[(&str, u64)] = &[
    ("conv BF16 0", 0xe764a8952988ae05),
    ("conv BF16 3", 0x10baa5d6491a0565),
    ("conv F16 0", 0x9b6eb5a289d73ea5),
    ("conv F16 3", 0xfa034cef88793735),
    ("conv F32 0", 0x43bd1073a49252b5),
    ("conv F32 3", 0x1b708e5b17ed0195),
    ("conv F64 0", 0xeddb3457cfbef805),
    ("conv F64 3", 0x7b72835964be42f5),
    ("linear BF16 0 call 0", 0x1e6350e404353a9d),
    ("linear BF16 0 call 1", 0xdb50b282055eaa9d),
    ("linear BF16 3 call 0", 0x01885cfb4448c0f5),
    ("linear BF16 3 call 1", 0xa690908fe53489f5),
    ("linear F16 0 call 0", 0x734e0c0658682675),
    ("linear F16 0 call 1", 0x320a1c0f185b7375),
    ("linear F16 3 call 0", 0x8d2e0d877f48bf40),
    ("linear F16 3 call 1", 0x30bb81bd55a64640),
    ("linear F32 0 call 0", 0xad7b8c31eec41eb6),
    ("linear F32 0 call 1", 0x306e7092dd7307b6),
    ("linear F32 3 call 0", 0x0ee7f0a35af45f18),
    ("linear F32 3 call 1", 0x4412c5da76ea9618),
    ("linear F64 0 call 0", 0x946610e1e0a6ced5),
    ("linear F64 0 call 1", 0xc1e93e5a283d7ed5),
    ("linear F64 3 call 0", 0xed0a0ef5786cfe99),
    ("linear F64 3 call 1", 0xb92dab057498a299),
];

#[test]
fn the_signs_of_flipout_are_those_of_earlier_versions_to_the_bit() {
    assert_table(FLIPOUT, &of_estimator(Estimator::Flipout));
}

const MASKS: &[(&str, u64)] = &[
    ("first BF16 0", 0x09a13650be93c82b),
    ("first BF16 3", 0xe8f5239b30561341),
    ("first F16 0", 0x87a7153c64a8275c),
    ("first F16 3", 0xbc955e1737859109),
    ("first F32 0", 0xf5c24a387bf9b075),
    ("first F32 3", 0x8ad85053a322fe05),
    ("first F64 0", 0x8dd8b5996ccacc9b),
    ("first F64 3", 0x83a3ee20b7d2bcf1),
    ("second call BF16 0", 0xa1272c83e57b1b15),
    ("second call BF16 3", 0xd8d9e7238b1c5ba9),
    ("second call F16 0", 0x9dab6521929b364d),
    ("second call F16 3", 0x5d6010d0becc0791),
    ("second call F32 0", 0x3201958eecb64f85),
    ("second call F32 3", 0x0b69d0f149d458c5),
    ("second call F64 0", 0x56eac6376c5521f5),
    ("second call F64 3", 0xd1c7b026bcbfe4f9),
    ("second layer BF16 0", 0x8dc514b6a1e3a185),
    ("second layer BF16 3", 0x32f940851df13b85),
    ("second layer F16 0", 0x8dc514b6a1e3a185),
    ("second layer F16 3", 0x32f940851df13b85),
    ("second layer F32 0", 0x4f188dee85fbabe5),
    ("second layer F32 3", 0x77fdde9b9d736de5),
    ("second layer F64 0", 0x63f41f4bb8811725),
    ("second layer F64 3", 0x3ca045b62f1138a5),
];

#[test]
fn the_masks_of_monte_carlo_dropout_are_those_of_earlier_versions_to_the_bit() {
    let mut got = BTreeMap::new();
    let plain = McDropoutConfig::new(0.3).init();
    let shared = McDropoutConfig::new(0.5).with_shared_axes(vec![1]).init();
    for dtype in TYPES {
        for index in [0, 3] {
            let _draw = Draw::anonymous(SEED, index);
            let mut add = |name: &str, digest| {
                got.insert(format!("{name} {dtype:?} {index}"), digest);
            };
            add("first", of_tensor(plain.forward(ones([9, 8], dtype))));
            add(
                "second layer",
                of_tensor(shared.forward(ones([4, 3, 5], dtype))),
            );
            add("second call", of_tensor(plain.forward(ones([9, 8], dtype))));
        }
    }
    assert_table(MASKS, &got);
}

const WEIGHTS: &[(&str, u64)] = &[
    ("conv1d BF16", 0xfd3ef5e2d7b97c63),
    ("conv1d F16", 0x2edefe53b329dba7),
    ("conv1d F32", 0x7a93ef1814959a24),
    ("conv1d F64", 0x32418f6e8da9acc0),
    ("conv2d BF16", 0xf260e75c5b5e203b),
    ("conv2d F16", 0x17c2c2fe62db1d12),
    ("conv2d F32", 0x310642bee03c2364),
    ("conv2d F64", 0x9f5715b15d7780e0),
    ("conv3d BF16", 0xe10075af84a37339),
    ("conv3d F16", 0xce94dde972ff48b2),
    ("conv3d F32", 0x27b0624b6941c2ce),
    ("conv3d F64", 0xf50dde14533b00e5),
    ("conv_transpose1d BF16", 0xfd3ef5e2d7b97c63),
    ("conv_transpose1d F16", 0x2edefe53b329dba7),
    ("conv_transpose1d F32", 0x7a93ef1814959a24),
    ("conv_transpose1d F64", 0x32418f6e8da9acc0),
    ("conv_transpose2d BF16", 0xf260e75c5b5e203b),
    ("conv_transpose2d F16", 0x17c2c2fe62db1d12),
    ("conv_transpose2d F32", 0x310642bee03c2364),
    ("conv_transpose2d F64", 0x9f5715b15d7780e0),
    ("conv_transpose3d BF16", 0xe10075af84a37339),
    ("conv_transpose3d F16", 0xce94dde972ff48b2),
    ("conv_transpose3d F32", 0x27b0624b6941c2ce),
    ("conv_transpose3d F64", 0xf50dde14533b00e5),
    ("embedding BF16", 0xbb6240be09cda9d5),
    ("embedding F16", 0x83ab0a11037fbf42),
    ("embedding F32", 0xfa6127e24c7aa1af),
    ("embedding F64", 0xb1fb8f9a2c20218a),
    ("gru BF16", 0xb94a1ef06aae0f03),
    ("gru F16", 0xddaa19b1940a4cc0),
    ("gru F32", 0xec6eadaa70c40118),
    ("gru F64", 0x4c5e312926a10a78),
    ("linear BF16", 0xccd41de5579b39f6),
    ("linear F16", 0x431c3e49b5a0566a),
    ("linear F32", 0x7d33aa20d445456e),
    ("linear F64", 0xf17b24fab96e38f4),
    ("lstm BF16", 0x7bf520a238113a50),
    ("lstm F16", 0x0438b3373919b561),
    ("lstm F32", 0xad822dfb0b5b5048),
    ("lstm F64", 0xcb2eaa03f12709e7),
];

#[test]
fn the_weights_of_every_layer_are_those_of_earlier_versions_to_the_bit() {
    let device = Device::flex();
    let mut got = BTreeMap::new();
    for dtype in TYPES {
        let mut add = |name: &str, digest| {
            got.insert(format!("{name} {dtype:?}"), digest);
        };
        macro_rules! layer {
            ($name:literal, $config:expr) => {
                let layer = given($config.init(&device), 0.4, dtype);
                add($name, of_network(&layer.sample_network(SEED, 3)));
            };
        }
        layer!("linear", BayesianLinearConfig::new(5, 4));
        layer!("embedding", BayesianEmbeddingConfig::new(6, 4));
        layer!("conv1d", BayesianConv1dConfig::new(2, 3, 3));
        layer!("conv2d", BayesianConv2dConfig::new([2, 3], [3, 2]));
        layer!("conv3d", BayesianConv3dConfig::new([2, 3], [3, 2, 2]));
        layer!(
            "conv_transpose1d",
            BayesianConvTranspose1dConfig::new([2, 3], 3)
        );
        layer!(
            "conv_transpose2d",
            BayesianConvTranspose2dConfig::new([2, 3], [3, 2])
        );
        layer!(
            "conv_transpose3d",
            BayesianConvTranspose3dConfig::new([2, 3], [3, 2, 2])
        );
        layer!("lstm", BayesianLstmConfig::new(3, 4, true));
        layer!("gru", BayesianGruConfig::new(3, 4, true));
    }
    assert_table(WEIGHTS, &got);
}
