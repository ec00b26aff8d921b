//! The bridge to Burn's `Learner`: any network and likelihood as a model that trains on the ELBO.
//!
//! The model itself needs no Learner, and predicts without the `train` feature.

#[cfg(feature = "train")]
mod best;
mod by_moments;
#[cfg(feature = "train")]
mod fit;
#[cfg(feature = "train")]
mod loading;
#[cfg(feature = "train")]
mod losses;
mod models;
mod module;
#[cfg(feature = "train")]
mod output;
#[cfg(feature = "train")]
mod progress;
#[cfg(feature = "train")]
mod steps;
#[cfg(feature = "train")]
mod training;
#[cfg(feature = "train")]
mod workers;

#[cfg(feature = "train")]
pub use best::BestEpoch;
pub use by_moments::{MomentsLikelihood, MomentsNetwork};
#[cfg(feature = "train")]
pub use fit::{Fitted, fit, fit_on};
#[cfg(feature = "train")]
pub use output::ElboOutput;

use std::fmt::Display;
use std::path::Path;
use std::sync::OnceLock;

use blitz_layers::blitz_core::{BayesianModule, Constants};
use burn::module::{Module, Param, ParamId};
use burn::tensor::{Int, Tensor};

use crate::checkpoint::{self, FloatTypes, in_saved_layout};
use crate::elbo::Elbo;
use crate::error::{CheckpointError, PredictError};
#[cfg(feature = "train")]
use crate::graph::Trained;
use crate::likelihood::Likelihood;
use crate::module_state::with_own_statistics;
use crate::network::Network;
use crate::predict::{blame, of_use, predict_draws};
#[cfg(feature = "train")]
use crate::update::{Updates, WeightUpdate};

/// A network and a likelihood that Burn's `Learner` trains on the ELBO.
///
/// Give it to `burn::train::Learner` and run the training with [`fit`]. Each training step averages over the
/// [`Elbo`]'s draws; validation uses draws that are the same in every epoch. The number of
/// steps made is part of the module's record, so a training resumed from a checkpoint goes on with the draws and the
/// KL weight it would have had. (Burn's shuffling data loader starts its order anew.) For several devices see
/// [`fit_on`].
///
/// ```no_run
/// use blitz_train::prelude::*;
/// use blitz_train::{CoverageMetric, FitError};
/// use burn::data::dataloader::DataLoader;
/// use burn::optim::AdamConfig;
/// use burn::tensor::{Device, Tensor};
/// use burn::train::{Learner, SupervisedTraining};
/// use std::sync::Arc;
///
/// # fn run<Net: Network<Input = Tensor<2>, Output = Tensor<2>>>(
/// #     net: Net, device: Device,
/// #     train: Arc<dyn DataLoader<LabeledBatch<Tensor<2>, Tensor<2>>>>,
/// #     valid: Arc<dyn DataLoader<LabeledBatch<Tensor<2>, Tensor<2>>>>,
/// # ) -> Result<(), FitError> {
/// let likelihood = GaussianLikelihoodConfig::new().init(&device);
/// let elbo = ElboConfig::new(train.num_items()).with_samples(3).init();
/// let model = ElboModel::new(net, likelihood, elbo);
///
/// let training = SupervisedTraining::new("runs/mine", train, valid)
///     .metrics((NllMetric::new(), KlMetric::new(), RmseMetric::new(), CoverageMetric::new(0.95)))
///     .with_default_checkpointers()
///     .num_epochs(100);
/// let fitted = fit(training, Learner::new(model, AdamConfig::new().init(), 1e-3))?;
/// fitted.model.save("runs/mine/model.bpk").unwrap();
/// # Ok(())
/// # }
/// ```
///
/// Its record has network, likelihood, the likelihood's [constants](Likelihood::constants) and the number of steps.
#[derive(Debug)]
pub struct ElboModel<N: Network, L: Likelihood> {
    /// The network.
    pub network: N,
    /// The likelihood.
    pub likelihood: L,
    /// The number of optimizer steps made, saved with the weights.
    steps: Param<Tensor<1, Int>>,
    /// The same number on the host, as far as it is known there: to read it from a device is to wait for that.
    known_steps: OnceLock<u64>,
    elbo: Elbo,
    #[cfg(feature = "train")]
    updates: Updates<Self>,
    #[cfg(feature = "train")]
    training: training::Training,
}

/// The clone that a [`fit`] begins with has running statistics of its own, as its weights are, and is on the autodiff
/// graph.
impl<N: Network, L: Likelihood> Clone for ElboModel<N, L> {
    fn clone(&self) -> Self {
        #[cfg(feature = "train")]
        let begins = training::Training::is_joining();
        #[cfg(not(feature = "train"))]
        let begins = false;
        let clone = Self {
            network: match begins {
                true => with_own_statistics(&self.network),
                false => self.network.clone(),
            },
            likelihood: self.likelihood.clone(),
            steps: self.steps.clone(),
            known_steps: self.known_steps.clone(),
            elbo: self.elbo.clone(),
            #[cfg(feature = "train")]
            updates: self.updates.clone(),
            #[cfg(feature = "train")]
            training: self.training.clone(),
        };
        #[cfg(feature = "train")]
        if begins && Trained::of(&clone).off_graph.is_some() {
            return clone.train();
        }
        clone
    }
}

/// The network with its weights tied, and told apart.
fn settled<N: Network>(network: N) -> N {
    let network = network.with_weights_apart();
    match network.has_tied_weights() {
        true => network.retie(),
        false => network,
    }
}

impl<N: Network, L: Likelihood> ElboModel<N, L> {
    /// A model that trains `network` under `likelihood`.
    ///
    /// The network has [one tensor](BayesianModule::retie) in all places of a weight that is tied, a posterior that one
    /// of them has at all, and [identities of their own](BayesianModule::with_weights_apart) for weights that have the
    /// same and are not tied: as a training has them, and what it saves.
    pub fn new(network: N, likelihood: L, elbo: Elbo) -> Self {
        let network = settled(network);
        let devices = network.devices().into_iter().chain(likelihood.devices());
        let device = devices.into_iter().next().unwrap_or_default();
        Self {
            network,
            likelihood,
            steps: Param::initialized(
                Constants::mark(ParamId::new()),
                Tensor::zeros([1], &device.without_autodiff()),
            ),
            known_steps: OnceLock::from(0),
            elbo,
            #[cfg(feature = "train")]
            updates: Updates::default(),
            #[cfg(feature = "train")]
            training: training::Training::default(),
        }
    }

    /// The same model, some of whose weights `update` trains in the place of the optimizer, for instance
    /// `with_update(Ivon)`.
    ///
    /// It stays with the model through `valid()`, `train()`, `fork` and clones, and is no part of its record. Several
    /// updates step in the order in which they were given.
    #[cfg(feature = "train")]
    #[must_use]
    pub fn with_update(mut self, update: impl WeightUpdate) -> Self {
        self.updates.push(update);
        self
    }

    /// The objective.
    pub fn elbo(&self) -> &Elbo {
        &self.elbo
    }

    /// With one tensor in all places of each tied weight: Burn's optimizers update the first, and a move to a device or
    /// into training mode makes one for each place, of whose gradients an optimizer would see the last alone.
    fn retied(mut self) -> Self {
        let is_tied = || self.network.has_tied_weights();
        #[cfg(feature = "train")]
        let is_tied = || self.training.is_tied(is_tied);
        if is_tied() {
            self.network = self.network.retie();
        }
        self
    }

    /// The number of optimizer steps made.
    pub fn steps(&self) -> u64 {
        let read = || self.steps.val().into_scalar::<i64>().max(0) as u64;
        *self.known_steps.get_or_init(read)
    }

    /// Saves network, likelihood and step count as a Burn record, and beside it its digest (`model.bpk.sha256`), which
    /// [`load`](Self::load) compares. Burn reads the record without it.
    ///
    /// # Errors
    ///
    /// Returns an error if a file can't be written. What is there then loads, the record before or the new one, as it
    /// does after a process that was killed here.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), CheckpointError> {
        let path = checkpoint::with_extension(path.as_ref());
        // A batch norm keeps the latest update of its statistics apart, and takes it in here.
        drop(self.network.valid());
        let write = |part: &Path| self.clone().save_file(part).map_err(std::io::Error::other);
        checkpoint::put_sealed_by(&path, write)
            .map_err(|reason| CheckpointError::not_written(&path, reason))
    }

    /// The model with what [`save`](Self::save) has written, or a checkpoint's `model-5.bpk`.
    ///
    /// The weights have the types of this model, whatever those of the file: cast to a wider type they are the same
    /// numbers, to a narrower one they are rounded. Burn's `load_record` takes those of the record. Quantized weights
    /// come as they are in the file.
    ///
    /// # Errors
    ///
    /// Returns an error that names the file if it is not there, if it is damaged, if it is of another model, or if it
    /// has a number beyond the largest of this model's type. A file without a digest is read as it is.
    pub fn load(self, path: impl AsRef<Path>) -> Result<Self, CheckpointError>
    where
        N: Network,
    {
        let path = checkpoint::with_extension(path.as_ref());
        let record = checkpoint::load_record(&path)?;
        // The record is written into them, and would be into those of every clone.
        let network = with_own_statistics(&self.network);
        let model = Self { network, ..self };
        let types = FloatTypes::of(&model);
        let unreadable = |reason: &dyn Display| CheckpointError::unreadable(&path, reason);
        let model = in_saved_layout(model, |model| model.try_load_record(record))
            .map_err(|reason| unreadable(&reason))?;
        let model = types.restore(model).map_err(|reason| unreadable(&reason))?;
        Ok(Self {
            network: settled(model.network),
            ..model
        })
    }

    /// The predictive distribution of `inputs` from `samples` draws of `seed`, none of which a training with that seed
    /// has seen.
    ///
    /// Draw `i` of the prediction is `self.network.draw(seed, layout::prediction(i))` [with shared
    /// weights](blitz_layers::blitz_core::Draw::with_shared_weights)
    /// ([`layout`](blitz_layers::blitz_core::noise::layout)), so any one of them can be made again. Runs without
    /// autodiff on a model that went through `valid()`, as a finished training's has; on one that did not, Burn keeps
    /// what each draw computed until the next backward pass, and a process that has none grows.
    ///
    /// # Panics
    ///
    /// Panics if `samples` is zero, and if an output is not finite or of another width than the likelihood's; see
    /// [`try_predict`](Self::try_predict).
    pub fn predict(&self, inputs: N::Input, samples: usize, seed: u64) -> L::Predictive
    where
        L: Likelihood<Output = N::Output>,
    {
        self.try_predict(inputs, samples, seed)
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// [`predict`](Self::predict) for inputs that may be beyond what the network can compute.
    ///
    /// # Errors
    ///
    /// Returns an error that names the first example whose output is not finite, with the place in its input, if that
    /// is not finite either; and if the network's outputs are of another width than the likelihood's.
    ///
    /// # Panics
    ///
    /// Panics if `samples` is zero.
    pub fn try_predict(
        &self,
        inputs: N::Input,
        samples: usize,
        seed: u64,
    ) -> Result<L::Predictive, PredictError>
    where
        L: Likelihood<Output = N::Output>,
    {
        let samples = of_use(&self.network, samples);
        let outputs = predict_draws(&self.network, samples, seed, |network| {
            network.forward(inputs.clone())
        });
        let predictive = self.likelihood.try_predictive(outputs);
        predictive.map_err(|error| blame(error, &inputs))
    }
}
