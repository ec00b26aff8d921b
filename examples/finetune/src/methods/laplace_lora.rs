//! Laplace's approximation of everything that trains, the adapters and the head (Yang et al. 2024).

use std::sync::Arc;
use std::time::Instant;

use blitz_train::laplace::{Link, NetworkLaplace, NetworkLaplaceConfig};
use blitz_train::prelude::*;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataloader::{DataLoader, DataLoaderBuilder};
use burn::data::dataset::InMemDataset;
use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};
use example_support::{RunError, say};

use super::laplace::{NARROW, least_from};
use super::{Fitted, Lora, Study, likelihood, said, together};
use crate::data::{Sequences, Tokens};
use crate::model::Classifier;

type Labelled = LabeledBatch<Tokens, Tensor<1, Int>>;

impl Study<'_> {
    pub fn laplace_lora(&self) -> Result<Fitted<'_>, RunError> {
        let fit = |lora: &Lora, examples: &Sequences| {
            let data = self.one_by_one(examples);
            let network = lora.network.clone().train();
            let config = NetworkLaplaceConfig::new().with_prior_precision(NARROW);
            let fitted = config.fit(network, &likelihood(self.task), &*data, |_| {});
            fitted.map_err(said)
        };
        let on_part = fit(&self.on_part, &self.fitting)?;
        let held_out = self.one_by_one(&self.held_out);
        let (_, report) = on_part
            .with_held_out_prior_precision(&*held_out)
            .map_err(said)?;
        say!("  {report}");

        let start = Instant::now();
        let posterior = fit(&self.on_all, self.labelled)?;
        let with = |precision| posterior.clone().with_prior_precision(precision);
        let posterior = least_from(report.prior_precision, with)?;
        let seconds = start.elapsed().as_secs_f64();
        Ok(Fitted {
            setting: Some(posterior.prior_precision()),
            seconds: self.on_all.seconds + seconds,
            trainable: self.lora().trainable(),
            predict: Box::new(move |of| self.linearised(&posterior, of)),
        })
    }

    fn linearised(
        &self,
        posterior: &NetworkLaplace<Classifier, CategoricalLikelihood>,
        of: &Sequences,
    ) -> Result<CategoricalMixture, RunError> {
        let device = self.device.clone().autodiff();
        let batches = of.batches(1, &device);
        together(batches.map(|batch| {
            let linked = posterior.predict_linked(batch.inputs, Link::Probit);
            linked.map_err(said)
        }))
    }

    fn one_by_one(&self, of: &Sequences) -> Arc<dyn DataLoader<Labelled>> {
        DataLoaderBuilder::new(Places(of.clone()))
            .batch_size(1)
            .set_device(self.device.clone().autodiff())
            .build(InMemDataset::new((0..of.len()).collect()))
    }
}

/// Makes batches of the sequences at some places.
#[derive(Debug, Clone)]
struct Places(Sequences);

impl Batcher<usize, Labelled> for Places {
    fn batch(&self, places: Vec<usize>, device: &Device) -> Labelled {
        self.0.batch(&places, device)
    }
}
