//! Laplace's approximation of the head: what the head sees does not change, so it is computed once.

use std::sync::Arc;
use std::time::Instant;

use blitz_train::laplace::{
    ClassCovariance, LaplaceError, Link, MAX_JOINT_PARAMETERS, SoftmaxLastLayer,
};
use blitz_train::prelude::*;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataloader::{DataLoader, DataLoaderBuilder};
use burn::data::dataset::InMemDataset;
use burn::tensor::{Device, Int, Tensor, TensorData};
use example_support::RunError;

use super::{AT_ONCE, Fitted, Lora, Study, of_logits, said};
use crate::data::Sequences;
use crate::model::Classifier;

/// A prior precision under which any curvature can be inverted: what a search for another begins with.
pub const NARROW: f64 = 1e12;

/// The posterior under this prior precision, or under the first power of ten above it that makes up for collinear
/// gradients: those of all labels may be collinear where those of three quarters were not.
pub fn least_from<P>(
    precision: f64,
    with: impl Fn(f64) -> Result<P, LaplaceError>,
) -> Result<P, RunError> {
    let first = match with(precision) {
        Ok(posterior) => return Ok(posterior),
        Err(error) => error,
    };
    let higher = (1..24).map(|power| precision * 10f64.powi(power));
    let mut posteriors = higher.map(with);
    posteriors.find_map(Result::ok).ok_or_else(|| said(first))
}

impl Study<'_> {
    pub fn laplace(&self) -> Result<Fitted<'_>, RunError> {
        let fit = |lora: &Lora, examples: &Sequences, precision| {
            let head = &lora.network.head;
            let [features, classes] = head.weight.dims();
            let covariance = match (features + 1) * classes <= MAX_JOINT_PARAMETERS {
                true => ClassCovariance::Joint,
                false => ClassCovariance::Kronecker,
            };
            let data = self.features(&lora.network, examples);
            SoftmaxLastLayer::fit(&*data, |rows| rows, head, covariance, precision).map_err(said)
        };
        let on_part = fit(&self.on_part, &self.fitting, NARROW)?;
        let held_out = self.features(&self.on_part.network, &self.held_out);
        let chosen = on_part.with_held_out_prior_precision(&*held_out, |rows| rows);
        let precision = chosen.map_err(said)?.1.prior_precision;

        let start = Instant::now();
        let posterior = fit(&self.on_all, self.labelled, NARROW)?;
        let with = |precision| posterior.clone().with_prior_precision(precision);
        let posterior = least_from(precision, with)?;
        let seconds = start.elapsed().as_secs_f64();
        let setting = posterior.prior_precision();
        let predict = move |of: &Sequences| {
            let mut logits = Vec::new();
            for batch in self.features(self.lora(), of).iter() {
                let rows = batch.map_err(said)?.inputs;
                let width = rows.dims()[1];
                let rows: Vec<f64> = rows.into_data().iter::<f64>().collect();
                for row in rows.chunks(width) {
                    if let Some(feature) = row.iter().find(|feature| !feature.is_finite()) {
                        return Err(said(format!("what the head sees is {feature} in a place")));
                    }
                    let probabilities = posterior.predict(row, Link::Probit);
                    logits.extend(probabilities.iter().map(|p| p.max(f64::MIN_POSITIVE).ln()));
                }
            }
            of_logits(logits, self.task)
        };
        Ok(Fitted {
            setting: Some(setting),
            seconds: self.on_all.seconds + seconds,
            trainable: self.lora().trainable(),
            predict: Box::new(predict),
        })
    }

    /// What the head sees of each example.
    fn features(
        &self,
        network: &Classifier,
        of: &Sequences,
    ) -> Arc<dyn DataLoader<LabeledBatch<Tensor<2>, Tensor<1, Int>>>> {
        let mut rows: Vec<(Vec<f32>, usize)> = Vec::with_capacity(of.len());
        for batch in of.batches(AT_ONCE, &self.device) {
            let features = network.features(batch.inputs);
            let width = features.dims()[1];
            let values: Vec<f32> = features.into_data().iter::<f32>().collect();
            let labels = of.labels()[rows.len()..].iter().copied();
            let new = values.chunks(width).map(<[f32]>::to_vec).zip(labels);
            rows.extend(new.collect::<Vec<_>>());
        }
        DataLoaderBuilder::new(Features)
            .batch_size(AT_ONCE)
            .set_device(self.device.clone())
            .build(InMemDataset::new(rows))
    }
}

/// Makes batches of what the head sees.
#[derive(Debug, Clone)]
struct Features;

impl Batcher<(Vec<f32>, usize), LabeledBatch<Tensor<2>, Tensor<1, Int>>> for Features {
    fn batch(
        &self,
        rows: Vec<(Vec<f32>, usize)>,
        device: &Device,
    ) -> LabeledBatch<Tensor<2>, Tensor<1, Int>> {
        let count = rows.len();
        let (rows, labels): (Vec<Vec<f32>>, Vec<i32>) = rows
            .into_iter()
            .map(|(row, label)| (row, label as i32))
            .unzip();
        let width = rows[0].len();
        let data = TensorData::new(rows.concat(), [count, width]);
        LabeledBatch {
            inputs: Tensor::from_data(data, device),
            targets: Tensor::from_data(TensorData::new(labels, [count]), device),
        }
    }
}
