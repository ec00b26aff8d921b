//! TFB: the widest posterior around trained adapters that leaves the loss as it is.

mod directions;
mod error;
mod rise;
mod search;

use blitz_layers::blitz_core::BayesianModule;
use burn::config::Config;

pub use self::error::TfbError;

use self::directions::{Directions, spread};
use self::rise::Rises;
use self::search::{Ended, Found, search};
use super::factors::{adapters_within_rank, with_values};
use crate::batch::LabeledBatch;
use crate::likelihood::Likelihood;
use crate::network::Network;

/// The searches for the deviation: by so much of the budget so many deviations are to be measured. A second one of more
/// draws begins where the first has ended, which may have had a single draw.
const SEARCHES: [(f64, usize); 2] = [(0.25, 4), (0.4, 1)];
/// Where the first search begins.
const START: f64 = 0.01;

/// Training-free Bayesianization (Shi, Wang, Han, Zhang & Wang, *Training-free Bayesianization for low-rank adapters of
/// large language models*, 2024): a posterior around adapters that were trained without one.
///
/// | field | default | meaning | range |
/// |---|---|---|---|
/// | `tolerance` | 0.01 | how much the mean loss may rise, in nats an example | > 0 |
/// | `passes` | 2 | forward passes over the examples at most, all together | > 0 |
/// | `seed` | 0 | the seed of the noise, the same at every deviation | |
///
/// An adapter adds `scale · a b` to its weight. With `b = U diag(s) Vᵀ`, the factors become `a' = a U` and `b' =
/// diag(s) Vᵀ`, whose product is the same, and
///
/// ```text
/// a'_ij ~ N((a U)_ij, (σ / (scale · s_j))²)
/// ```
///
/// while `b'` has one value. The noise of the merged weight is then `scale · (σ ε / (scale · s)) diag(s) Vᵀ = σ ε Vᵀ`
/// with standard normal ε: of deviation σ in every direction of the space that the rows of `b` span, and none outside
/// of it. So one number decides about all adapters.
///
/// σ is where the loss, the mean over draws of the negative log-likelihood of an example, rises by the tolerance over
/// that of the trained network. (The paper leaves the scale out of σ, and takes the tolerance as a share. Where all
/// adapters have one scale, the first is a matter of units. A share of a training loss near zero is no tolerance.)
///
/// # What it costs
///
/// A batch is measured as it is and under the noise ε and −ε of its own, the same at every σ. In the mean over the two
/// what is odd in the noise cancels: on a few examples the slope of the loss would be more than the tolerance. A search
/// brackets and interpolates σ on the first batches, the first one as a rule, and a second one on some more. Then as
/// many batches as the budget allows say by how much the loss rises there, and σ is corrected by the power of it that
/// the rise goes with, about the square. [`Tfb::std_error`] says how far these batches agree.
///
/// The searches take about a dozen runs of a batch, so two passes want a dozen batches or more: of few examples, let
/// the batches be small. Where the budget is for more, the batches have further noise in turn.
///
/// ```
/// use blitz_train::{LabeledBatch, TfbConfig};
/// use blitz_train::prelude::*;
/// use burn::module::{Lora, Module};
/// # use burn::nn::{Linear, LinearConfig};
/// # use burn::optim::GradientsParams;
/// # use burn::tensor::{Device, Distribution, Tensor};
/// # #[derive(Module, Debug)]
/// # struct Net { layer: Linear }
/// # impl Network for Net {
/// #     type Input = Tensor<2>;
/// #     type Output = Tensor<2>;
/// #     fn forward(&self, input: Tensor<2>) -> Tensor<2> { self.layer.forward(input) }
/// # }
/// # let device = Device::flex().autodiff();
/// # device.seed(1);
/// # let mut net = Net { layer: LinearConfig::new(3, 2).init(&device) };
/// net = net.apply_lora(Lora::new(2, 4.0));
/// # let inputs = Tensor::<2>::random([60, 3], Distribution::Normal(0.0, 1.0), &device);
/// # let targets = inputs.clone().narrow(1, 0, 2);
/// # let noise = LikelihoodParam::Fixed(0.5);
/// # let likelihood = GaussianLikelihoodConfig::new().with_targets(2).with_noise(noise).init(&device);
/// # let mut adam = FusedAdamConfig::new().init();
/// # for _ in 0..50 {
/// #     let loss = likelihood.nll(net.forward(inputs.clone()), targets.clone()).mean();
/// #     let grads = GradientsParams::from_grads(loss.backward(), &net);
/// #     net = adam.step(0.05, net, grads);
/// # }
/// // Trained as ever. Sixty examples then say how wide the posterior may be:
/// let batches = inputs.split(5, 0).into_iter().zip(targets.split(5, 0));
/// let batches: Vec<_> = batches.map(|(inputs, targets)| LabeledBatch { inputs, targets }).collect();
/// let tfb = TfbConfig::new().with_tolerance(0.05).fit(&net, &likelihood, &batches)?;
/// assert!(tfb.std > 0.0 && tfb.forwards <= 2 * 60);
/// assert_eq!(tfb.network.num_bayesian_weights(), 3 * 2);
/// let predictor = PredictorConfig::new(30).init(&tfb.network, &likelihood);
/// # let _ = predictor;
/// # Ok::<(), blitz_train::TfbError>(())
/// ```
#[derive(Config, Debug)]
pub struct TfbConfig {
    /// How much the mean loss may rise, in nats an example.
    #[config(default = 0.01)]
    pub tolerance: f64,
    /// Forward passes over the examples at most, all together.
    #[config(default = 2.0)]
    pub passes: f64,
    /// The seed of the noise.
    #[config(default = 0)]
    pub seed: u64,
}

/// What [`TfbConfig::fit`] found.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Tfb<N> {
    /// The network with a [`NormalPosterior`](blitz_layers::blitz_core::NormalPosterior) on the factor `a` of each
    /// adapter, off the autodiff graph: for a [`Predictor`](crate::PredictorConfig), or to save. Its prior, `N(0, 1)`,
    /// is there because a posterior has one: no KL is part of the method.
    pub network: N,
    /// σ, the deviation of the merged weights.
    pub std: f64,
    /// The standard error of σ, by how the rise differs between the draws; `None` of a single one.
    pub std_error: Option<f64>,
    /// The mean loss of the network as it was trained, in nats an example, over the examples that σ was read from.
    pub loss_at_mean: f64,
    /// The pairs of draws that σ was read from, each of a batch's.
    pub draws: usize,
    /// How many examples the network was run on, each counted as often as it was.
    pub forwards: usize,
}

impl TfbConfig {
    /// The posterior of a trained network.
    ///
    /// The batches are best a random sample of what the adapters were trained on, all of it or a part. What else the
    /// network trains, a head for instance, stays as it is. A network that is frozen is as good as one that trains.
    ///
    /// How many examples a batch has is seen when the network is run on it. Until then one counts as long as the first,
    /// and the last as one example. So no more is spent than `passes` allow where all batches but the last are of one
    /// size. The first is run in any case.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no adapter or one that can't be used (see
    /// [`AdapterError`](crate::AdapterError)) or isn't trained, without examples, if the trained network's loss is not
    /// finite, if no deviation is the largest or none is small enough, and if the passes end before one is found.
    ///
    /// # Panics
    ///
    /// Panics with the value if a setting is out of its range.
    pub fn fit<N: Network, L: Likelihood<Output = N::Output>>(
        &self,
        network: &N,
        likelihood: &L,
        batches: &[LabeledBatch<N::Input, L::Target>],
    ) -> Result<Tfb<N>, TfbError>
    where
        L::Target: Clone,
    {
        self.check();
        // By their ids: a frozen teacher's adapters would have those of its student.
        let network = network.clone().with_weights_apart().valid();
        let adapters = adapters_within_rank(&network)?;
        let directions = adapters.iter().map(Directions::of);
        let directions = directions.collect::<Result<Vec<_>, _>>()?;
        let turned = directions.iter().flat_map(Directions::factors);
        let network = with_values(network, turned.collect());

        let likelihood = likelihood.valid();
        let mut rises = Rises::new(&network, &likelihood, &directions, batches, self.seed)?;
        let found = self.found(&mut rises)?;
        let found = found.map_err(|ended| self.error(ended, rises.loss_at_mean()))?;
        let std = found.root(self.tolerance);
        Ok(Tfb {
            network: spread(&network, &directions, std),
            std,
            std_error: found.error(std),
            loss_at_mean: rises.loss_at_mean(),
            draws: rises.draws(),
            forwards: rises.forwards(),
        })
    }

    /// The deviation that all draws were measured at which the budget allows.
    fn found<N: Network, L: Likelihood<Output = N::Output>>(
        &self,
        rises: &mut Rises<'_, N, L>,
    ) -> Result<Result<Found, Ended>, TfbError> {
        let mut start = START;
        let mut last: Option<Found> = None;
        for (share, deviations) in SEARCHES {
            let draws = rises.draws_within(share * self.passes, deviations);
            if draws <= rises.draws() && last.is_some() {
                break;
            }
            let draws = draws.max(rises.draws());
            let found = search(self.tolerance, start, |std| {
                match rises.draws_within(self.passes, 1) < draws {
                    true => Ok(None),
                    false => rises.at(draws, std).map(Some),
                }
            })?;
            match found {
                Ok(found) => {
                    start = found.root(self.tolerance);
                    last = Some(found);
                }
                Err(ended) => return Ok(Err(ended)),
            }
        }
        let Some(mut found) = last else {
            unreachable!("there is a first search")
        };
        let all = rises.draws_within(self.passes, 1);
        if all > rises.draws() {
            found.std = start;
            found.rise = rises.at(all, start)?;
        }
        Ok(match found.is_near(self.tolerance) {
            true => Ok(found),
            false => Err(Ended::Budget { std: found.std }),
        })
    }

    fn error(&self, ended: Ended, at_mean: f64) -> TfbError {
        let tolerance = self.tolerance;
        match ended {
            Ended::Budget { std } => TfbError::Budget {
                passes: self.passes,
                std,
            },
            Ended::Unbounded { std } => TfbError::Unbounded {
                tolerance,
                at_mean,
                std,
            },
            Ended::NothingWithin { std } => TfbError::NothingWithin {
                tolerance,
                at_mean,
                std,
            },
        }
    }

    fn check(&self) {
        for (name, value) in [("tolerance", self.tolerance), ("passes", self.passes)] {
            assert!(
                value.is_finite() && value > 0.0,
                "TFB's {name} must be a positive, finite number, got {value}"
            );
        }
    }
}
