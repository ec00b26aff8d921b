//! Burn's Adam in one pass over memory.

use blitz_layers::blitz_core::kernels::{AdamStep, adam_step};
use blitz_layers::blitz_core::{at_least_f32, in_type_of};
use burn::config::Config;
use burn::grad_clipping::GradientClippingConfig;
use burn::optim::{AdamState, AdaptiveMomentumState, LearningRate, ModuleOptimizer, Optimizer};
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
/// Names and defaults are those of Burn's `AdamConfig`. There is no weight decay: the KL to a normal prior is one, and decaying ρ
/// would pull every deviation towards ln 2.
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

/// Adam (Kingma & Ba, *Adam: a method for stochastic optimization*, 2015): Burn's, to the bit on CPUs in `f32` and `f64`, in one pass.
///
/// Burn's `Adam` walks each tensor a dozen times. The new moments are written
/// over the old ones and the new weight over the gradient. State and records are those of Burn's `Adam`: either goes on where the
/// other stopped. The exception is weights of 16 bits, whose moments are in `f32` here: in `f16` the square of a gradient below 5e-3 is lost, and in `bf16` the second moment never decays.
/// On devices without [fused operations](blitz_layers::blitz_core::kernels) it is computed by tensor operations, as there.
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

impl Optimizer for FusedAdam {
    type State<const D: usize> = AdamState<D>;

    fn step<const D: usize>(
        &self,
        lr: LearningRate,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<AdamState<D>>,
    ) -> (Tensor<D>, Option<AdamState<D>>) {
        let dtype = tensor.dtype();
        // No copy of these is kept, so that they can be written over.
        let (tensor, grad) = (at_least_f32(tensor), at_least_f32(grad));
        let (time, moments) = match state {
            Some(AdamState { momentum }) => {
                let moments = [momentum.moment_1, momentum.moment_2];
                (
                    momentum.time,
                    moments.map(|moment| in_type_of(moment, &grad)),
                )
            }
            None => (0, [grad.zeros_like(), grad.zeros_like()]),
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
        let momentum = AdaptiveMomentumState::new(time, moment_1, moment_2);
        (tensor.cast(dtype), Some(AdamState::new(momentum)))
    }

    fn to_device<const D: usize>(mut state: AdamState<D>, device: &Device) -> AdamState<D> {
        state.momentum = state.momentum.to_device(device);
        state
    }
}
