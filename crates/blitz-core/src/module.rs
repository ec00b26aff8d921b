//! What every Burn module can do once some of its parameters have posteriors.

use burn::module::{Flag, Module, ModuleMapper, ModuleVisitor, Param, ParamGroup};
use burn::tensor::Tensor;

use crate::convert::{BayesianizeConfig, attach};
use crate::draw::Draw;
use crate::kl::{KlScope, KlSink, KlTerm};
use crate::posterior::{Posterior, WeightInfo};
use crate::prior::Prior;
use crate::variational::NAME;

/// The Bayesian side of a Burn module, implemented for every [`Module`].
///
/// ```
/// use blitz_core::prelude::*;
/// use burn::module::Module;
/// use burn::nn::{Linear, LinearConfig, Relu};
/// use burn::tensor::{Device, Tensor};
///
/// #[derive(Module, Debug)]
/// struct Net {
///     hidden: Linear,
///     out: Linear,
/// }
///
/// impl Net {
///     fn forward(&self, x: Tensor<2>) -> Tensor<2> {
///         self.out.forward(Relu::new().forward(self.hidden.forward(x)))
///     }
/// }
///
/// let device = Device::flex();
/// let net = Net {
///     hidden: LinearConfig::new(4, 8).init(&device),
///     out: LinearConfig::new(8, 1).init(&device),
/// }
/// .bayesianize(&BayesianizeConfig::new());
///
/// assert_eq!(net.num_bayesian_weights(), 4 * 8 + 8 + 8 + 1);
/// let x = Tensor::<2>::ones([2, 4], &device);
/// let (a, b) = {
///     let _draw = net.draw(7, 0); // draw 0 of seed 7: one joint sample of all weights
///     (net.forward(x.clone()), net.forward(x.clone()))
/// };
/// assert_eq!(a.into_data(), b.into_data());
/// let kl = net.kl_cost().into_scalar::<f32>(); // nats, summed over the weights
/// assert!(kl > 0.0);
/// ```
pub trait BayesianModule: Module {
    /// Makes the module Bayesian: attaches a mean-field normal posterior to each of its parameters that trains (or
    /// those of `config.group`), with the parameter's value as the posterior's mean.
    ///
    /// The module's code, type and parameter paths stay the same; a record of the deterministic module loads
    /// with [`allow_partial`](burn::store::ModuleRecord::allow_partial).
    ///
    /// # Panics
    ///
    /// Panics if the configuration holds an impossible value, such as a negative deviation.
    #[must_use]
    fn bayesianize(self, config: &BayesianizeConfig) -> Self {
        config.apply(self)
    }

    /// Attaches posteriors and priors of any kind: `choose` is asked for each parameter that trains and has no
    /// posterior yet, and answers `None` to leave it as it is.
    ///
    /// See [`Posterior`] for an example.
    #[must_use]
    fn attach_posteriors<Q: Posterior, P: Prior>(
        self,
        choose: impl FnMut(WeightInfo<'_>) -> Option<(Q, P)>,
    ) -> Self {
        attach(self, None, choose)
    }

    /// Opens draw `index` of `seed`: until the guard is dropped, all reads of the module's weights on this thread
    /// see the same joint sample. See [`Draw::sample`].
    fn draw(&self, seed: u64, index: u64) -> Draw {
        Draw::sample(self, seed, index)
    }

    /// Runs `f` inside draw `index` of `seed`.
    fn with_draw<R>(&self, seed: u64, index: u64, f: impl FnOnce(&Self) -> R) -> R {
        let _draw = self.draw(seed, index);
        f(self)
    }

    /// Runs `f` with every Bayesian parameter read as the mean of its posterior.
    fn with_mean<R>(&self, f: impl FnOnce(&Self) -> R) -> R {
        let _mean = Draw::mean();
        f(self)
    }

    /// The concrete network of draw `index` of `seed`: an ordinary module without posteriors.
    #[must_use]
    fn sample_network(&self, seed: u64, index: u64) -> Self {
        let _draw = self.draw(seed, index);
        self.clone().materialize()
    }

    /// The network of the posterior means: an ordinary module without posteriors.
    #[must_use]
    fn mean_network(&self) -> Self {
        let _mean = Draw::mean();
        self.clone().materialize()
    }

    /// `KL(q ‖ p)` summed over all Bayesian weights of the module, in nats, of shape `[1]`, with its gradient.
    ///
    /// A function of the parameters: whether, where and how often the module ran does not matter, nor whether
    /// its sampling is frozen. Terms without a closed form are estimated at the weights of the open draw, or at a
    /// fresh sample if none is open. Zero for a module without posteriors. Divide by the size of the *data set* to
    /// set it against a mean loss.
    fn kl_cost(&self) -> Tensor<1> {
        KlTerm::total(self.kl_terms()).unwrap_or_else(|| {
            let device = self.devices().into_iter().next().unwrap_or_default();
            Tensor::zeros([1], &device)
        })
    }

    /// The part of [`kl_cost`](Self::kl_cost) that is estimated at the open draw's weights, and so differs from draw to draw;
    /// `None` if every term has a closed form.
    fn kl_cost_of_draw(&self) -> Option<Tensor<1>> {
        KlTerm::total(kl_terms(self, KlScope::MonteCarloOnly))
    }

    /// The KL of each Bayesian parameter, in the order of the module's traversal.
    fn kl_terms(&self) -> Vec<KlTerm> {
        kl_terms(self, KlScope::All)
    }

    /// Stops the sampling of all weights: they read as their posterior means, in training and prediction, until
    /// [`unfreeze_sampling`](Self::unfreeze_sampling). The means keep training.
    ///
    /// Recorded in Burn's module flags, which `valid()`, `train()`, `fork` and loading a record leave as
    /// configured. Burn's own `freeze` switches every flag off and so freezes sampling as well: call
    /// `unfreeze_sampling` behind it to predict with a posterior whose parameters no longer train.
    #[must_use]
    fn freeze_sampling(self) -> Self {
        self.map(&mut SetSampling::new(false, ParamGroup::all()))
    }

    /// Samples all weights again.
    #[must_use]
    fn unfreeze_sampling(self) -> Self {
        self.map(&mut SetSampling::new(true, ParamGroup::all()))
    }

    /// [`freeze_sampling`](Self::freeze_sampling) for the weights whose path, e.g. `"encoder.linear1.weight"`, or id is in `group`.
    #[must_use]
    fn freeze_sampling_group(self, group: ParamGroup) -> Self {
        self.map(&mut SetSampling::new(false, group))
    }

    /// [`unfreeze_sampling`](Self::unfreeze_sampling) for the weights whose path or id is in `group`.
    #[must_use]
    fn unfreeze_sampling_group(self, group: ParamGroup) -> Self {
        self.map(&mut SetSampling::new(true, group))
    }

    /// The number of weights that have a posterior.
    fn num_bayesian_weights(&self) -> usize {
        count(self).weights
    }

    /// The number of posterior parameters: means, deviations and whatever else the posteriors and priors train.
    fn num_posterior_params(&self) -> usize {
        let count = count(self);
        count.weights + count.nested
    }
}

impl<M: Module> BayesianModule for M {}

fn kl_terms<M: Module>(module: &M, scope: KlScope) -> Vec<KlTerm> {
    let scope = Draw::kl(KlSink::new(scope));
    // The one traversal that reaches an attached posterior together with its parameter, gradients included: inside a
    // KL scope each posterior notes its KL and leaves the parameter alone.
    drop(module.clone().materialize());
    scope.finish_kl().into_terms()
}

/// Sets the sampling flag of the Bayesian parameters of a group, by the path of the parameter itself.
struct SetSampling {
    sampling: bool,
    group: ParamGroup,
    path: Vec<String>,
    /// The parameter met last: Burn visits it right before what is attached to it.
    last: Option<burn::module::ParamId>,
}

impl SetSampling {
    fn new(sampling: bool, group: ParamGroup) -> Self {
        Self {
            sampling,
            group,
            path: Vec::new(),
            last: None,
        }
    }
}

impl ModuleMapper for SetSampling {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if !self.path.iter().any(|component| component == NAME) {
            self.last = Some(param.id);
        }
        param
    }

    fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
        let Some(depth) = self.path.iter().position(|component| component == NAME) else {
            return flag;
        };
        let path = self.path[..depth].join(".");
        match self.last {
            Some(id) if self.group.matches(&id, Some(&path)) => flag.with_value(self.sampling),
            _ => flag,
        }
    }
}

#[derive(Default)]
struct Count {
    weights: usize,
    nested: usize,
    last: usize,
    inside: bool,
}

fn count<M: Module>(module: &M) -> Count {
    let mut count = Count::default();
    module.visit(&mut count);
    count
}

impl ModuleVisitor for Count {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        if container_type == "Reparameterization" && name == NAME {
            self.inside = true;
            self.weights += self.last;
        }
    }

    fn exit_module(&mut self, _name: &str, container_type: &str) {
        if container_type == "Reparameterization" {
            self.inside = false;
        }
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let elements = param.lazy_shape().num_elements();
        if self.inside {
            self.nested += elements;
        } else {
            self.last = elements;
        }
    }
}
