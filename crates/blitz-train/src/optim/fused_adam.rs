//! Burn's Adam in one pass over memory.

use blitz_layers::blitz_core::kernels::{AdamStep, adam_step};
use blitz_layers::blitz_core::{at_least_f32, in_type_of};
use burn::config::Config;
use burn::grad_clipping::GradientClippingConfig;
use burn::optim::{LearningRate, ModuleOptimizer, Optimizer, RecordState, StateSink, StateSource};
use burn::tensor::{Device, Tensor};

/// Configuration of [`FusedAdam`].
///
/// | field | default | meaning | range |
/// |---|---|---|---|
/// | `beta_1` | 0.9 | decay of the gradient's first moment | [0, 1) |
/// | `beta_2` | 0.999 | decay of its second moment | [0, 1) |
/// | `epsilon` | 1e-5 | added to the root of the second moment | > 0 |
/// | `grad_clipping` | none | Burn's gradient clipping | |
///
/// Names and defaults are those of Burn's `AdamConfig`. There is no weight decay: the KL to a normal prior is one, and
/// decaying ρ would pull every deviation towards ln 2.
#[derive(Config, Debug)]
pub struct FusedAdamConfig {
    /// The decay of the first moment.
    #[config(default = 0.9)]
    pub beta_1: f32,
    /// The decay of the second moment.
    #[config(default = 0.999)]
    pub beta_2: f32,
    /// A value required for numerical stability.
    #[config(default = 1e-5)]
    pub epsilon: f32,
    /// The clipping of gradients.
    pub grad_clipping: Option<GradientClippingConfig>,
}

impl FusedAdamConfig {
    /// The bare optimizer, for [`ModuleOptimizer::with_group`]. Clips no gradients.
    ///
    /// # Panics
    ///
    /// Panics with the value if one is out of its range.
    pub fn build(&self) -> FusedAdam {
        for (name, beta) in [("beta_1", self.beta_1), ("beta_2", self.beta_2)] {
            assert!(
                (0.0..1.0).contains(&beta),
                "Adam's {name} must lie inside [0, 1), got {beta}"
            );
        }
        assert!(
            self.epsilon.is_finite() && self.epsilon > 0.0,
            "Adam's epsilon must be a positive, finite number, got {}",
            self.epsilon
        );
        FusedAdam {
            beta_1: self.beta_1,
            beta_2: self.beta_2,
            epsilon: self.epsilon,
        }
    }

    /// An optimizer for a whole module.
    ///
    /// # Panics
    ///
    /// Panics with the value if one is out of its range.
    pub fn init(&self) -> ModuleOptimizer {
        let optimizer = ModuleOptimizer::from(self.build());
        match &self.grad_clipping {
            Some(config) => optimizer.with_grad_clipping(config.init()),
            None => optimizer,
        }
    }
}

/// Adam (Kingma & Ba, *Adam: a method for stochastic optimization*, 2015): Burn's, to the bit on CPUs in `f32` and
/// `f64`, in one pass.
///
/// Burn's `Adam` walks each tensor a dozen times. The new moments are written over the old ones and the new weight over
/// the gradient. Records are those of Burn's `Adam`: either goes on where the other stopped. The exception is weights
/// of 16 bits, whose moments are in `f32` here: in `f16` the square of a gradient below 5e-3 is lost, and in `bf16` the
/// second moment never decays. A record's moments come back to the bit, whatever type the default device has; Burn's
/// `Adam` rounds them to it. On devices without [fused operations](blitz_layers::blitz_core::kernels) it is computed by
/// tensor operations, as there.
///
/// ```
/// use blitz_train::prelude::*;
/// use burn::nn::LinearConfig;
/// use burn::optim::{AdamConfig, GradientsParams};
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex().autodiff();
/// let layer = LinearConfig::new(3, 2).init(&device);
/// let step = |mut optimizer: burn::optim::ModuleOptimizer| {
///     let loss = layer.forward(Tensor::<2>::ones([4, 3], &device)).square().sum();
///     let grads = GradientsParams::from_grads(loss.backward(), &layer);
///     optimizer.step(0.01, layer.clone(), grads).weight.val().into_data()
/// };
/// assert_eq!(step(FusedAdamConfig::new().init()), step(AdamConfig::new().init()));
/// ```
#[derive(Debug, Clone)]
pub struct FusedAdam {
    beta_1: f32,
    beta_2: f32,
    epsilon: f32,
}

/// The state of [`FusedAdam`] for one parameter. Its records have the names of Burn's `AdamState`.
#[derive(Debug, Clone)]
pub struct FusedAdamState<const D: usize> {
    /// The number of steps made.
    pub time: usize,
    /// The decaying mean of the gradients: in `f32` at least.
    pub moment_1: Tensor<D>,
    /// That of their squares.
    pub moment_2: Tensor<D>,
    /// The largest second moment, in a record of Burn's `Adam` with AMSGrad. It has no part in the steps here, and is
    /// passed on as it was.
    pub max_moment_2: Option<Tensor<D>>,
}

impl Optimizer for FusedAdam {
    type State<const D: usize> = FusedAdamState<D>;

    fn step<const D: usize>(
        &self,
        lr: LearningRate,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<FusedAdamState<D>>,
    ) -> (Tensor<D>, Option<FusedAdamState<D>>) {
        let dtype = tensor.dtype();
        // No copy of these is kept, so that they can be written over.
        let (tensor, grad) = (at_least_f32(tensor), at_least_f32(grad));
        let (time, moments, max_moment_2) = match state {
            Some(state) => {
                // A record of Burn's may have 16 bits.
                let moments = [state.moment_1, state.moment_2];
                let moments = moments.map(|moment| in_type_of(moment, &grad));
                (state.time, moments, state.max_moment_2)
            }
            None => (0, [grad.zeros_like(), grad.zeros_like()], None),
        };
        let time = time + 1;
        let step = AdamStep {
            beta_1: self.beta_1,
            beta_2: self.beta_2,
            epsilon: self.epsilon,
            time,
            learning_rate: lr,
        };
        let (tensor, [moment_1, moment_2]) = adam_step(tensor, grad, moments, step);
        let state = FusedAdamState {
            time,
            moment_1,
            moment_2,
            max_moment_2,
        };
        (tensor.cast(dtype), Some(state))
    }

    fn to_device<const D: usize>(state: FusedAdamState<D>, device: &Device) -> FusedAdamState<D> {
        FusedAdamState {
            time: state.time,
            moment_1: state.moment_1.to_device(device),
            moment_2: state.moment_2.to_device(device),
            max_moment_2: state.max_moment_2.map(|moment| moment.to_device(device)),
        }
    }
}

const TIME: &str = "momentum.time";
const MOMENT_1: &str = "momentum.moment_1";
const MOMENT_2: &str = "momentum.moment_2";
const MAX_MOMENT_2: &str = "momentum.max_moment_2";

// By hand: what Burn derives makes a record's tensors in the type of the device, and so rounds moments of `f64`, and
// those of `f32` on a device of 16 bits.
impl<const D: usize> RecordState for FusedAdamState<D> {
    fn state_flatten(&self, prefix: &str, out: &mut StateSink) {
        out.push_scalar(prefix, TIME, self.time.into());
        out.push_tensor(prefix, MOMENT_1, self.moment_1.to_data());
        out.push_tensor(prefix, MOMENT_2, self.moment_2.to_data());
        if let Some(moment) = &self.max_moment_2 {
            out.push_tensor(prefix, MAX_MOMENT_2, moment.to_data());
        }
    }

    fn state_unflatten(prefix: &str, src: &mut StateSource, device: &Device) -> Option<Self> {
        let time = usize::try_from(src.take_scalar(prefix, TIME)?).ok()?;
        let mut moment = |leaf| {
            let data = src.take_tensor(prefix, leaf)?;
            let dtype = data.dtype();
            Some(Tensor::from_data(data, (device, dtype)))
        };
        Some(Self {
            time,
            moment_1: moment(MOMENT_1)?,
            moment_2: moment(MOMENT_2)?,
            max_moment_2: moment(MAX_MOMENT_2),
        })
    }
}
