//! Posteriors taken off a module and put back, whatever their types: for what changes an attachment itself, which
//! Burn's mappers do not reach.

use std::any::Any;
use std::collections::HashMap;

use burn::module::{Module, ModuleMapper, Param, ParamId, Reparameterizer};
use burn::tensor::Tensor;

use crate::draw::Draw;
use crate::inventory::{Attached, Inventory};
use crate::posterior::Posterior;
use crate::prior::Prior;
use crate::variational::Variational;

/// A posterior away from its parameter.
pub(crate) trait Attachment {
    /// The id of its sampling flag, the parameter's identity in a draw.
    fn id(&self) -> ParamId;

    /// The means of the weights, flat, without a gradient.
    fn mean(&self) -> Tensor<1>;

    /// The deviations that the posterior itself has, pruned weights included; flat, without a gradient.
    fn std_dev(&self) -> Tensor<1>;

    /// Reads the weights where `mask` is 0 as zero from now on.
    fn set_mask(&mut self, mask: Tensor<1>);

    /// 1 for each weight that is kept and 0 for each that is pruned, flat; `None` if none ever was.
    fn mask(&self) -> Option<Tensor<1>>;

    /// The posterior itself, of whatever type.
    fn posterior(&self) -> &dyn Any;

    /// Attaches a copy to a `Param<Tensor<D>>` of the rank it was taken from.
    fn attach(&self, param: Box<dyn Any>) -> Box<dyn Any>;
}

struct Taken<Q: Posterior, P: Prior, const D: usize> {
    variational: Variational<Q, P>,
    mu: Tensor<D>,
}

impl<Q: Posterior, P: Prior, const D: usize> Attachment for Taken<Q, P, D> {
    fn id(&self) -> ParamId {
        self.variational.id()
    }

    fn mean(&self) -> Tensor<1> {
        self.variational
            .mean(self.mu.clone())
            .flatten(0, D - 1)
            .detach()
    }

    fn std_dev(&self) -> Tensor<1> {
        let std_dev = self.variational.posterior.std_dev(self.mu.clone());
        std_dev.flatten(0, D - 1).detach()
    }

    fn set_mask(&mut self, mask: Tensor<1>) {
        self.variational.set_mask(mask);
    }

    fn mask(&self) -> Option<Tensor<1>> {
        self.variational.mask()
    }

    fn posterior(&self) -> &dyn Any {
        &self.variational.posterior
    }

    fn attach(&self, param: Box<dyn Any>) -> Box<dyn Any> {
        let Ok(param) = param.downcast::<Param<Tensor<D>>>() else {
            unreachable!("a weight keeps its rank")
        };
        Box::new(param.apply_reparameterization(Attach(Some(self.variational.clone()))))
    }
}

struct Attach<R>(Option<R>);

impl<Q: Posterior, P: Prior> Reparameterizer for Attach<Variational<Q, P>> {
    type Reparam = Variational<Q, P>;

    fn reparameterize<const D: usize>(
        &mut self,
        _path: &str,
        param: Param<Tensor<D>>,
    ) -> (Param<Tensor<D>>, Option<Self::Reparam>) {
        (param, self.0.take())
    }
}

/// What a survey gathers while a module is traversed.
pub(crate) type Surveyed = Vec<Box<dyn Attachment>>;

/// The answer of a Bayesian parameter to a survey.
pub(crate) fn taken<Q: Posterior, P: Prior, const D: usize>(
    variational: &Variational<Q, P>,
    mu: Tensor<D>,
) -> Box<dyn Attachment> {
    Box::new(Taken {
        variational: variational.clone(),
        mu,
    })
}

/// The posteriors of a module by the paths of their weights.
pub(crate) struct Attachments {
    by_path: HashMap<String, Box<dyn Attachment>>,
}

impl Attachments {
    pub fn get(&self, path: &str) -> Option<&dyn Attachment> {
        self.by_path.get(path).map(|attachment| &**attachment)
    }

    pub fn get_mut(&mut self, path: &str) -> Option<&mut (dyn Attachment + 'static)> {
        self.by_path
            .get_mut(path)
            .map(|attachment| &mut **attachment)
    }

    pub fn remove(&mut self, path: &str) -> Option<Box<dyn Attachment>> {
        self.by_path.remove(path)
    }

    /// Puts the posteriors back on the weights they were taken from.
    pub fn attach<M: Module>(self, module: M) -> M {
        let mut mapper = AttachAll {
            attachments: self,
            path: Vec::new(),
        };
        module.map(&mut mapper)
    }
}

/// A posterior and the weight that it is attached to, from [`BayesianModule::posteriors`](crate::BayesianModule::posteriors).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AttachedPosterior<Q> {
    /// The path of the weight, e.g. `"encoder.linear1.weight"`.
    pub path: String,
    /// The id of the parameter that holds the location μ.
    pub id: ParamId,
    /// A copy of the posterior: its parameters have the ids of the module's.
    pub posterior: Q,
}

/// The means and deviations of a weight tensor, from [`BayesianModule::weight_marginals`](crate::BayesianModule::weight_marginals).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct WeightMarginals {
    /// The path of the weight, e.g. `"encoder.linear1.weight"`.
    pub path: String,
    /// The mean of each weight, in row-major order; zero for one that is pruned.
    pub means: Vec<f32>,
    /// The deviation of each weight's posterior, also of one that is pruned.
    pub std_devs: Vec<f32>,
}

/// The marginals of all posteriors, in the order of the traversal.
pub(crate) fn marginals_of<M: Module>(module: &M) -> Vec<WeightMarginals> {
    let inventory = Inventory::of(module);
    let attachments = survey(module, &inventory);
    let host = |tensor: Tensor<1>| tensor.into_data().iter::<f32>().collect();
    let attached = inventory.weights.into_iter().filter_map(|weight| {
        let posterior = attachments.get(&weight.path)?;
        Some(WeightMarginals {
            means: host(posterior.mean()),
            std_devs: host(posterior.std_dev()),
            path: weight.path,
        })
    });
    attached.collect()
}

/// The posteriors of type `Q`, in the order of the traversal.
pub(crate) fn posteriors_of<M: Module, Q: Posterior>(module: &M) -> Vec<AttachedPosterior<Q>> {
    let inventory = Inventory::of(module);
    let attachments = survey(module, &inventory);
    let attached = inventory.weights.into_iter().filter_map(|weight| {
        let posterior = attachments.get(&weight.path)?.posterior();
        Some(AttachedPosterior {
            posterior: posterior.downcast_ref::<Q>()?.clone(),
            path: weight.path,
            id: weight.id,
        })
    });
    attached.collect()
}

/// The posteriors of `module`, which keeps them.
pub(crate) fn survey<M: Module>(module: &M, inventory: &Inventory) -> Attachments {
    gather(module.clone(), inventory).1
}

/// Takes the posteriors off: what is left is a deterministic module of the stored means μ.
///
/// # Panics
///
/// Panics if the module holds other reparameterizations, such as LoRA, which would be merged into their weights.
pub(crate) fn take_off<M: Module>(module: M, inventory: &Inventory) -> (M, Attachments) {
    for weight in &inventory.weights {
        if let Attached::Other(name) = &weight.attached {
            panic!(
                "{} holds the reparameterization {name:?}, which would be lost: merge it first, with `materialize` \
                 before the module becomes Bayesian",
                weight.path
            );
        }
    }
    gather(module, inventory)
}

fn gather<M: Module>(module: M, inventory: &Inventory) -> (M, Attachments) {
    let scope = Draw::survey();
    let module = module.materialize();
    let mut by_id: HashMap<ParamId, Box<dyn Attachment>> = HashMap::new();
    for attachment in scope.finish_survey() {
        by_id.insert(attachment.id(), attachment);
    }
    let posteriors = inventory.weights.iter().filter_map(|weight| {
        let attachment = by_id.remove(&weight.posterior()?)?;
        Some((weight.path.clone(), attachment))
    });
    let attachments = Attachments {
        by_path: posteriors.collect(),
    };
    (module, attachments)
}

struct AttachAll {
    attachments: Attachments,
    path: Vec<String>,
}

impl ModuleMapper for AttachAll {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(attachment) = self.attachments.get(&self.path.join(".")) else {
            return param;
        };
        match attachment.attach(Box::new(param)).downcast() {
            Ok(param) => *param,
            Err(_) => unreachable!("a weight keeps its rank"),
        }
    }
}
