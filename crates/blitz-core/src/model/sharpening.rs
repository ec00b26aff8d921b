//! Posterior sharpening: a draw moved along the gradient of the minibatch it is used for.

use blitz_noise::{NoiseKey, layout};
use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::draws::DrawnWeight;
use crate::attach::attachments;
use crate::draw::Draw;
use crate::family::deviation::{rho_from_std, std_from_rho};
use crate::family::{Noise, at_least_f32, in_type_of, widest};

/// Configuration of [`Sharpening`].
///
/// | field | default | meaning |
/// |---|---|---|
/// | `initial_eta` | 0.01 | the step η that every weight starts with |
/// | `std` | 0.02 | the deviation σ₀ around the sharpened weight |
#[derive(Config, Debug)]
pub struct SharpeningConfig {
    /// The step η that every weight starts with.
    #[config(default = 0.01)]
    pub initial_eta: f64,
    /// The deviation σ₀ around the sharpened weight.
    #[config(default = 0.02)]
    pub std: f64,
}

impl SharpeningConfig {
    /// The steps for all Bayesian weights of `model`, on their devices.
    ///
    /// # Panics
    ///
    /// Panics if `initial_eta` or `std` is not a finite number of at least 1e-30.
    pub fn init<M: Module>(&self, model: &M) -> Sharpening {
        let rho = rho_from_std(self.initial_eta);
        // For its panic: what is no deviation is no σ₀.
        rho_from_std(self.std);
        // A weight has the shape and the type of its mean.
        let weights = attachments(model).into_iter();
        Sharpening {
            rho: weights
                .map(|weight| Param::from_tensor(at_least_f32(weight.mean()).full_like(rho)))
                .collect(),
            std: self.std,
        }
    }
}

/// Posterior sharpening, in its first-order variant: `θ ~ N(φ − η ∘ g, σ₀²)`, where `φ ~ q` is a draw of the model's
/// posterior and `g = ∇_φ nll` the gradient of the minibatch's negative log-likelihood at it.
///
/// Fortunato, Blundell & Vinyals, *Bayesian recurrent neural networks* (2017), section 3: a minibatch gets a posterior
/// of its own, near the one of the whole data set and better for this minibatch, which makes the gradient less noisy.
/// The steps η, one for each weight, are trained with the model and saved like any module. Works for every module with
/// posteriors.
///
/// Burn differentiates once, so that `g` is a constant in the outer gradient: the loss reaches φ, and through it the
/// posterior, as `dL/dθ`, without the paper's term with the Hessian of the nll; and η as `−g ∘ dL/dθ`, in full.
///
/// The minibatch's θ is a latent variable of its own with the prior `p(θ | φ) = N(φ, σ₀²)`, and pays `KL = Σ (η g)² /
/// 2σ₀²` ([`SharpenedDraw::kl`]), in nats, besides the model's [`kl_cost`](crate::BayesianModule::kl_cost). For a loss
/// that is a mean over rows, divide the first by the number of rows in the *minibatch* (for each has a θ), the second
/// by the number in the *data set*.
///
/// ```
/// use blitz_core::prelude::*;
/// use blitz_core::SharpeningConfig;
/// use burn::nn::LinearConfig;
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex().autodiff();
/// let net = LinearConfig::new(2, 1).init(&device).bayesianize(&BayesianizeConfig::new());
/// let sharpening = SharpeningConfig::new().init(&net);
/// let (x, y) = (Tensor::<2>::ones([8, 2], &device), Tensor::<2>::ones([8, 1], &device));
/// let nll = |net: &burn::nn::Linear| (net.forward(x.clone()) - y.clone()).square().mean();
///
/// let loss = {
///     let sharpened = sharpening.draw(&net, 7, 0, nll);
///     nll(&net) + sharpened.kl() / 8.0 + net.kl_cost() / 1000.0
/// };
/// let grads = loss.backward();
/// assert!(net.weight.base().grad(&grads).is_some());
/// assert!(sharpening.rho[0].val().grad(&grads).is_some());
/// ```
#[derive(Module, Debug)]
pub struct Sharpening {
    /// For each Bayesian weight of the model, in the order of its traversal, the ρ of its steps η = ln(1 + e^ρ), flat,
    /// of `f32` at least.
    pub rho: Vec<Param<Tensor<1>>>,
    /// The deviation σ₀.
    pub std: f64,
}

impl Sharpening {
    /// Opens draw `index` of `seed`, sharpened for the minibatch whose negative log-likelihood `nll` computes: until
    /// the guard is dropped, the model's weights on this thread are θ.
    ///
    /// Runs `nll` forward and backward once, at φ, with its gradients kept apart. Weights whose sampling is frozen keep
    /// their mean. Whatever its estimator, a layer computes with φ and θ themselves.
    ///
    /// # Panics
    ///
    /// Panics if the model has no autodiff, or is not the one that the steps were made for.
    pub fn draw<M: Module>(
        &self,
        model: &M,
        seed: u64,
        index: u64,
        nll: impl FnOnce(&M) -> Tensor<1>,
    ) -> SharpenedDraw {
        let draw = Draw::sample(model, seed, index);
        let mut leaves = Vec::new();
        draw.replace_weights(model, |phi| {
            assert!(
                phi.value.is_autodiff(),
                "posterior sharpening takes a gradient: the model has to be on a device with autodiff; to predict, use `Sharpening::prior_draw`"
            );
            let leaf = phi.value.detach().require_grad();
            leaves.push(leaf.clone());
            leaf
        });
        let grads = nll(model).backward();

        let mut leaves = leaves.into_iter();
        let mut kl: Option<Tensor<1>> = None;
        draw.replace_weights(model, |phi| {
            let wide = at_least_f32(phi.value.clone());
            let noise = self.noise(seed, index, &phi);
            // A weight that the nll doesn't depend on has no gradient.
            let gradient = leaves.next().and_then(|leaf| leaf.grad(&grads));
            let Some(gradient) = gradient else {
                return in_type_of(wide + noise, &phi.value);
            };
            let step = self.eta(&phi) * at_least_f32(Tensor::from_inner(gradient));
            // Scaled first: the square of σ₀ may be zero in `f32`.
            let cost = (step.clone() * self.std.recip()).square().sum() * 0.5;
            kl = Some(match kl.take() {
                Some(kl) => {
                    let device = kl.device();
                    let (kl, cost) = widest(kl, cost.to_device(&device));
                    kl + cost
                }
                None => cost,
            });
            in_type_of(wide - step + noise, &phi.value)
        });
        let kl = kl.unwrap_or_else(|| {
            let device = model.devices().into_iter().next().unwrap_or_default();
            at_least_f32(Tensor::zeros([1], &device))
        });
        SharpenedDraw { kl, _draw: draw }
    }

    /// Opens draw `index` of `seed` with the weights `θ ~ N(φ, σ₀²)`: what to predict with, where there is no
    /// likelihood to sharpen for.
    pub fn prior_draw<M: Module>(&self, model: &M, seed: u64, index: u64) -> Draw {
        let draw = Draw::sample(model, seed, index);
        draw.replace_weights(model, |phi| {
            let noise = self.noise(seed, index, &phi);
            in_type_of(at_least_f32(phi.value.clone()) + noise, &phi.value)
        });
        draw
    }

    /// `σ₀ ε`, the same in [`draw`](Self::draw) and [`prior_draw`](Self::prior_draw), in `f32` at least.
    fn noise(&self, seed: u64, index: u64, phi: &DrawnWeight) -> Tensor<1> {
        let stream = layout::sharpening(phi.position as u32);
        let like = at_least_f32(phi.value.clone().detach());
        Noise::new(NoiseKey::new(seed, index, stream)).standard_normal(&like) * self.std
    }

    /// The steps of a weight, in `f32` at least.
    fn eta(&self, phi: &DrawnWeight) -> Tensor<1> {
        let size = phi.value.shape().num_elements();
        match self.rho.get(phi.position) {
            Some(rho) if rho.lazy_shape()[0] == size => {
                let wide = at_least_f32(phi.value.clone());
                std_from_rho(in_type_of(rho.val(), &wide))
            }
            _ => panic!(
                "the sharpening was made for another model: it has no {size} steps for the Bayesian weight at position {}",
                phi.position
            ),
        }
    }
}

/// A draw whose weights are sharpened; ends when dropped.
#[derive(Debug)]
#[must_use = "the draw ends when its guard is dropped; bind it: `let _draw = ...`"]
pub struct SharpenedDraw {
    kl: Tensor<1>,
    _draw: Draw,
}

impl SharpenedDraw {
    /// `KL(q(θ | φ, minibatch) ‖ p(θ | φ)) = Σ (η g)² / 2σ₀²`, in nats, of shape `[1]`, with its gradient for η.
    pub fn kl(&self) -> Tensor<1> {
        self.kl.clone()
    }
}
