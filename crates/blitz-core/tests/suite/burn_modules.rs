//! Every module of burn-nn 0.22.1 that has parameters, made Bayesian unchanged.
//!
//! Converted, each of them gives Burn's own output as the deviation goes to zero, pays for each weight once, survives a
//! record, and hands its gradient to every mean and deviation.

use std::collections::BTreeMap;

use blitz_core::prelude::*;
use burn::module::{Module, ModuleVisitor, Param};
use burn::nn::activation::{ActivationConfig, PReluConfig, SwiGluConfig};
use burn::nn::attention::{
    CrossAttentionConfig, MhaInput, MultiHeadAttentionConfig, generate_autoregressive_mask,
};
use burn::nn::conv::{
    Conv1dConfig, Conv2dConfig, Conv3dConfig, ConvTranspose1dConfig, ConvTranspose2dConfig,
    ConvTranspose3dConfig, DeformConv2dConfig,
};
use burn::nn::gru::{BiGruConfig, GruConfig};
use burn::nn::lstm::{BiLstmConfig, LstmConfig};
use burn::nn::norm::NormalizationConfig;
use burn::nn::transformer::{
    PositionWiseFeedForwardConfig, TransformerDecoderConfig, TransformerDecoderInput,
    TransformerEncoderConfig, TransformerEncoderInput,
};
use burn::nn::{
    BatchNormConfig, BiRnnConfig, EmbeddingConfig, GroupNormConfig, InstanceNormConfig,
    LayerNormConfig, LinearConfig, LinearLayout, RmsNormConfig, RnnConfig,
};
use burn::store::ModuleRecord;
use burn::tensor::{Device, Gradients, Int, Shape, Tensor};

use crate::net::{scalar, values};

const STD: f64 = 0.3;

/// Numbers without structure, the same on every device.
fn input<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    let elements = Shape::new(shape).num_elements() as i64;
    let index = Tensor::<1, Int>::arange(0..elements, device).float();
    (index * 2.4).sin().reshape(shape)
}

fn with_std(std: f64) -> BayesianizeConfig {
    BayesianizeConfig::new().with_posterior(PosteriorConfig::normal(std))
}

/// The values of the parameters of a deterministic module that train.
#[derive(Default)]
struct Trained(Vec<f32>);

impl ModuleVisitor for Trained {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if param.is_require_grad() {
            self.0.extend(values(param.val()));
        }
    }
}

/// The largest gradient of each parameter that trains, by its path; `None` without a gradient.
struct LargestGradient<'a> {
    gradients: &'a Gradients,
    path: Vec<String>,
    by_path: BTreeMap<String, Option<f32>>,
}

impl ModuleVisitor for LargestGradient<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if param.is_require_grad() {
            let gradient = param.val().grad(self.gradients);
            let largest = gradient.map(|gradient| values(gradient.abs().max())[0]);
            self.by_path.insert(self.path.join("."), largest);
        }
    }
}

/// `vanishing` names the weights whose gradient is zero by the mathematics of the module.
fn check<M: Module, const R: usize>(
    name: &str,
    init: impl Fn(&Device) -> M,
    forward: impl Fn(&M, &Device) -> Tensor<R>,
    vanishing: &[&str],
) {
    let device = Device::flex();

    // (a) The limit of no deviation.
    let plain = init(&device);
    let expected = values(forward(&plain, &device));
    let narrow = plain.clone().bayesianize(&with_std(1e-9));
    let drawn = narrow.with_draw(1, 0, |net| values(forward(net, &device)));
    assert_eq!(drawn.len(), expected.len(), "{name}");
    for (drawn, expected) in drawn.iter().zip(&expected) {
        assert!(
            (drawn - expected).abs() < 1e-5,
            "{name}: {drawn} for {expected}"
        );
    }

    // (b) Each weight once.
    let autodiff = device.clone().autodiff();
    let trainable = init(&autodiff);
    let mut trained = Trained::default();
    trainable.visit(&mut trained);
    let net = trainable.bayesianize(&with_std(STD));
    assert!(!trained.0.is_empty(), "{name} has no parameters");
    assert_eq!(net.num_bayesian_weights(), trained.0.len(), "{name}");
    let kl_of = |mu: &f32| (STD.powi(2) + f64::from(*mu).powi(2) - 1.0) / 2.0 - STD.ln();
    let expected_kl: f64 = trained.0.iter().map(kl_of).sum();
    let kl = scalar(net.kl_cost());
    assert!(
        (kl - expected_kl).abs() < 1e-5 * expected_kl,
        "{name}: KL {kl} for {expected_kl}"
    );

    // (c) A record.
    let wide = plain.bayesianize(&with_std(STD));
    let draw = |net: &M| net.with_draw(3, 1, |net| values(forward(net, &device)));
    assert_ne!(draw(&wide), expected, "{name} is not sampled");
    let bytes = wide.clone().into_record().into_bytes().unwrap();
    let record = ModuleRecord::from_bytes(bytes).unwrap();
    let loaded = init(&device)
        .bayesianize(&with_std(1.0))
        .load_record(record);
    assert_eq!(draw(&loaded), draw(&wide), "{name}");

    // (d) Gradients.
    let _draw = net.draw(5, 0);
    let output = forward(&net, &autodiff);
    // A plain sum hides what comes before a norm or a softmax.
    let weights = input(output.dims(), &autodiff).cos();
    let gradients = (output * weights).sum().backward();
    let mut largest = LargestGradient {
        gradients: &gradients,
        path: Vec::new(),
        by_path: BTreeMap::new(),
    };
    net.visit(&mut largest);
    let (means, deviations): (Vec<_>, Vec<_>) = largest
        .by_path
        .iter()
        .partition(|(path, _)| !path.contains(".bayes."));
    assert_eq!(means.len(), deviations.len(), "{name}");
    for (path, gradient) in &largest.by_path {
        let Some(gradient) = gradient else {
            panic!("{name}: no gradient reaches {path}")
        };
        let vanishes = vanishing.iter().any(|weight| path.contains(weight));
        assert!(gradient.is_finite(), "{name}: {path}");
        // What vanishes is a sum of terms of about 1 that cancel up to rounding.
        let as_expected = match vanishes {
            true => *gradient < 1e-5,
            false => *gradient > 1e-6,
        };
        assert!(
            as_expected,
            "{name}: the gradient of {path} is {gradient}, vanishing: {vanishes}"
        );
    }
}

#[test]
fn linear_and_embedding() {
    for bias in [true, false] {
        for layout in [LinearLayout::Row, LinearLayout::Col] {
            check(
                "Linear",
                |device| {
                    let config = LinearConfig::new(3, 2).with_bias(bias);
                    config.with_layout(layout).init(device)
                },
                |net, device| net.forward(input([4, 3], device)),
                &[],
            );
        }
    }
    check(
        "Embedding",
        |device| EmbeddingConfig::new(5, 3).init(device),
        |net, device| net.forward(Tensor::<2, Int>::from_ints([[0, 1, 2], [4, 3, 1]], device)),
        &[],
    );
}

#[test]
fn convolutions() {
    check(
        "Conv1d",
        |device| Conv1dConfig::new(2, 3, 3).init(device),
        |net, device| net.forward(input([2, 2, 6], device)),
        &[],
    );
    check(
        "Conv2d",
        |device| {
            Conv2dConfig::new([2, 4], [3, 2])
                .with_groups(2)
                .init(device)
        },
        |net, device| net.forward(input([2, 2, 5, 4], device)),
        &[],
    );
    check(
        "Conv3d",
        |device| Conv3dConfig::new([1, 2], [2, 2, 2]).init(device),
        |net, device| net.forward(input([1, 1, 3, 3, 3], device)),
        &[],
    );
    check(
        "ConvTranspose1d",
        |device| ConvTranspose1dConfig::new([2, 3], 3).init(device),
        |net, device| net.forward(input([2, 2, 4], device)),
        &[],
    );
    check(
        "ConvTranspose2d",
        |device| ConvTranspose2dConfig::new([2, 3], [2, 2]).init(device),
        |net, device| net.forward(input([1, 2, 3, 3], device)),
        &[],
    );
    check(
        "ConvTranspose3d",
        |device| ConvTranspose3dConfig::new([1, 2], [2, 2, 2]).init(device),
        |net, device| net.forward(input([1, 1, 2, 2, 2], device)),
        &[],
    );
    check(
        "DeformConv2d",
        |device| DeformConv2dConfig::new([2, 3], [2, 2]).init(device),
        |net, device| {
            let offset = input([1, 8, 3, 3], device) * 0.3;
            let mask = input([1, 4, 3, 3], device).abs();
            net.forward(input([1, 2, 4, 4], device), offset, Some(mask))
        },
        &[],
    );
}

#[test]
fn recurrent_layers() {
    for bias in [true, false] {
        check(
            "Rnn",
            |device| RnnConfig::new(3, 4, bias).init(device),
            |net, device| net.forward(input([2, 3, 3], device), None).0,
            &[],
        );
        check(
            "BiRnn",
            |device| BiRnnConfig::new(3, 4, bias).init(device),
            |net, device| net.forward(input([2, 3, 3], device), None).0,
            &[],
        );
        for reset_after in [true, false] {
            check(
                "Gru",
                |device| {
                    let config = GruConfig::new(3, 4, bias);
                    config.with_reset_after(reset_after).init(device)
                },
                |net, device| net.forward(input([2, 3, 3], device), None),
                &[],
            );
        }
        check(
            "BiGru",
            |device| BiGruConfig::new(3, 4, bias).init(device),
            |net, device| net.forward(input([2, 3, 3], device), None).0,
            &[],
        );
        for input_forget in [true, false] {
            check(
                "Lstm",
                |device| {
                    let config = LstmConfig::new(3, 4, bias);
                    config.with_input_forget(input_forget).init(device)
                },
                |net, device| net.forward(input([2, 3, 3], device), None).0,
                &[],
            );
        }
        check(
            "BiLstm",
            |device| BiLstmConfig::new(3, 4, bias).init(device),
            |net, device| net.forward(input([2, 3, 3], device), None).0,
            &[],
        );
    }
}

#[test]
fn attention_and_transformers() {
    check(
        "MultiHeadAttention",
        |device| {
            MultiHeadAttentionConfig::new(4, 2)
                .with_dropout(0.0)
                .init(device)
        },
        |net, device| {
            net.forward(MhaInput::self_attn(input([2, 3, 4], device)))
                .context
        },
        // It adds the same to every score of a row, which the softmax takes off again.
        &["key.bias"],
    );
    check(
        "CrossAttention",
        |device| {
            CrossAttentionConfig::new(4, 6, 4, 2, 3)
                .with_dropout(0.0)
                .init(device)
        },
        |net, device| net.forward(input([2, 3, 4], device), input([2, 5, 6], device), None),
        &["key.bias"],
    );
    check(
        "PositionWiseFeedForward",
        |device| {
            PositionWiseFeedForwardConfig::new(4, 8)
                .with_dropout(0.0)
                .init(device)
        },
        |net, device| net.forward(input([2, 3, 4], device)),
        &[],
    );
    for norm_first in [true, false] {
        check(
            "TransformerEncoder",
            |device| {
                let config = TransformerEncoderConfig::new(4, 8, 2, 2).with_dropout(0.0);
                config.with_norm_first(norm_first).init(device)
            },
            |net, device| net.forward(TransformerEncoderInput::new(input([2, 3, 4], device))),
            &["key.bias"],
        );
        check(
            "TransformerDecoder",
            |device| {
                let config = TransformerDecoderConfig::new(4, 8, 2, 2).with_dropout(0.0);
                config.with_norm_first(norm_first).init(device)
            },
            |net, device| {
                let (target, memory) = (input([2, 3, 4], device), input([2, 5, 4], device).cos());
                net.forward(TransformerDecoderInput::new(target, memory))
            },
            &["key.bias"],
        );
    }
}

#[test]
fn norms() {
    check(
        "BatchNorm",
        |device| BatchNormConfig::new(3).init(device),
        |net, device| net.forward(input([4, 3, 2], device)),
        &[],
    );
    check(
        "LayerNorm",
        |device| LayerNormConfig::new(4).init(device),
        |net, device| net.forward(input([3, 4], device)),
        &[],
    );
    check(
        "GroupNorm",
        |device| GroupNormConfig::new(2, 4).init(device),
        |net, device| net.forward(input([2, 4, 3], device)),
        &[],
    );
    check(
        "InstanceNorm",
        |device| InstanceNormConfig::new(3).init(device),
        |net, device| net.forward(input([2, 3, 4], device)),
        &[],
    );
    check(
        "RmsNorm",
        |device| RmsNormConfig::new(4).init(device),
        |net, device| net.forward(input([3, 4], device)),
        &[],
    );
    check(
        "Normalization",
        |device| NormalizationConfig::from(LayerNormConfig::new(4)).init(device),
        |net, device| net.forward(input([3, 4], device)),
        &[],
    );
}

#[test]
fn activations() {
    check(
        "PRelu",
        |device| PReluConfig::new().with_num_parameters(3).init(device),
        |net, device| net.forward(input([4, 3], device)),
        &[],
    );
    check(
        "SwiGlu",
        |device| SwiGluConfig::new(3, 2).with_bias(true).init(device),
        |net, device| net.forward(input([4, 3], device)),
        &[],
    );
    check(
        "Activation",
        |device| ActivationConfig::SwiGlu(SwiGluConfig::new(3, 2)).init(device),
        |net, device| net.forward(input([4, 3], device)),
        &[],
    );
}

/// The one thing of Burn's that outlives a weight: a cache holds what the weights of an earlier draw made.
#[test]
fn an_autoregressive_cache_is_exact_within_one_draw_and_stale_in_another() {
    let device = Device::flex();
    let net = TransformerEncoderConfig::new(4, 8, 2, 2)
        .with_dropout(0.0)
        .init(&device);
    let net = net.bayesianize(&with_std(STD));
    let tokens: Tensor<3> = input([2, 3, 4], &device);
    let full = |index| {
        let mask = generate_autoregressive_mask(2, 3, &device);
        let masked = TransformerEncoderInput::new(tokens.clone()).mask_attn(mask);
        net.with_draw(1, index, |net| net.forward(masked))
    };
    let last_of = |output: Tensor<3>| values(output.slice([0..2, 2..3, 0..4]));
    let cached = |first: u64, then: u64| {
        let mut cache = net.new_autoregressive_cache();
        let mut step = |index, length| {
            let prefix =
                TransformerEncoderInput::new(tokens.clone().slice([0..2, 0..length, 0..4]));
            net.with_draw(1, index, |net| {
                net.forward_autoregressive_inference(prefix, &mut cache)
            })
        };
        step(first, 1);
        step(first, 2);
        last_of(step(then, 3))
    };
    let difference = |a: Vec<f32>, b: Vec<f32>| {
        let differences = a.iter().zip(&b).map(|(a, b)| (a - b).abs());
        differences.fold(0.0, f32::max)
    };
    assert!(difference(cached(0, 0), last_of(full(0))) < 1e-5);
    assert!(difference(cached(1, 0), last_of(full(0))) > 1e-2);
}
