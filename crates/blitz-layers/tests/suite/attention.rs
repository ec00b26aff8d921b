//! Burn's own attention layers, converted.

use blitz_layers::prelude::*;
use burn::module::Module;
use burn::nn::attention::{MhaInput, MultiHeadAttention, MultiHeadAttentionConfig};
use burn::nn::transformer::{
    TransformerEncoder, TransformerEncoderConfig, TransformerEncoderInput,
};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, Tensor};

use crate::seeded::{normals, seeded};

fn value(loss: Tensor<1>) -> f64 {
    f64::from(loss.into_scalar::<f32>())
}

/// Trains with the ELBO and returns the mean's loss before and behind it.
fn train<M: Module>(mut model: M, steps: u64, loss: impl Fn(&M) -> Tensor<1>) -> (M, f64, f64) {
    let before = value(model.with_mean(&loss));
    let mut optimizer = AdamConfig::new().init();
    for step in 0..steps {
        let objective = model.with_draw(5, step, |model| loss(model) + model.kl_cost() / 1e4);
        let grads = GradientsParams::from_grads(objective.backward(), &model);
        model = optimizer.step(0.01, model, grads);
    }
    let after = value(model.with_mean(&loss));
    (model, before, after)
}

#[derive(Module, Debug)]
struct Majority {
    encoder: TransformerEncoder,
    out: Linear,
}

#[test]
fn a_converted_transformer_encoder_learns_which_sign_is_in_the_majority() {
    let device = Device::flex().autodiff();
    let signs = normals(1, [32, 5, 1], &device).sign();
    let target = signs.clone().sum_dim(1).squeeze_dim::<2>(2).sign();
    // The sign and its opposite as two of the model's eight features.
    let x = Tensor::cat(
        vec![
            signs.clone(),
            signs.neg(),
            Tensor::zeros([32, 5, 6], &device),
        ],
        2,
    );
    let model = seeded(
        Majority {
            encoder: TransformerEncoderConfig::new(8, 16, 2, 1)
                .with_dropout(0.0)
                .init(&device),
            out: LinearConfig::new(8, 1).init(&device),
        },
        3,
    )
    .bayesianize(&BayesianizeConfig::new());
    let loss = |model: &Majority| {
        let encoded = model
            .encoder
            .forward(TransformerEncoderInput::new(x.clone()));
        let pooled = encoded.mean_dim(1).squeeze_dim::<2>(1);
        (model.out.forward(pooled) - target.clone()).square().mean()
    };
    let (model, before, after) = train(model, 40, loss);
    assert!(after < 0.4 * before, "{before} to {after}");
    // A draw is one network, and draws differ.
    let drawn = value(model.with_draw(9, 0, loss));
    assert_eq!(drawn, value(loss(&model.sample_network(9, 0))));
    assert_ne!(drawn, value(model.with_draw(9, 1, loss)));
}

#[derive(Module, Debug)]
struct Previous {
    attention: MultiHeadAttention,
}

#[test]
fn a_converted_multi_head_attention_learns_to_copy_the_step_before() {
    let device = Device::flex().autodiff();
    let (batch, length, places) = (16, 4, 4);
    let content = normals(2, [batch, length, 4], &device);
    let place = Tensor::<2>::eye(places, &device)
        .unsqueeze::<3>()
        .expand([batch, length, places]);
    let keys = Tensor::cat(vec![content.clone(), place * 2.0], 2);
    // Step t asks for step t - 1, the first for the last.
    let target = content.roll_dim(1, 1);
    let model = seeded(
        Previous {
            attention: MultiHeadAttentionConfig::new(8, 2)
                .with_dropout(0.0)
                .init(&device),
        },
        3,
    )
    .bayesianize(&BayesianizeConfig::new());
    let loss = |model: &Previous| {
        let output = model.attention.forward(MhaInput::self_attn(keys.clone()));
        let copied = output.context.narrow(2, 0, 4);
        (copied - target.clone()).square().mean()
    };
    let (_, before, after) = train(model, 100, loss);
    assert!(after < 0.4 * before, "{before} to {after}");
}
