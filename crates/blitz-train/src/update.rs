//! The door for methods that update weights themselves, where other weights have an optimizer.

use std::any::type_name;
use std::fmt;
use std::marker::PhantomData;
#[cfg(feature = "train")]
use std::sync::Arc;

use burn::module::{
    Content, Devices, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor,
};
use burn::optim::GradientsParams;
use burn::optim::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::tensor::Device;

/// A method that updates some of a model's weights itself, in the place of the optimizer. [`Ivon`](crate::Ivon) is one.
///
/// Give it to the model, [`ElboModel::with_update`](crate::ElboModel::with_update), and the Learner's steps are the
/// method's for the weights that it owns and the optimizer's for all others. What the method remembers from step to
/// step belongs into parameters of the module, which Burn saves and moves; a posterior that cannot be trained otherwise
/// says so by a field of type [`UpdatedBy`].
///
/// A method of your own, which moves one bias by a fixed length against the sign of its gradient:
///
/// ```
/// use blitz_train::prelude::*;
/// use blitz_train::WeightUpdate;
/// use burn::module::{Module, ModuleMapper, Param, ParamId};
/// use burn::optim::GradientsParams;
/// use burn::optim::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
/// use burn::tensor::Tensor;
///
/// #[derive(Debug)]
/// struct SignDescent {
///     weight: ParamId,
/// }
///
/// impl WeightUpdate for SignDescent {
///     fn update<M: Module>(&self, module: M, grads: &mut GradientsParams, lr: &ModuleLearningRate, _losses: usize) -> M {
///         struct Step<'a>(ParamId, &'a mut GradientsParams, f64);
///
///         impl ModuleMapper for Step<'_> {
///             fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
///                 if param.id != self.0 {
///                     return param;
///                 }
///                 // Taken out of `grads`: what is left there is the optimizer's.
///                 let Some(grad) = self.1.remove::<D>(param.id) else {
///                     return param;
///                 };
///                 param.map(|weight| Tensor::from_inner(weight.inner() - grad.sign() * self.2).require_grad())
///             }
///         }
///
///         module.map(&mut Step(self.weight, grads, lr.lr_from_param(self.weight, None)))
///     }
/// }
/// # #[derive(Module, Debug)]
/// # struct Net { layer: burn::nn::Linear }
/// # impl Network for Net {
/// #     type Input = Tensor<2>;
/// #     type Output = Tensor<2>;
/// #     fn forward(&self, input: Tensor<2>) -> Tensor<2> { self.layer.forward(input) }
/// # }
/// # use burn::{nn::LinearConfig, optim::SgdConfig, tensor::Device, train::TrainStep};
/// # let device = Device::flex().autodiff();
/// # let net = Net { layer: LinearConfig::new(1, 1).init(&device) };
/// # let likelihood = GaussianLikelihoodConfig::new().with_noise(LikelihoodParam::Fixed(1.0)).init(&device);
///
/// let bias = net.layer.bias.as_ref().unwrap().id;
/// let model = ElboModel::new(net, likelihood, ElboConfig::new(1).init()).with_update(SignDescent { weight: bias });
/// # let value = |model: &ElboModel<Net, GaussianLikelihood>| model.network.layer.bias.as_ref().unwrap().val().into_scalar::<f32>();
/// # let before = value(&model);
/// # let x = Tensor::<2>::from_floats([[1.0]], &device);
/// # let step = TrainStep::step(&model, LabeledBatch { inputs: x.clone(), targets: x * 100.0 });
/// # let model = model.optimize(&mut SgdConfig::new().init(), 0.125.into(), step.grads);
/// # assert!((value(&model) - before - 0.125).abs() < 1e-6);
/// ```
pub trait WeightUpdate: fmt::Debug + Send + Sync + 'static {
    /// Updates the weights that the method owns, and takes their gradients out of `grads`: the optimizer steps whatever
    /// is left there.
    ///
    /// `grads` are the sum of the gradients of `losses` mean losses, as Burn accumulates them: more than one if a step
    /// has several.
    fn update<M: Module>(
        &self,
        module: M,
        grads: &mut GradientsParams,
        lr: &ModuleLearningRate,
        losses: usize,
    ) -> M;
}

/// A field by which a module says that an update `U` trains it, and no optimizer.
///
/// It holds nothing. An [`ElboModel`](crate::ElboModel) looks for it once, when a training begins, and refuses to train
/// the module without a `U` ([`with_update`](crate::ElboModel::with_update)).
pub struct UpdatedBy<U>(PhantomData<fn() -> U>);

/// What visitors are told to be inside of, with the update's type as a name.
const CONTAINER: &str = "UpdatedBy";

impl<U> UpdatedBy<U> {
    /// The field's value.
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<U> Default for UpdatedBy<U> {
    fn default() -> Self {
        Self::new()
    }
}

impl<U> Clone for UpdatedBy<U> {
    fn clone(&self) -> Self {
        Self::new()
    }
}

impl<U> fmt::Debug for UpdatedBy<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UpdatedBy<{}>", short(type_name::<U>()))
    }
}

impl<U: WeightUpdate> Module for UpdatedBy<U> {
    fn collect_devices(&self, devices: Devices) -> Devices {
        devices
    }

    fn fork(self, _device: &Device) -> Self {
        self
    }

    fn to_device(self, _device: &Device) -> Self {
        self
    }

    fn train(self) -> Self {
        self
    }

    fn valid(&self) -> Self {
        self.clone()
    }

    fn materialize(self) -> Self {
        self
    }

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        visitor.enter_module(type_name::<U>(), CONTAINER);
        visitor.exit_module(type_name::<U>(), CONTAINER);
    }

    fn map<M: ModuleMapper>(self, _mapper: &mut M) -> Self {
        self
    }
}

impl<U: WeightUpdate> ModuleDisplayDefault for UpdatedBy<U> {
    fn content(&self, content: Content) -> Option<Content> {
        content.add_formatted(&format!("{self:?}")).optional()
    }
}

impl<U: WeightUpdate> ModuleDisplay for UpdatedBy<U> {}

/// A type's name without its path.
fn short(name: &str) -> &str {
    name.rsplit("::").next().unwrap_or(name)
}

/// The updates that a model of type `M` was given, in that order.
#[cfg(feature = "train")]
pub(crate) struct Updates<M>(Vec<Arc<dyn UpdateOf<M>>>);

/// A [`WeightUpdate`] for modules of one type, which any of them can be kept as.
#[cfg(feature = "train")]
trait UpdateOf<M>: fmt::Debug + Send + Sync {
    fn update(
        &self,
        module: M,
        grads: &mut GradientsParams,
        lr: &ModuleLearningRate,
        losses: usize,
    ) -> M;

    fn name(&self) -> &'static str;
}

#[cfg(feature = "train")]
impl<M: Module, U: WeightUpdate> UpdateOf<M> for U {
    fn update(
        &self,
        module: M,
        grads: &mut GradientsParams,
        lr: &ModuleLearningRate,
        losses: usize,
    ) -> M {
        WeightUpdate::update(self, module, grads, lr, losses)
    }

    fn name(&self) -> &'static str {
        type_name::<U>()
    }
}

#[cfg(feature = "train")]
impl<M: Module> Updates<M> {
    pub(crate) fn push(&mut self, update: impl WeightUpdate) {
        self.0.push(Arc::new(update));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The module with the weights that the updates own updated.
    pub(crate) fn update(
        &self,
        module: M,
        grads: &mut GradientsParams,
        lr: &ModuleLearningRate,
        losses: usize,
    ) -> M {
        let updates = self.0.iter();
        updates.fold(module, |module, update| {
            update.update(module, grads, lr, losses)
        })
    }

    /// # Panics
    ///
    /// Panics if a part of the module says that it is trained by an update that is not among these.
    pub(crate) fn check(&self, module: &M) {
        let mut find = Find::default();
        module.visit(&mut find);
        for (path, update) in find.found {
            assert!(
                self.0.iter().any(|given| given.name() == update),
                "{path} is trained by {short}, which the model was not given, and an optimizer would train it wrongly: \
                 write `ElboModel::new(..).with_update({short})`",
                short = short(&update),
            );
        }
    }
}

/// Finds the fields of type [`UpdatedBy`]: the path of what has one, and the update's type.
#[cfg(feature = "train")]
#[derive(Default)]
struct Find {
    path: Vec<String>,
    found: Vec<(String, String)>,
}

#[cfg(feature = "train")]
impl ModuleVisitor for Find {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        if container_type == CONTAINER {
            // The last name is that of the field itself.
            let owner = &self.path[..self.path.len().saturating_sub(1)];
            self.found.push((owner.join("."), name.to_string()));
        }
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }
}

#[cfg(feature = "train")]
impl<M> Default for Updates<M> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

#[cfg(feature = "train")]
impl<M> Clone for Updates<M> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

#[cfg(feature = "train")]
impl<M> fmt::Debug for Updates<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.0).finish()
    }
}
