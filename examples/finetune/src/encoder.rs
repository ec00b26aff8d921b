//! A layer of Burn's transformer encoder whose queries and values an estimator samples.

use blitz_train::prelude::*;
use burn::nn::attention::MultiHeadAttention;
use burn::nn::transformer::TransformerEncoderLayer;
use burn::tensor::activation::{quiet_softmax, softmax};
use burn::tensor::{Bool, Tensor};

/// The layer's output. With shared weights it is Burn's own; else the noise of an adapter is that of `x A`, of each
/// sequence's own with flipout.
pub fn forward(
    layer: &TransformerEncoderLayer,
    estimator: Estimator,
    states: Tensor<3>,
    padding: Tensor<2, Bool>,
) -> Tensor<3> {
    if estimator == Estimator::SharedWeights {
        return layer.forward(states, Some(padding), None);
    }
    let normed = match layer.norm_first {
        true => layer.norm_2.forward(states.clone()),
        false => states.clone(),
    };
    let attended = attention(&layer.mha, estimator, normed, padding);
    let states = states + layer.dropout.forward(attended);
    let after = layer.norm_1.forward(states.clone());
    let fed = layer.dropout.forward(layer.pwff.forward(after.clone()));
    match layer.norm_first {
        true => states + fed,
        false => layer.norm_2.forward(after + fed),
    }
}

/// Burn's attention of a sequence to itself.
fn attention(
    mha: &MultiHeadAttention,
    estimator: Estimator,
    states: Tensor<3>,
    padding: Tensor<2, Bool>,
) -> Tensor<3> {
    let [sequences, tokens, features] = states.dims();
    let heads = |states: Tensor<3>| {
        let heads = states.reshape([sequences, tokens, mha.n_heads, mha.d_k]);
        heads.swap_dims(1, 2)
    };
    let query = heads(estimator.linear(&mha.query, states.clone()));
    let key = heads(mha.key.forward(states.clone()));
    let value = heads(estimator.linear(&mha.value, states));
    let scores = query.matmul(key.transpose()) / (mha.d_k as f64).sqrt();
    let padding = padding.reshape([sequences, 1, 1, tokens]);
    let scores = scores.mask_fill(padding, mha.min_float);
    let weights = match mha.quiet_softmax {
        true => quiet_softmax(scores, 3),
        false => softmax(scores, 3),
    };
    let context = mha.dropout.forward(weights).matmul(value).swap_dims(1, 2);
    mha.output
        .forward(context.reshape([sequences, tokens, features]))
}

#[cfg(test)]
mod tests {
    use burn::module::{Lora, Module, ParamGroup};
    use burn::nn::transformer::TransformerEncoderConfig;
    use burn::tensor::{Device, Distribution, TensorData};

    use super::*;

    /// Layers of both orders of norms, and what they are run on.
    fn layers(device: &Device) -> Vec<TransformerEncoderLayer> {
        let orders = [(false, false), (true, true)].into_iter();
        let layers = orders.map(|(norm_first, quiet)| {
            let config = TransformerEncoderConfig::new(8, 12, 2, 1)
                .with_dropout(0.0)
                .with_norm_first(norm_first)
                .with_quiet_softmax(quiet);
            config.init(device).layers.remove(0)
        });
        layers.collect()
    }

    fn texts(device: &Device) -> (Tensor<3>, Tensor<2, Bool>) {
        let states = Tensor::random([2, 3, 8], Distribution::Normal(0.0, 1.0), device);
        let padding = TensorData::new(vec![false, false, false, false, false, true], [2, 3]);
        (states, Tensor::from_data(padding, device))
    }

    #[test]
    fn every_estimator_is_burns_layer_where_there_is_no_posterior() {
        let device = Device::flex();
        let (states, padding) = texts(&device);
        for layer in layers(&device) {
            let expected = layer.forward(states.clone(), Some(padding.clone()), None);
            for estimator in [Estimator::SharedWeights, Estimator::Flipout] {
                let got = forward(&layer, estimator, states.clone(), padding.clone());
                let off = (got - expected.clone()).abs().max().into_scalar::<f64>();
                assert!(off < 1e-5, "{off}, norm_first: {}", layer.norm_first);
            }
        }
    }

    #[test]
    fn flipout_gives_two_texts_that_are_the_same_noise_of_their_own() {
        let device = Device::flex();
        let layer = layers(&device).remove(0);
        let value = ParamGroup::from_path("mha.value.weight");
        let lora = Lora::new(2, 4.0).set_param_group(value);
        // Burn starts with b = 0, beside which a posterior of a alone does nothing.
        let posteriors = BayesianizeConfig::new()
            .with_posterior(PosteriorConfig::normal(0.5))
            .only(WeightFilter::path("**.lora.*"));
        let layer = layer.apply_lora(lora).bayesianize(&posteriors);
        let states = Tensor::<3>::ones([2, 3, 8], &device);
        let padding = Tensor::<2>::zeros([2, 3], &device).bool();
        for (estimator, same) in [
            (Estimator::SharedWeights, true),
            (Estimator::Flipout, false),
        ] {
            let output = layer.with_draw(1, 0, |layer| {
                forward(layer, estimator, states.clone(), padding.clone())
            });
            let [first, second] = [0, 1].map(|at| output.clone().narrow(0, at, 1));
            let off = (first - second).abs().max().into_scalar::<f64>();
            assert_eq!(off < 1e-5, same, "{estimator:?}: {off}");
        }
    }
}
