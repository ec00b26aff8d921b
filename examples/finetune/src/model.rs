//! The upper layers of a transformer with a head on their mean, and LoRA on their queries and values.

use blitz_train::blitz_core::trains;
use blitz_train::prelude::*;
use blitz_train::{AdapterError, BlobConfig, load_adapter};
use burn::module::{Lora, Module, ModuleVisitor, Param, ParamGroup, ParamId};
use burn::nn::transformer::TransformerEncoderLayer;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use example_support::{Digest, RunError};

use crate::args::Cli;
use crate::data::Tokens;
use crate::encoder::forward;

/// Layers of Burn's transformer, then the mean over the tokens, then a linear head.
#[derive(Module, Debug)]
pub struct Classifier {
    /// The trained layers, without those that stay as they are.
    pub layers: Vec<TransformerEncoderLayer>,
    /// After each of them.
    pub dropout: McDropout,
    /// To the logits.
    pub head: Linear,
    /// How the outputs of queries and values are sampled, of adapters that have a posterior.
    #[module(skip)]
    estimator: Estimator,
    /// A digest of what an adapter depends on besides: the layers below, how many heads they have, the tokenizer, and
    /// which classes the logits are of. As a parameter that is frozen it is a part of the base that an adapter's file
    /// knows.
    files_and_classes: Param<Tensor<1, Int>>,
}

impl Classifier {
    /// With a new head. [`of`](Self::of) says what it belongs to.
    pub fn new(
        layers: &[TransformerEncoderLayer],
        classes: usize,
        dropout: f64,
        device: &Device,
    ) -> Self {
        let features = layers
            .first()
            .map_or(1, |layer| layer.norm_1.gamma.dims()[0]);
        Self {
            layers: layers.to_vec(),
            dropout: McDropoutConfig::new(dropout).init(),
            head: LinearConfig::new(features, classes).init(device),
            estimator: Estimator::SharedWeights,
            files_and_classes: numbers(Digest::default(), device),
        }
    }

    /// Of these files and classes.
    pub fn of(self, files_and_classes: &Digest) -> Self {
        let device = self.files_and_classes.lazy_device();
        Self {
            files_and_classes: numbers(files_and_classes.clone(), &device),
            ..self
        }
    }

    /// With adapters on queries and values. They train, and so does the head; the rest does not.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no layer to adapt, or if the rank is above that of a matrix.
    pub fn adapted(self, rank: usize) -> Result<Self, AdapterError> {
        let group = |layer: usize| {
            ["query", "value"].map(|part| format!("layers.{layer}.mha.{part}.weight"))
        };
        let weights: Vec<String> = (0..self.layers.len()).flat_map(group).collect();
        let lora =
            Lora::new(rank, 2.0 * rank as f64).set_param_group(ParamGroup::from_paths(weights));
        let head = ParamGroup::from_paths(vec!["head.weight", "head.bias"]);
        let net = self.apply_lora(lora).unfreeze_group(head);
        check(&net)?;
        Ok(net)
    }

    /// With queries and values as this estimator samples them.
    pub fn by(self, estimator: Estimator) -> Self {
        Self { estimator, ..self }
    }

    /// What the head sees, `[sequence, feature]`.
    pub fn features(&self, Tokens { states, padding }: Tokens) -> Tensor<2> {
        let states = self.layers.iter().fold(states, |states, layer| {
            let states = forward(layer, self.estimator, states, padding.clone());
            self.dropout.forward(states)
        });
        mean(states, padding.bool_not().float())
    }

    /// How many numbers the optimizer trains.
    pub fn trainable(&self) -> usize {
        struct Count(usize);

        impl ModuleVisitor for Count {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                if trains(param) {
                    self.0 += param.lazy_shape().num_elements();
                }
            }
        }

        let mut count = Count(0);
        self.visit(&mut count);
        count.0
    }
}

/// In one type of number on every device: a digest of the parameter has to be the same.
fn numbers(digest: Digest, device: &Device) -> Param<Tensor<1, Int>> {
    let data = TensorData::from(digest.bytes().map(i32::from));
    Param::initialized(
        ParamId::new(),
        Tensor::from_data(data, (device, DType::I32)),
    )
}

/// The network with the adapter that an earlier run saved, if one was asked for.
///
/// # Errors
///
/// Returns an error if the file can't be read, or is of another base or of other adapters.
pub fn saved(
    cli: &Cli,
    layers: &[TransformerEncoderLayer],
    classes: &[String],
    files: Digest,
    device: &Device,
) -> Result<Option<Classifier>, RunError> {
    let Some(path) = &cli.adapter else {
        return Ok(None);
    };
    let said = |error: &dyn std::fmt::Display| RunError::Setting(error.to_string());
    let net = Classifier::new(layers, classes.len(), 0.0, &device.clone().autodiff());
    let net = net.of(&files.names(classes)).adapted(cli.rank);
    let net = net.map_err(|error| said(&error))?;
    load_adapter(net, path)
        .map(Some)
        .map_err(|error| said(&error))
}

/// Fails unless BLoB and its like have adapters to work with.
fn check(net: &Classifier) -> Result<(), AdapterError> {
    BlobConfig::new().attach(net.clone()).map(|_| ())
}

/// The mean over the tokens; `present` is 1 where there is one and 0 elsewhere.
pub fn mean(states: Tensor<3>, present: Tensor<2>) -> Tensor<2> {
    let [sequences, _, features] = states.dims();
    let count = present.clone().sum_dim(1);
    let sum = (states * present.unsqueeze_dim::<3>(2)).sum_dim(1);
    sum.reshape([sequences, features]) / count
}

impl Network for Classifier {
    type Input = Tokens;
    type Output = Tensor<2>;

    fn forward(&self, tokens: Tokens) -> Tensor<2> {
        self.head.forward(self.features(tokens))
    }
}

#[cfg(test)]
mod tests {
    use burn::nn::transformer::TransformerEncoderConfig;
    use burn::tensor::TensorData;

    use super::*;

    fn layers(device: &Device) -> Vec<TransformerEncoderLayer> {
        let config = TransformerEncoderConfig::new(8, 12, 2, 2).with_dropout(0.0);
        config.init(device).layers
    }

    #[test]
    fn adapters_and_head_train_and_nothing_else() {
        let device = Device::flex().autodiff();
        let net = Classifier::new(&layers(&device), 3, 0.0, &device);
        let adapted = net.adapted(2).unwrap();
        // Two layers, two matrices each, of 8 × 8.
        assert_eq!(adapted.trainable(), 2 * 2 * (8 * 2 + 2 * 8) + 8 * 3 + 3);
    }

    #[test]
    fn networks_that_no_adapter_fits_are_named_in_a_sentence() {
        let device = Device::flex().autodiff();
        let refused = |layers: &[TransformerEncoderLayer], rank| {
            let net = Classifier::new(layers, 3, 0.0, &device);
            net.adapted(rank).unwrap_err().to_string()
        };
        let none = refused(&[], 2);
        assert!(
            none.starts_with("the network has no LoRA adapter"),
            "{none}"
        );
        let rank = refused(&layers(&device), 9);
        assert!(
            rank.contains("layers.0.mha.query.weight has rank 9, its weight of 8 × 8"),
            "{rank}"
        );
        let net = Classifier::new(&layers(&device), 3, 0.0, &device);
        let all = check(&net.adapted(2).unwrap().unfreeze()).unwrap_err();
        assert!(all.to_string().contains("trains itself"), "{all}");
    }

    #[test]
    fn padding_changes_nothing() {
        let device = Device::flex();
        let net = Classifier::new(&layers(&device), 3, 0.0, &device);
        let states: Vec<f32> = (0..24).map(|i| (i as f32 * 0.7).sin()).collect();
        let tokens = |length: usize| {
            let mut states = states.clone();
            states.resize(length * 8, 5.0);
            let padding: Vec<bool> = (0..length).map(|at| at >= 3).collect();
            Tokens {
                states: Tensor::from_data(TensorData::new(states, [1, length, 8]), &device),
                padding: Tensor::from_data(TensorData::new(padding, [1, length]), &device),
            }
        };
        let logits = |length| -> Vec<f32> {
            net.forward(tokens(length))
                .into_data()
                .iter::<f32>()
                .collect()
        };
        for (with, without) in logits(5).iter().zip(logits(3)) {
            assert!((with - without).abs() < 1e-5, "{with} for {without}");
        }
    }
}
