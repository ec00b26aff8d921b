//! Stochastic gradient Hamiltonian Monte Carlo: Langevin dynamics with momentum.

use blitz_layers::blitz_core::noise::layout;
use blitz_layers::blitz_core::{at_least_f32, in_type_of};
use burn::config::Config;
use burn::optim::{LearningRate, ModuleOptimizer, Optimizer, RecordState, StateSink, StateSource};
use burn::tensor::{Device, Tensor};

use super::dynamics::{Dynamics, Streams};

/// Configuration of [`Sghmc`].
///
/// | field | default | meaning | range |
/// |---|---|---|---|
/// | `dataset_size` | | N, the number of examples that the loss is a mean over; of gradients that are [summed over n batches](super::Sgld), N / n | ≥ 1 |
/// | `friction` | 0.1 | α: 1 − α is the momentum; 1 is [`Sgld`](super::Sgld) | inside (0, 1] |
/// | `prior_std` | 1 | the deviation s of the prior N(0, s²) of every parameter | > 0 |
/// | `temperature` | 1 | T: 1 for the posterior, 0 for SGD with momentum | ≥ 0 |
/// | `seed` | 0 | the seed of the noise | |
#[derive(Config, Debug, PartialEq)]
pub struct SghmcConfig {
    /// The number of examples in the data set.
    pub dataset_size: usize,
    /// What is lost of the velocity in a step.
    #[config(default = 0.1)]
    pub friction: f64,
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

impl SghmcConfig {
    /// The bare optimizer, for [`ModuleOptimizer::with_group`]. Each group needs a seed of its own: two with one seed
    /// have the same noise.
    ///
    /// # Panics
    ///
    /// Panics with the value if one is out of its range.
    pub fn build(&self) -> Sghmc {
        assert!(
            self.friction > 0.0 && self.friction <= 1.0,
            "SGHMC's friction must be above 0 and at most 1, got {}",
            self.friction
        );
        Sghmc {
            friction: self.friction,
            dynamics: Dynamics {
                dataset_size: self.dataset_size,
                prior_std: self.prior_std,
                temperature: self.temperature,
                seed: self.seed ^ layout::SGHMC,
            }
            .checked("SGHMC"),
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

/// SGHMC (Chen, Fox & Guestrin, *Stochastic gradient Hamiltonian Monte Carlo*, ICML 2014), in the form of SGD with
/// momentum.
///
/// For the gradient g of the mean loss of a minibatch, a learning rate η in the units of SGD and a friction α
///
/// ```text
/// v ← (1 − α) v − η (g + θ / (N s²)) + √(2 α η T / N) ξ,   ξ ~ N(0, I)
/// θ ← θ + v
/// ```
///
/// which is the paper's equation 15 with its learning rate at η / N and its estimate of the gradients' noise at 0. Its
/// iterates go to `exp(−(N · loss(θ) + θ²/(2 s²)) / T)` as η goes to 0; at a fixed η, where the curvature of `loss +
/// θ²/(2 N s²)` is c, the variance is too large by `1 / (1 − η c / (2 (2 − α)))`. It moves as [`Sgld`](super::Sgld)
/// does at the rate η / α, whose variance is too large by `1 / (1 − η c / (2 α))`. The noise of minibatches adds as
/// much to it as to SGLD at that rate.
///
/// Gradients that are summed over n batches want a `dataset_size` of N / n and the rate η / n, as with SGLD, and an n
/// that divides the batches of an epoch.
///
/// As with SGLD no KL belongs in the loss, the network is deterministic, its iterates are collected with a
/// [`Chain`](super::Chain), and the noise is a function of seed, step and parameter. What trains only after a record
/// was loaded needs a group and a seed of its own, as there. Weights of 16 bits are computed with in `f32`, and rounded
/// once a step; their velocity is kept in `f32`.
///
/// ```
/// use blitz_train::{ChainConfig, SghmcConfig};
/// use burn::nn::LinearConfig;
/// use burn::optim::GradientsParams;
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex().autodiff();
/// device.seed(1);
/// let x = Tensor::<2>::from_floats([[-1.0], [0.0], [1.0], [2.0]], &device);
/// let y = x.clone() * 2.0;
/// let mut model = LinearConfig::new(1, 1).init(&device);
/// let mut optimizer = SghmcConfig::new(4).with_prior_std(3.0).init();
/// let mut chain = ChainConfig::new(100, 10).init();
/// for _ in 0..400 {
///     // The residuals have a deviation of 0.5.
///     let loss = ((model.forward(x.clone()) - y.clone()) / 0.5).square().mean() * 0.5;
///     let grads = GradientsParams::from_grads(loss.backward(), &model);
///     model = optimizer.step(0.002, model, grads);
///     chain.push(&model);
/// }
/// let slope = |net: &burn::nn::Linear| net.weight.val().into_scalar::<f32>();
/// let mean = chain.networks().iter().map(slope).sum::<f32>() / 30.0;
/// assert!((mean - 2.0).abs() < 0.5, "{mean}");
/// ```
#[derive(Debug, Clone)]
pub struct Sghmc {
    friction: f64,
    dynamics: Dynamics,
    streams: Streams,
}

/// The state of [`Sghmc`] for one parameter: how fast it moves, and which noise comes next.
#[derive(Debug, Clone)]
pub struct SghmcState<const D: usize> {
    /// v, what was added to the parameter in the last step: in `f32` at least.
    pub velocity: Tensor<D>,
    /// The parameter's stream of noise.
    pub stream: u32,
    /// The number of steps made.
    pub steps: u64,
}

impl Optimizer for Sghmc {
    type State<const D: usize> = SghmcState<D>;

    fn step<const D: usize>(
        &self,
        lr: LearningRate,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<SghmcState<D>>,
    ) -> (Tensor<D>, Option<SghmcState<D>>) {
        let dtype = tensor.dtype();
        // The force of a step is far below its noise, and in 16 bits would be lost beside it.
        let (tensor, grad) = (at_least_f32(tensor), at_least_f32(grad));
        let (kept, stream, steps) = match state {
            Some(state) => {
                self.streams.has(state.stream);
                // An older record has 16 bits.
                let kept = in_type_of(state.velocity, &tensor) * (1.0 - self.friction);
                (Some(kept), state.stream, state.steps)
            }
            None => (None, self.streams.next(), 0),
        };
        let pulled = self.dynamics.drift(&tensor, grad) * -lr;
        let mut velocity = match kept {
            Some(kept) => kept + pulled,
            None => pulled,
        };
        let rate = self.friction * lr;
        if let Some(noise) = self.dynamics.noise(&velocity, rate, steps, stream) {
            velocity = velocity + noise;
        }
        let state = SghmcState {
            velocity: velocity.clone(),
            stream,
            steps: steps + 1,
        };
        ((tensor + velocity).cast(dtype), Some(state))
    }

    fn to_device<const D: usize>(state: SghmcState<D>, device: &Device) -> SghmcState<D> {
        SghmcState {
            velocity: state.velocity.to_device(device),
            ..state
        }
    }
}

// By hand, since Burn's derive names items at the root of the crate that uses it.
impl<const D: usize> RecordState for SghmcState<D> {
    fn state_flatten(&self, prefix: &str, out: &mut StateSink) {
        out.push_tensor(prefix, "velocity", self.velocity.to_data());
        out.push_scalar(prefix, "stream", u64::from(self.stream).into());
        out.push_scalar(prefix, "steps", self.steps.into());
    }

    fn state_unflatten(prefix: &str, src: &mut StateSource, device: &Device) -> Option<Self> {
        let velocity = src.take_tensor(prefix, "velocity")?;
        let dtype = velocity.dtype();
        let stream = u64::try_from(src.take_scalar(prefix, "stream")?).ok()?;
        Some(Self {
            velocity: Tensor::from_data(velocity, (device, dtype)),
            stream: u32::try_from(stream).ok()?,
            steps: u64::try_from(src.take_scalar(prefix, "steps")?).ok()?,
        })
    }
}
