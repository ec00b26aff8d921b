//! Predicting a whole data loader, batch after batch, each from the same draws.

use std::ops::Range;

use blitz_layers::blitz_core::noise::layout;
use blitz_layers::blitz_core::{BayesianModule, KeptDeviations, has_adapters};
use burn::config::Config;
use burn::data::dataloader::{DataLoader, Progress};
use burn::tensor::Device;

use super::threads::{available, on_threads, shares};
use super::{NetworkPosterior, Predictive, blame, of_use};
use crate::batch::LabeledBatch;
use crate::error::PredictError;
use crate::likelihood::Likelihood;
use crate::network::Network;

/// What becomes of a draw's weights between two batches. The numbers are the same.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DrawCache {
    /// Each draw is made once, as a network of its own: S times the memory of the Bayesian weights, shared ones counted
    /// once.
    ///
    /// The draws of a network with adapters, such as Burn's LoRA, are made again for each batch all the same, with the
    /// same numbers: kept, each would be a dense copy of every adapted weight.
    Kept,
    /// Made again by seed for every batch: the memory of one draw, and the noise of S draws for each batch.
    Redrawn,
}

/// Configuration of a [`Predictor`].
///
/// | field | default | meaning |
/// |---|---|---|
/// | `samples` | | the number of draws S |
/// | `seed` | 0 | the seed of the draws |
/// | `weights` | kept | whether a draw's weights are kept between batches |
/// | `threads` | 1 | how many draws are run at a time; one where there are no threads, as on WebAssembly |
///
/// Threads change no number of a prediction. On a CPU they help where one pass is too small to keep all cores busy, as
/// that of a small network is; each holds the activations of a draw of its own. On a GPU they don't help. A network
/// that has randomness of its own which is not a draw's, such as one that calls `Tensor::random`, gets it in another
/// order.
#[derive(Config, Debug, PartialEq, Eq)]
pub struct PredictorConfig {
    /// The number of draws.
    pub samples: usize,
    /// The seed of the draws.
    #[config(default = 0)]
    pub seed: u64,
    /// Whether a draw's weights are kept between batches.
    #[config(default = "DrawCache::Kept")]
    pub weights: DrawCache,
    /// How many draws are run at a time.
    #[config(default = 1)]
    pub threads: usize,
}

impl PredictorConfig {
    /// The predictor of a network and its likelihood, off the autodiff graph.
    ///
    /// # Panics
    ///
    /// Panics without draws, and without a thread.
    pub fn init<N: Network, L: Likelihood<Output = N::Output>>(
        &self,
        network: &N,
        likelihood: &L,
    ) -> Predictor<N, L> {
        assert!(
            self.samples > 0,
            "a prediction needs at least one draw, got 0"
        );
        self.check_threads();
        let network = network.clone().with_weights_apart().valid();
        let samples = of_use(&network, self.samples);
        let keeps = self.weights == DrawCache::Kept && network.is_drawn();
        let kept = match keeps && !has_adapters(&network) {
            true => network.sample_networks(self.seed, (0..samples as u64).map(layout::prediction)),
            false => Vec::new(),
        };
        Predictor {
            network,
            likelihood: likelihood.valid(),
            kept,
            config: Self {
                samples,
                ..self.clone()
            },
        }
    }

    /// The predictor of draws of whole networks, such as an [`Ensemble`](crate::Ensemble)'s, off the autodiff graph.
    /// The draws are made once and kept, whatever `weights` says.
    ///
    /// # Panics
    ///
    /// Panics without draws, and without a thread.
    pub fn init_with<N: Network, L: Likelihood<Output = N::Output>>(
        &self,
        posterior: &impl NetworkPosterior<N>,
        likelihood: &L,
    ) -> Predictor<N, L> {
        self.check_threads();
        let kept: Vec<N> = (0..self.samples as u64)
            .map(|index| posterior.draw_network(self.seed, index).valid())
            .collect();
        let Some(first) = kept.first() else {
            panic!("a prediction needs at least one draw, got 0")
        };
        Predictor {
            network: first.clone(),
            likelihood: likelihood.valid(),
            kept,
            config: self.clone().with_weights(DrawCache::Kept),
        }
    }

    fn check_threads(&self) {
        assert!(
            self.threads > 0,
            "a prediction runs on at least one thread, got 0"
        );
    }
}

/// Predicts batches, all of them from the same S draws.
///
/// No more than one batch's outputs are held at a time besides the predictions so far, and each output is off the
/// autodiff graph.
///
/// ```
/// use blitz_train::prelude::*;
/// use blitz_train::{PredictError, ProgressLine};
/// # use burn::data::dataloader::{DataLoaderBuilder, batcher::Batcher};
/// # use burn::data::dataset::InMemDataset;
/// # use burn::module::Module;
/// # use burn::tensor::{Device, Tensor};
/// # #[derive(Module, Debug)]
/// # struct Net { layer: BayesianLinear }
/// # impl Network for Net {
/// #     type Input = Tensor<2>;
/// #     type Output = Tensor<2>;
/// #     fn forward(&self, input: Tensor<2>) -> Tensor<2> { self.layer.forward(input) }
/// # }
/// # struct Columns;
/// # impl Batcher<f32, LabeledBatch<Tensor<2>, Tensor<2>>> for Columns {
/// #     fn batch(&self, items: Vec<f32>, device: &Device) -> LabeledBatch<Tensor<2>, Tensor<2>> {
/// #         let x = Tensor::<1>::from_floats(items.as_slice(), device).unsqueeze_dim(1);
/// #         LabeledBatch { inputs: x.clone(), targets: x }
/// #     }
/// # }
/// # let device = Device::flex();
/// # let net = Net { layer: BayesianLinearConfig::new(1, 1).init(&device) };
/// # let likelihood = GaussianLikelihoodConfig::new().init(&device);
/// # let loader = DataLoaderBuilder::new(Columns).batch_size(4).set_device(device.clone()).build(InMemDataset::new(vec![0.5f32; 10]));
/// let predictor = PredictorConfig::new(30).with_seed(7).init(&net, &likelihood);
/// let mut line = ProgressLine::stderr("predicting");
/// let all = predictor.predict_all(loader.as_ref(), |progress| line.show(progress))?;
/// assert_eq!(all.predictive.interval(0.9).len(), 10);
/// # Ok::<(), PredictError>(())
/// ```
#[derive(Debug)]
pub struct Predictor<N, L> {
    network: N,
    likelihood: L,
    /// The networks of the draws, unless they are made again for each batch.
    kept: Vec<N>,
    config: PredictorConfig,
}

/// The outputs in some of a predictor's draws, whose networks are `kept`, or none are.
fn outputs<N: Network>(
    network: &N,
    kept: &[N],
    seed: u64,
    samples: Range<usize>,
    inputs: &N::Input,
) -> Vec<N::Output> {
    let deviations = KeptDeviations::default();
    let draw = |(place, sample): (usize, usize)| {
        // The weights of one that is kept are definite; a layer that is random itself, such as Monte Carlo dropout,
        // asks for the draw.
        let network = kept.get(place).unwrap_or(network);
        let draw = network.draw(seed, layout::prediction(sample as u64));
        let _draw = draw.with_shared_weights().with_deviations(&deviations);
        network.forward(inputs.clone())
    };
    samples.enumerate().map(draw).collect()
}

/// The predictions of one batch.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PredictedBatch<P, T> {
    /// The predictive distributions of its examples.
    pub predictive: P,
    /// What was observed, as the data loader gave it.
    pub targets: T,
    /// How much of the data loader is predicted, this batch included.
    pub progress: Progress,
}

/// The predictions of a data loader.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Predictions<P, T> {
    /// The predictive distributions, in the order in which the batches came.
    pub predictive: P,
    /// What was observed, of each batch, in the same order: a loader with several workers has no fixed one.
    pub targets: Vec<T>,
}

impl<N, L> Predictor<N, L>
where
    N: Network,
    L: Likelihood<Output = N::Output>,
{
    /// The predictive distributions of one batch.
    ///
    /// # Errors
    ///
    /// Returns an error if an output is not finite, which names the input, if that is not finite either; and if outputs
    /// are of another width than the likelihood's.
    pub fn predict(&self, inputs: N::Input) -> Result<L::Predictive, PredictError> {
        let PredictorConfig { samples, seed, .. } = self.config;
        let outputs = match available(self.config.threads) {
            1 => outputs(&self.network, &self.kept, seed, 0..samples, &inputs),
            threads => {
                let tasks = shares(samples, threads).map(|share| {
                    // Modules can be sent to another thread and not be shared between two. A clone shares its tensors.
                    let kept = self.kept.get(share.clone()).unwrap_or_default().to_vec();
                    let (network, inputs) = (self.network.clone(), inputs.clone());
                    move || outputs(&network, &kept, seed, share, &inputs)
                });
                on_threads(tasks.collect()).into_iter().flatten().collect()
            }
        };
        let predictive = self.likelihood.try_predictive(outputs);
        predictive.map_err(|error| blame(error, &inputs))
    }

    /// The predictions of a data loader's batches, one after the other. The batches must come on the network's device,
    /// without autodiff: see [`DataLoader::to_device`].
    ///
    /// # Errors
    ///
    /// An item is an error if the loader fails at it, or if an output of its batch is not finite.
    pub fn batches<'a, T: 'a>(
        &'a self,
        loader: &'a dyn DataLoader<LabeledBatch<N::Input, T>>,
    ) -> impl Iterator<Item = Result<PredictedBatch<L::Predictive, T>, PredictError>> + 'a {
        batches_of(loader, |inputs| self.predict(inputs))
    }

    /// The predictions of a data loader, all together, its batches brought to the network's device; `progress` is told
    /// after each of them.
    ///
    /// # Errors
    ///
    /// Returns an error if the loader is empty or fails, or if an output is not finite.
    pub fn predict_all<T>(
        &self,
        loader: &dyn DataLoader<LabeledBatch<N::Input, T>>,
        progress: impl FnMut(&Progress),
    ) -> Result<Predictions<L::Predictive, T>, PredictError>
    where
        L::Predictive: Predictive,
    {
        let device = self.network.devices().into_iter().next();
        predict_loader(loader, device, |inputs| self.predict(inputs), progress)
    }
}

/// What `predict` says of a data loader's batches, one after the other.
fn batches_of<'a, I: 'a, T: 'a, P>(
    loader: &'a dyn DataLoader<LabeledBatch<I, T>>,
    predict: impl Fn(I) -> Result<P, PredictError> + 'a,
) -> impl Iterator<Item = Result<PredictedBatch<P, T>, PredictError>> + 'a {
    let mut batches = loader.iter();
    std::iter::from_fn(move || {
        let batch = batches.next()?;
        let progress = batches.progress();
        Some(batch.map_err(PredictError::from).and_then(|batch| {
            Ok(PredictedBatch {
                predictive: predict(batch.inputs)?,
                targets: batch.targets,
                progress,
            })
        }))
    })
}

/// The same, all together, the batches brought to `device`; `progress` is told after each of them.
pub(super) fn predict_loader<I, T, P: Predictive>(
    loader: &dyn DataLoader<LabeledBatch<I, T>>,
    device: Option<Device>,
    predict: impl Fn(I) -> Result<P, PredictError>,
    mut progress: impl FnMut(&Progress),
) -> Result<Predictions<P, T>, PredictError> {
    let moved = device.map(|device| loader.to_device(&device));
    let loader = moved.as_deref().unwrap_or(loader);
    let mut all: Option<Predictions<P, T>> = None;
    for batch in batches_of(loader, predict) {
        let before = all.as_ref().map_or(0, |all| all.predictive.examples());
        let batch = batch.map_err(|error| error.after(before))?;
        progress(&batch.progress);
        match &mut all {
            None => {
                all = Some(Predictions {
                    predictive: batch.predictive,
                    targets: vec![batch.targets],
                });
            }
            Some(all) => {
                all.predictive.append(batch.predictive);
                all.targets.push(batch.targets);
            }
        }
    }
    all.ok_or(PredictError::Empty)
}

#[cfg(test)]
mod tests {
    use blitz_layers::blitz_core::{BayesianizeConfig, PosteriorConfig};
    use blitz_layers::{BayesianLinear, BayesianLinearConfig, Estimator};
    use burn::module::{Lora, Module};
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::Tensor;

    use super::*;
    use crate::likelihood::GaussianLikelihoodConfig;

    /// A layer with an adapter, and one whose rows have signs of their own in training.
    #[derive(Module, Debug)]
    struct Net {
        adapted: Linear,
        flipped: BayesianLinear,
    }

    impl Network for Net {
        type Input = Tensor<2>;
        type Output = Tensor<2>;

        fn forward(&self, input: Tensor<2>) -> Tensor<2> {
            self.flipped.forward(self.adapted.forward(input))
        }
    }

    #[test]
    fn networks_with_adapters_are_not_kept_and_predict_as_those_that_are() {
        let device = Device::flex();
        let posterior = PosteriorConfig::normal(0.1);
        let adapted = LinearConfig::new(2, 8).init(&device);
        let net = Net {
            adapted: adapted
                .apply_lora(Lora::new(2, 4.0))
                .bayesianize(&BayesianizeConfig::new().with_posterior(posterior)),
            flipped: BayesianLinearConfig::new(8, 1)
                .with_estimator(Estimator::Flipout)
                .init(&device),
        };
        let likelihood = GaussianLikelihoodConfig::new().init(&device);
        let predictor = PredictorConfig::new(4).with_seed(5).init(&net, &likelihood);
        // Each would hold the adapted weight itself.
        assert!(predictor.kept.is_empty());
        let x = Tensor::<2>::from_floats([[1.0, 2.0], [-1.0, 0.5], [0.3, 0.0]], &device);
        let outputs = (0..4).map(|draw| {
            let kept = net.sample_network(5, layout::prediction(draw));
            kept.forward(x.clone())
        });
        let expected = likelihood.predictive(outputs.collect());
        assert_eq!(predictor.predict(x.clone()).unwrap(), expected);
        let without = net.sample_network(0, 0);
        let predictor = PredictorConfig::new(4).init(&without, &likelihood);
        assert_eq!(predictor.kept.len(), 4);
    }
}
