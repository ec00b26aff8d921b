//! What there is to know of a module's weights before one touches them: paths, owners, what is attached.

use burn::module::{Flag, Module, ModuleVisitor, Param, ParamId};
use burn::tensor::{Device, Shape, Tensor};

use crate::posterior::WeightInfo;
use crate::variational::NAME;

/// The weights of a module, in the order of its traversal.
#[derive(Debug, Default)]
pub(crate) struct Inventory {
    pub weights: Vec<Weight>,
}

/// One floating-point parameter of a module itself, not of what is attached to it.
#[derive(Debug)]
pub(crate) struct Weight {
    pub path: String,
    pub id: ParamId,
    /// The types of the modules that contain it, outermost first.
    pub modules: Vec<String>,
    pub shape: Shape,
    pub device: Device,
    pub trains: bool,
    pub attached: Attached,
    pub in_last_layer: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Attached {
    Nothing,
    /// A posterior, with the id of its sampling flag.
    Posterior(Option<ParamId>),
    /// Another reparameterization, by its name.
    Other(String),
}

impl Inventory {
    pub fn of<M: Module>(module: &M) -> Self {
        let mut visitor = Visitor::default();
        module.visit(&mut visitor);
        let mut weights = visitor.weights;

        let last = weights
            .iter()
            .rfind(|weight| weight.trains && weight.shape.num_dims() >= 2)
            .or_else(|| weights.iter().rfind(|weight| weight.trains))
            .map(|weight| owner(&weight.path).to_string());
        for weight in &mut weights {
            weight.in_last_layer = last.as_deref() == Some(owner(&weight.path));
        }
        Self { weights }
    }

    pub fn get(&self, path: &str) -> Option<&Weight> {
        self.weights.iter().find(|weight| weight.path == path)
    }
}

/// The path of the module that a weight is a field of.
fn owner(path: &str) -> &str {
    path.rsplit_once('.').map_or("", |(owner, _)| owner)
}

impl Weight {
    pub fn info(&self) -> WeightInfo<'_> {
        WeightInfo {
            path: &self.path,
            id: self.id,
            shape: &self.shape,
            device: &self.device,
            modules: &self.modules,
            in_last_layer: self.in_last_layer,
        }
    }

    /// Whether a posterior can be attached to it.
    pub fn is_convertible(&self) -> bool {
        self.trains && self.attached == Attached::Nothing
    }

    /// The id of its posterior's sampling flag.
    pub fn posterior(&self) -> Option<ParamId> {
        match self.attached {
            Attached::Posterior(id) => id,
            _ => None,
        }
    }
}

/// Whether an optimizer updates the parameter in training, whichever mode the module is in now.
pub fn trains<const D: usize>(param: &Param<Tensor<D>>) -> bool {
    inspect(param).0
}

/// Whether the parameter trains, and its shape in the layer.
///
/// A parameter that is not initialized stays so: only then does Burn load a record into a weight that is transposed for
/// saving (`LinearLayout::Col`), whose lazy shape is that of the record.
fn inspect<const D: usize>(param: &Param<Tensor<D>>) -> (bool, Shape) {
    let probe = if param.is_initialized() {
        param.clone()
    } else {
        // One number seen in every place: the weight may be of a size that is better not allocated twice.
        let zero = Tensor::<D>::zeros([1; D], &param.lazy_device());
        let zeros = zero.expand(param.lazy_shape());
        param.clone().transform_for_load(zeros, param.id)
    };
    let shape = probe.shape();
    if probe.base().is_autodiff() {
        return (probe.is_require_grad(), shape);
    }
    // Without autodiff no tensor requires a gradient; what the parameter was configured for shows in training mode.
    (Module::train(probe).is_require_grad(), shape)
}

#[derive(Default)]
struct Visitor {
    path: Vec<String>,
    containers: Vec<String>,
    weights: Vec<Weight>,
    /// How deep the traversal is in what is attached to the last weight.
    attached_depth: usize,
}

impl ModuleVisitor for Visitor {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.push(name.to_string());
        self.containers.push(container_type.to_string());
        if container_type == "Reparameterization" {
            self.attached_depth += 1;
            if let (1, Some(weight)) = (self.attached_depth, self.weights.last_mut()) {
                weight.attached = match name {
                    NAME => Attached::Posterior(None),
                    name => Attached::Other(name.to_string()),
                };
            }
        }
    }

    fn exit_module(&mut self, _name: &str, container_type: &str) {
        self.path.pop();
        self.containers.pop();
        if container_type == "Reparameterization" {
            self.attached_depth -= 1;
        }
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.attached_depth > 0 {
            return;
        }
        // Lists and tuples are not what a user calls the module of a weight.
        let modules = self.containers.iter().filter_map(|container| {
            let (kind, name) = container.split_once(':')?;
            matches!(kind, "Struct" | "Enum").then(|| name.to_string())
        });
        let (trains, shape) = inspect(param);
        self.weights.push(Weight {
            path: self.path.join("."),
            id: param.id,
            modules: modules.collect(),
            trains,
            shape,
            device: param.lazy_device(),
            attached: Attached::Nothing,
            in_last_layer: false,
        });
    }

    fn visit_flag(&mut self, flag: &Param<Flag>) {
        let Some(weight) = self.weights.last_mut() else {
            return;
        };
        // The flag of the attachment itself, not one that a posterior may hold inside.
        let is_sampling = matches!(self.path.as_slice(), [.., name, field] if name == NAME && field == "sampling");
        if self.attached_depth == 1
            && is_sampling
            && matches!(weight.attached, Attached::Posterior(_))
        {
            weight.attached = Attached::Posterior(Some(flag.id));
        }
    }
}
