//! Langevin dynamics by stochastic gradients, without momentum and with it: optimizers whose iterates are draws from
//! the posterior.

mod chain;
mod dynamics;
mod sghmc;
mod state;

pub use chain::{Chain, ChainConfig};
pub use sghmc::{Sghmc, SghmcConfig, SghmcState};
pub use state::SgldState;

use blitz_layers::blitz_core::at_least_f32;
use blitz_layers::blitz_core::noise::layout;
use burn::config::Config;
use burn::optim::{LearningRate, ModuleOptimizer, Optimizer};
use burn::tensor::{Device, Tensor};

use dynamics::{Dynamics, Streams};

/// Configuration of [`Sgld`].
///
/// | field | default | meaning | range |
/// |---|---|---|---|
/// | `dataset_size` | | N, the number of examples that the loss is a mean over; of gradients that are [summed over n batches](Sgld), N / n | ≥ 1 |
/// | `prior_std` | 1 | the deviation s of the prior N(0, s²) of every parameter | > 0 |
/// | `temperature` | 1 | T: 1 for the posterior, 0 for SGD | ≥ 0 |
/// | `seed` | 0 | the seed of the noise | |
#[derive(Config, Debug, PartialEq)]
pub struct SgldConfig {
    /// The number of examples in the data set.
    pub dataset_size: usize,
    /// The deviation of the prior.
    #[config(default = 1.0)]
    pub prior_std: f64,
    /// The temperature of the posterior.
    #[config(default = 1.0)]
    pub temperature: f64,
    /// The seed of the noise.
    #[config(default = 0)]
    pub seed: u64,
}

impl SgldConfig {
    /// The bare optimizer, for [`ModuleOptimizer::with_group`]. Each group needs a seed of its own: two with one seed
    /// have the same noise.
    ///
    /// # Panics
    ///
    /// Panics with the value if one is out of its range.
    pub fn build(&self) -> Sgld {
        Sgld {
            dynamics: Dynamics {
                dataset_size: self.dataset_size,
                prior_std: self.prior_std,
                temperature: self.temperature,
                // The noise of a chain is not that of a draw, also when a program uses one seed for both.
                seed: self.seed ^ layout::SGLD,
            }
            .checked("SGLD"),
            streams: Streams::default(),
        }
    }

    /// An optimizer for a whole module.
    ///
    /// # Panics
    ///
    /// Panics with the value if one is out of its range.
    pub fn init(&self) -> ModuleOptimizer {
        self.build().into()
    }
}

/// SGLD (Welling & Teh, *Bayesian learning via stochastic gradient Langevin dynamics*, ICML 2011).
///
/// For the gradient g of the mean loss of a minibatch and a learning rate η in the units of SGD
///
/// ```text
/// θ ← θ − η (g + θ / (N s²)) + √(2 η T / N) ξ,   ξ ~ N(0, I)
/// ```
///
/// which is the paper's step with ε = 2 η / N. Its iterates go to `exp(−(N · loss(θ) + θ²/(2 s²)) / T)` as η goes to 0;
/// at a fixed η, where the curvature of `loss + θ²/(2 N s²)` is c, the variance is too large by `1 / (1 − η c / 2)`,
/// and the noise of minibatches adds to it. No KL belongs in the loss, and the network is deterministic. Collect the
/// iterates with a [`Chain`].
///
/// **Gradients of several batches** are summed by Burn, by the Learner's `grads_accumulation(n)` as by n devices. An
/// optimizer is not told, and would count the data n times: deviations come out too small by √n. Give it a
/// `dataset_size` of N / n and the rate η / n, which is the step above for the mean gradient of the n.
///
/// The noise is a function of seed, step and parameter: parameters are numbered in the order in which they get their
/// first gradient, which is that of the module's traversal, and keep their number in the optimizer's record. Make an
/// optimizer of its own, with another seed, for each chain; and a new one for each training, since a clone goes on with
/// the numbers, and so with other noise. Weights of 16 bits are computed with in `f32`, and rounded once a step.
///
/// Parameters that were frozen before a record need a group with a seed of its own
/// ([`with_group`](ModuleOptimizer::with_group)) when training goes on. A new optimizer meets them first and would give
/// them numbers that parameters of the record already have, and so the noise of those parameters' earlier steps.
#[derive(Debug, Clone)]
pub struct Sgld {
    dynamics: Dynamics,
    streams: Streams,
}

impl Optimizer for Sgld {
    type State<const D: usize> = SgldState;

    fn step<const D: usize>(
        &self,
        lr: LearningRate,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<SgldState>,
    ) -> (Tensor<D>, Option<SgldState>) {
        let state = match state {
            Some(state) => {
                self.streams.has(state.stream);
                state
            }
            None => SgldState {
                stream: self.streams.next(),
                steps: 0,
            },
        };
        let dtype = tensor.dtype();
        // Drift and noise are far below the weight, so 16 bits may be rounded to once at most.
        let tensor = at_least_f32(tensor);
        let drift = self.dynamics.drift(&tensor, at_least_f32(grad)) * lr;
        let moved = tensor - drift;
        let moved = match self.dynamics.noise(&moved, lr, state.steps, state.stream) {
            Some(noise) => moved + noise,
            None => moved,
        };
        let steps = state.steps + 1;
        (moved.cast(dtype), Some(SgldState { steps, ..state }))
    }

    fn to_device<const D: usize>(state: SgldState, _device: &Device) -> SgldState {
        state
    }
}
