//! The ways to a posterior: each trains by a loop of its own, a step at a time, with the methods of blitz-train.

mod dropout;
mod ensemble;
mod ivon;
mod laplace;
mod mean_field;
mod sgld;

use blitz_train::PredictError;
use blitz_train::laplace::LaplaceError;
use blitz_train::prelude::*;
use burn::optim::decay::WeightDecayConfig;
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor};

use crate::data::Data;
use crate::settings::Settings;
use crate::start::Start;

/// Draws of a prediction.
const DRAWS: usize = 24;

/// A way to a posterior.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Mean-field variational inference.
    MeanField,
    /// The improved variational online Newton method.
    Ivon,
    /// A chain of stochastic gradient Langevin dynamics.
    Sgld,
    /// Five networks from different starts.
    Ensemble,
    /// Dropout of hidden units that goes on in prediction.
    Dropout,
    /// One network with a Laplace approximation of its last layer.
    Laplace,
}

impl Method {
    /// All of them, in the order in which the page shows them.
    pub const ALL: [Self; 6] = [
        Self::MeanField,
        Self::Ivon,
        Self::Sgld,
        Self::Ensemble,
        Self::Dropout,
        Self::Laplace,
    ];

    /// A training by this way that has made no step yet, with initial weights of the seed.
    pub(crate) fn start(self, problem: &Problem, seed: u64) -> Box<dyn Way> {
        let start = Start::new(seed, self as usize);
        match self {
            Self::MeanField => Box::new(mean_field::MeanField::new(problem, start)),
            Self::Ivon => Box::new(ivon::OnlineNewton::new(problem, start)),
            Self::Sgld => Box::new(sgld::Langevin::new(problem, start)),
            Self::Ensemble => Box::new(ensemble::Members::new(problem, start)),
            Self::Dropout => Box::new(dropout::Dropout::new(problem, start)),
            Self::Laplace => Box::new(laplace::LastLayer::new(problem, start)),
        }
    }
}

/// What is to be learnt.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    pub settings: Settings,
    pub data: Data,
    /// Where gradients are taken.
    pub device: Device,
    pub likelihood: GaussianLikelihood,
    elbo: Elbo,
}

impl Problem {
    pub fn new(settings: Settings, data: Data, device: Device) -> Self {
        let noise = LikelihoodParam::Fixed(settings.noise);
        // The means fit first: from the start, the KL outweighs what few points can tell.
        let beta = BetaSchedule::LinearWarmup {
            steps: 1_000,
            to: settings.kl_weight,
        };
        Self {
            likelihood: GaussianLikelihoodConfig::new()
                .with_noise(noise)
                .init(&device),
            elbo: ElboConfig::new(data.count()).with_beta(beta).init(),
            settings,
            data,
            device,
        }
    }

    /// The gradients of the loss of all points at a step: the negative ELBO of a Bayesian network, the mean negative
    /// log likelihood of another.
    fn gradients<N>(&self, network: &N, step: u64) -> GradientsParams
    where
        N: Network<Input = Tensor<2>, Output = Tensor<2>>,
    {
        let loss = self.elbo.loss(network, step.into(), |network| {
            let output = network.forward(self.data.inputs.clone());
            self.likelihood.nll(output, self.data.targets.clone())
        });
        GradientsParams::from_grads(loss.loss.backward(), network)
    }

    /// The precision of the prior for each of the N points of a mean loss, `β / (N s²)`: as a weight decay it makes a
    /// training one of the maximum a posteriori.
    fn decay(&self) -> f64 {
        let Settings {
            prior_std,
            kl_weight,
            ..
        } = self.settings;
        kl_weight / (self.data.count() as f64 * prior_std.powi(2))
    }
}

/// Adam with a weight decay.
fn adam(decay: f64) -> ModuleOptimizer {
    let decay = WeightDecayConfig::new(decay as f32);
    AdamConfig::new().with_weight_decay(Some(decay)).init()
}

/// A learning rate `since` steps after the problem changed last: steps settle, and a new point wakes them.
fn settling(rate: f64, since: u64) -> f64 {
    rate / (1.0 + since as f64 / 500.0).sqrt()
}

/// What is predicted at each of some places.
#[derive(Debug, Clone)]
pub(crate) struct Prediction {
    pub mean: Vec<f64>,
    /// The deviation of the network's output.
    pub epistemic_std: Vec<f64>,
    /// The deviation of a point.
    pub std_dev: Vec<f64>,
}

impl From<NormalMixture> for Prediction {
    fn from(mixture: NormalMixture) -> Self {
        Self {
            mean: mixture.mean(),
            epistemic_std: mixture.epistemic_std(),
            std_dev: mixture.std_dev(),
        }
    }
}

/// Why there is no prediction: the training went astray.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Astray {
    #[error(transparent)]
    Predict(#[from] PredictError),
    #[error(transparent)]
    Laplace(#[from] LaplaceError),
}

/// A training by one method.
pub(crate) trait Way {
    /// Goes on with another problem, from the weights that it has.
    fn adapt(&mut self, problem: &Problem);

    /// A turn: as many steps as make the methods' turns about equally long.
    fn step(&mut self, problem: &Problem);

    /// What is predicted at inputs on a device without gradients.
    fn predict(&self, problem: &Problem, inputs: &Tensor<2>) -> Result<Prediction, Astray>;
}
