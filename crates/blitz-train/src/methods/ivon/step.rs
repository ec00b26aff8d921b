//! A step of IVON on all weights that have its posterior.

use std::collections::BTreeMap;

use blitz_layers::blitz_core::kernels::{IvonStep, ivon_step};
use blitz_layers::blitz_core::{AttachedPosterior, BayesianModule, at_least_f32, in_type_of};
use burn::module::{Module, ModuleMapper, Param, ParamId};
use burn::optim::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::optim::{GradientsParams, LearningRate};
use burn::tensor::Tensor;

use super::{IvonConfig, IvonPosterior};
use crate::update::WeightUpdate;

/// IVON (Shen et al., *Variational learning is effective for large deep networks*, ICML 2024, algorithm 1).
///
/// For gradients g of the mean loss at draws `m + σ ε`, averaged over the draws:
///
/// ```text
/// ĥ = mean of g ε / σ
/// h ← β₂ h + (1 − β₂) ĥ + ½ (1 − β₂)² (h − ĥ)² / (h + δ)
/// g̅ ← β₁ g̅ + (1 − β₁) mean of g
/// m ← m − lr clip((g̅ / (1 − β₁ᵗ) + δ m) / (h + δ))
/// ```
///
/// where `1 / σ² = λ (h + δ)`. ĥ is read off the gradient with respect to h, which is `−½ ĥ / (λ (h + δ)²)`; with an
/// estimator that does not sample the weights (local reparameterization, flipout) it is that estimator's unbiased
/// estimate of the same Hessian.
///
/// The state lies in each weight's [`IvonPosterior`], so it is saved and moved with the module. Through Burn's
/// `Learner`, give IVON to the model, `ElboModel::new(..).with_update(Ivon)`: it takes these steps at the learning rate
/// of each weight's mean and leaves the deterministic parameters to the Learner's optimizer. In a loop of one's own:
///
/// ```
/// use blitz_train::prelude::*;
/// use blitz_train::{Ivon, IvonConfig};
/// use burn::nn::LinearConfig;
/// use burn::optim::GradientsParams;
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex().autodiff();
/// device.seed(1);
/// let x = Tensor::<2>::from_floats([[0.0], [1.0], [2.0], [3.0]], &device);
/// let y = x.clone() * 2.0 + 1.0;
/// let likelihood = GaussianLikelihoodConfig::new().with_noise(LikelihoodParam::Fixed(0.5)).init(&device);
/// let elbo = ElboConfig::new(4).with_samples(2).init();
/// let mut model = IvonConfig::new(4.0)
///     .with_hess_init(4.0)
///     .with_beta_2(0.99)
///     .attach(LinearConfig::new(1, 1).init(&device));
///
/// for step in 0..300 {
///     let loss = elbo.loss(&model, step.into(), |model| likelihood.nll(model.forward(x.clone()), y.clone()));
///     let mut grads = GradientsParams::from_grads(loss.loss.backward(), &model);
///     model = Ivon::step(0.05, model, &mut grads);
/// }
/// let error = (model.with_mean(|model| model.forward(x)) - y).abs().max().into_scalar::<f32>();
/// assert!(error < 0.5, "{error}");
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Ivon;

impl Ivon {
    /// Updates the weights that have an [`IvonPosterior`] and takes their gradients out of `grads`; what is left there,
    /// of deterministic parameters, is for another optimizer.
    ///
    /// `grads` are those of a *mean* loss: h is the Hessian of what was differentiated. A weight without a gradient
    /// stays as it is; one whose sampling is frozen trains its mean alone.
    pub fn step<M: Module>(
        lr: impl Into<ModuleLearningRate>,
        module: M,
        grads: &mut GradientsParams,
    ) -> M {
        Self.update(module, grads, &lr.into(), 1)
    }
}

impl WeightUpdate for Ivon {
    fn update<M: Module>(
        &self,
        module: M,
        grads: &mut GradientsParams,
        lr: &ModuleLearningRate,
        losses: usize,
    ) -> M {
        let posteriors = module.posteriors::<IvonPosterior>();
        if posteriors.is_empty() {
            return module;
        }
        module.map(&mut Update {
            posteriors: posteriors.into_iter().map(|p| (p.id, p)).collect(),
            grads,
            // A Hessian has a scale of its own and needs the mean of the losses' gradients.
            scale: 1.0 / losses as f64,
            lr,
            state: BTreeMap::new(),
        })
    }
}

/// Maps in the order of their keys, in which tensors are dropped: Burn's Fusion finds a step's plan again only if they
/// go alike in each.
struct Update<'a> {
    posteriors: BTreeMap<ParamId, AttachedPosterior<IvonPosterior>>,
    grads: &'a mut GradientsParams,
    /// From the given gradients to those of a mean loss.
    scale: f64,
    lr: &'a ModuleLearningRate,
    /// What the posterior of the mean met last becomes: Burn maps it right after.
    state: BTreeMap<ParamId, Tensor<1>>,
}

impl ModuleMapper for Update<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if let Some(updated) = self.state.remove(&param.id) {
            return replace(param, |old| updated.reshape(old.shape()));
        }
        let Some(attached) = self.posteriors.get(&param.id) else {
            return param;
        };
        let posterior = &attached.posterior;
        let grad_hess = self.grads.remove::<1>(posterior.hess.id);
        let Some(grad) = self.grads.remove::<D>(param.id) else {
            return param;
        };
        let lr = self.lr.lr_from_param(param.id, Some(&attached.path));
        let scaled = |grad: Tensor<1>| match self.scale {
            1.0 => grad,
            scale => grad * scale,
        };
        let elements = grad.shape().num_elements();
        let grad = scaled(grad.reshape([elements]));
        let grad_hess = grad_hess.map(scaled);
        let state = &mut self.state;
        replace(param, |mean| {
            let shape = mean.shape();
            let next = step(posterior, lr, mean.reshape([elements]), grad, grad_hess);
            state.insert(posterior.hess.id, next.hess);
            state.insert(posterior.momentum.id, next.momentum);
            state.insert(posterior.momentum_weight.id, next.momentum_weight);
            next.mean.reshape(shape)
        })
    }
}

struct Next {
    mean: Tensor<1>,
    hess: Tensor<1>,
    momentum: Tensor<1>,
    momentum_weight: Tensor<1>,
}

/// One step of one weight, off the autodiff graph. In `f32` at least, as the state is: a change of `1 − β₂` is lost in
/// 16 bits.
fn step(
    posterior: &IvonPosterior,
    lr: LearningRate,
    mean: Tensor<1>,
    grad: Tensor<1>,
    grad_hess: Option<Tensor<1>>,
) -> Next {
    let config = &posterior.config;
    let given = mean;
    let mean = at_least_f32(given.clone());
    let wide = |tensor: Tensor<1>| in_type_of(tensor.without_autodiff(), &mean);
    let (grad, grad_hess) = (wide(grad), grad_hess.map(wide));
    let hess = wide(posterior.hess.val());
    let momentum = wide(posterior.momentum.val());
    let momentum_weight =
        wide(posterior.momentum_weight.val()) * config.beta_1 + (1.0 - config.beta_1);
    let lr = match config.rescale_lr {
        true => lr * (config.hess_init + config.weight_decay),
        false => lr,
    };

    let in_one_pass = grad_hess.clone().and_then(|grad_hess| {
        let step = IvonStep {
            precision: config.precision(),
            beta_1: config.beta_1,
            beta_2: config.beta_2,
            clip_radius: config.clip_radius,
            learning_rate: lr,
        };
        let [mean, grad] = [&mean, &grad].map(Clone::clone);
        let inputs = [mean, grad, grad_hess, hess.clone(), momentum.clone()];
        ivon_step(inputs, momentum_weight.clone(), step)
    });
    let [mean, hess, momentum] = in_one_pass.unwrap_or_else(|| {
        let inputs = [mean, grad, hess, momentum];
        by_operations(config, lr, inputs, grad_hess, momentum_weight.clone())
    });
    // In the types that the state has: a training goes on from a record of the same.
    let like = |next: Tensor<1>, state: &Param<Tensor<1>>| in_type_of(next, &state.base());
    Next {
        mean: in_type_of(mean, &given),
        hess: like(hess, &posterior.hess),
        momentum: like(momentum, &posterior.momentum),
        momentum_weight: like(momentum_weight, &posterior.momentum_weight),
    }
}

/// The new mean, h and momentum, of mean, gradient, h and momentum.
fn by_operations(
    config: &IvonConfig,
    lr: LearningRate,
    [mean, grad, hess, momentum]: [Tensor<1>; 4],
    grad_hess: Option<Tensor<1>>,
    momentum_weight: Tensor<1>,
) -> [Tensor<1>; 3] {
    let (delta, rate) = (config.weight_decay, 1.0 - config.beta_2);
    let hess = match grad_hess {
        None => hess,
        Some(grad_hess) => {
            let regularized = hess.clone() + delta;
            let estimate = grad_hess * regularized.clone().square() * (-2.0 * config.ess);
            let change = estimate - hess.clone();
            // (1 − β₂) c + ½ (1 − β₂)² c² / (h + δ), with c = ĥ − h.
            let correction = change.clone() / regularized * (0.5 * rate) + 1.0;
            hess + change * rate * correction
        }
    };
    let momentum = momentum * config.beta_1 + grad * (1.0 - config.beta_1);
    let gradient = momentum.clone() / momentum_weight + mean.clone() * delta;
    let direction = gradient / (hess.clone() + delta);
    let direction = match config.clip_radius {
        Some(radius) => direction.clamp(-radius, radius),
        None => direction,
    };
    [mean - direction * lr, hess, momentum]
}

/// The parameter with another value and the autodiff context of the old one, as Burn's optimizers leave it.
fn replace<const D: usize>(
    param: Param<Tensor<D>>,
    next: impl FnOnce(Tensor<D>) -> Tensor<D>,
) -> Param<Tensor<D>> {
    let (id, old, mapper) = param.consume();
    let (requires_grad, strategy) = (old.is_require_grad(), old.gradient_checkpointing_strategy());
    let distributed = requires_grad && old.is_distributed();
    let is_autodiff = old.is_autodiff();
    let mut new = next(old.without_autodiff());
    if is_autodiff {
        new = Tensor::from_inner(new);
        if let Some(strategy) = strategy {
            new = new.with_gradient_checkpointing_strategy(strategy);
        }
        new = if requires_grad {
            new.require_grad()
        } else {
            new
        };
        new = if distributed {
            new.set_distributed(id)
        } else {
            new
        };
    }
    Param::from_mapped_value(id, new, mapper)
}
