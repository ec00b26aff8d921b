//! The one walk of a module: its weights in order, where each stands, what is attached to it.
//!
//! A weight that is tied stands in several places and is one weight, also where one place alone has its posterior.
//! Frozen parameters without a posterior are not tied, and a posterior that is frozen not to one that trains. Whether a
//! parameter belongs to a posterior is told by the container type that Burn gives to what is attached to a parameter,
//! and by the name of our attachment: never by the name of a field. What else may be attached, such as Burn's LoRA, is
//! entered: its factors are weights like any other.

mod identity;
mod snapshots;

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use burn::module::{Flag, Module, ModuleVisitor, Param, ParamId};
use burn::tensor::{DType, Device, Shape, Tensor};

use self::identity::{Identity, identities};
use self::snapshots::snapshots;
use crate::draw::{LAYER_NOISE, is_configured};
use crate::family::posterior::WeightInfo;
use crate::fields::{ATTACHED, POSTERIOR};

/// The weights of a module, in the order of its traversal, and its layers that are random themselves.
#[derive(Debug)]
pub(crate) struct Walk {
    pub weights: Vec<Weight>,
    pub random_layers: Vec<RandomLayer>,
}

/// One floating-point parameter of a module, not of a posterior.
#[derive(Debug)]
pub(crate) struct Weight {
    pub id: ParamId,
    /// Where it stands: in more than one place if it is tied.
    pub places: Vec<Place>,
    pub shape: Shape,
    pub device: Device,
    pub trains: bool,
    /// Whether it is one of few bits, which never trains.
    pub is_quantized: bool,
    pub attached: Attached,
    /// Whether its posterior is sampled.
    pub is_sampling: bool,
    /// The number of values that train in what is attached to it.
    pub attached_values: usize,
    pub families: Families,
    /// The name of another reparameterization inside its posterior, such as LoRA.
    pub inside_posterior: Option<String>,
}

/// The names of what is attached to a weight, as far as a visitor is told: a type without parameters is passed in
/// silence.
#[derive(Debug, Clone, Default)]
pub(crate) struct Families {
    pub posterior: Option<String>,
    pub prior: Option<String>,
}

/// One place of a weight.
#[derive(Debug)]
pub(crate) struct Place {
    pub path: String,
    /// The types of the modules that contain it, outermost first.
    pub modules: Vec<String>,
    pub in_last_layer: bool,
    /// Whether nothing is attached to the parameter here.
    pub is_bare: bool,
}

/// A layer that takes noise of its own, such as Monte Carlo dropout.
#[derive(Debug)]
pub(crate) struct RandomLayer {
    pub path: String,
    /// The path of its flag.
    pub flag: String,
    /// The id of its flag, which is its identity.
    pub id: ParamId,
    pub is_sampling: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Attached {
    Nothing,
    /// A posterior, with its identity.
    Posterior(ParamId),
    /// Another reparameterization, by its name.
    Other(String),
}

impl Walk {
    pub fn of<M: Module>(module: &M) -> Self {
        let mut visitor = Visitor::default();
        module.visit(&mut visitor);
        let Visitor {
            places,
            random_layers,
            ..
        } = visitor;

        let last = places
            .iter()
            .rfind(|place| place.trains && place.shape.num_dims() >= 2)
            .or_else(|| places.iter().rfind(|place| place.trains))
            .map(|place| place.owner.clone());
        let mut weights: Vec<Weight> = Vec::new();
        let mut known: HashMap<Identity, usize> = HashMap::new();
        let identities = identities(&places, &snapshots(module, &places));
        for (place, identity) in places.into_iter().zip(identities) {
            let at = Place {
                in_last_layer: last.as_ref() == Some(&place.owner),
                is_bare: place.attached == Attached::Nothing,
                path: place.path,
                modules: place.modules,
            };
            match known.get(&identity) {
                Some(weight) => {
                    let weight = &mut weights[*weight];
                    weight.places.push(at);
                    if weight.inside_posterior.is_none() {
                        weight.inside_posterior = place.inside_posterior;
                    }
                    // An adapter at any place keeps posteriors off the weight, and a posterior is that of all places.
                    if weight.attached == Attached::Nothing {
                        weight.attached = place.attached;
                        weight.is_sampling = place.is_sampling;
                        weight.attached_values = place.attached_values;
                        weight.families = place.families;
                    }
                }
                None => {
                    known.insert(identity, weights.len());
                    weights.push(Weight {
                        id: place.id,
                        places: vec![at],
                        shape: place.shape,
                        device: place.device,
                        trains: place.trains,
                        is_quantized: place.is_quantized,
                        attached: place.attached,
                        is_sampling: place.is_sampling,
                        attached_values: place.attached_values,
                        families: place.families,
                        inside_posterior: place.inside_posterior,
                    });
                }
            }
        }
        Self {
            weights,
            random_layers,
        }
    }

    /// The weights that have a posterior, with its identity.
    pub fn posteriors(&self) -> impl Iterator<Item = (&Weight, ParamId)> {
        let weights = self.weights.iter();
        weights.filter_map(|weight| Some((weight, weight.posterior()?)))
    }
}

impl Weight {
    /// The path of its first place.
    pub fn path(&self) -> &str {
        &self.places[0].path
    }

    /// What is known of it, at its first place.
    pub fn info(&self) -> WeightInfo<'_> {
        self.info_at(&self.places[0])
    }

    /// What is known of it, at each of its places.
    pub fn infos(&self) -> impl Iterator<Item = WeightInfo<'_>> {
        self.places.iter().map(|place| self.info_at(place))
    }

    fn info_at<'a>(&'a self, place: &'a Place) -> WeightInfo<'a> {
        WeightInfo {
            path: &place.path,
            id: self.id,
            shape: &self.shape,
            device: &self.device,
            modules: &place.modules,
            in_last_layer: place.in_last_layer,
        }
    }

    /// Whether anything of it trains: it, or what is attached to it.
    pub fn learns(&self) -> bool {
        self.trains || self.attached_values > 0
    }

    /// Whether a posterior can be attached to it as it is.
    pub fn is_convertible(&self) -> bool {
        self.trains && self.attached == Attached::Nothing
    }

    /// The identity of its posterior.
    pub fn posterior(&self) -> Option<ParamId> {
        match self.attached {
            Attached::Posterior(id) => Some(id),
            _ => None,
        }
    }
}

/// The number of each Bayesian parameter of a module, in the order of its traversal, and which of them are tied: what a
/// draw needs to know, without the rest of a walk.
pub(crate) fn numbers<M: Module>(module: &M) -> (HashMap<ParamId, u32>, Vec<ParamId>) {
    let mut numbering = Numbering::default();
    module.visit(&mut numbering);
    (numbering.numbers, numbering.tied)
}

/// Whether the optimizer updates the parameter in training, whichever mode the module is in now.
///
/// One that is quantized is not updated: it has no gradient.
pub fn trains<const D: usize>(param: &Param<Tensor<D>>) -> bool {
    inspect(param).0
}

/// Whether the parameter is one of few bits.
///
/// To be quantized it was initialized.
pub(super) fn is_quantized<const D: usize>(param: &Param<Tensor<D>>) -> bool {
    param.is_initialized() && matches!(param.base().dtype(), DType::QFloat(_))
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
    // Burn's quantizer leaves the parameter's configuration as it was.
    if is_quantized(&probe) {
        return (false, shape);
    }
    if probe.base().is_autodiff() {
        return (probe.is_require_grad(), shape);
    }
    (trains_in_training(probe), shape)
}

/// Whether a parameter without autodiff, of which no tensor requires a gradient, does in training mode.
fn trains_in_training<const D: usize>(param: Param<Tensor<D>>) -> bool {
    // One number, without what is attached, is configured alike.
    let one = param.map(|value| Tensor::zeros([1; D], &value.device()));
    let leaf = Module::train(one).base();
    let trains = leaf.is_require_grad();
    if trains {
        // Burn keeps the node of a leaf until a backward pass, and a process that only predicts has none: memory would
        // grow by each walk.
        drop(leaf.backward());
    }
    trains
}

/// How deep a traversal is in what is attached to a parameter.
#[derive(Debug, Default)]
pub(super) struct Depth {
    modules: usize,
    /// Where the outermost posterior around the traversal began.
    posterior: Option<usize>,
}

impl Depth {
    pub(super) fn enter(&mut self, name: &str, container_type: &str) {
        self.modules += 1;
        if container_type == ATTACHED && name == POSTERIOR && self.posterior.is_none() {
            self.posterior = Some(self.modules);
        }
    }

    pub(super) fn exit(&mut self) {
        if self.posterior == Some(self.modules) {
            self.posterior = None;
        }
        self.modules -= 1;
    }

    pub(super) fn is_in_posterior(&self) -> bool {
        self.posterior.is_some()
    }

    /// How many modules were entered inside of the outermost posterior.
    fn level(&self) -> Option<usize> {
        self.posterior.map(|began| self.modules - began)
    }

    /// Whether a flag here is the attachment's own, which is its identity, and not one that a posterior holds inside.
    pub(super) fn is_identity(&self) -> bool {
        self.posterior
            .is_some_and(|began| self.modules == began + 1)
    }
}

/// One weight at one place, as it is met.
#[derive(Debug)]
struct Met {
    path: String,
    /// The path of the module that owns it: the last of `modules`.
    owner: String,
    modules: Vec<String>,
    id: ParamId,
    shape: Shape,
    device: Device,
    trains: bool,
    is_quantized: bool,
    attached: Attached,
    is_sampling: bool,
    attached_values: usize,
    families: Families,
    inside_posterior: Option<String>,
}

impl Met {
    /// Whether anything of it trains: it, or what is attached to it.
    fn learns(&self) -> bool {
        self.trains || self.attached_values > 0
    }

    /// A module is entered, `level` modules inside what is attached to the weight: there the path has `posterior` or
    /// `prior` first, then what that consists of.
    fn enter_attached(&mut self, path: &[String], level: usize, container_type: &str) {
        let Some(field) = path.len().checked_sub(level).and_then(|at| path.get(at)) else {
            return;
        };
        let (family, suffix) = match field.as_str() {
            "posterior" => (&mut self.families.posterior, "Posterior"),
            "prior" => (&mut self.families.prior, "Prior"),
            _ => return,
        };
        // A built-in family is a variant of an enum, one of the user's a type of its own.
        let (own, variant) = (container_type.strip_prefix("Struct:"), path.last());
        match (level, own, variant) {
            (2, Some(own), _) => *family = Some(own.trim_end_matches(suffix).to_string()),
            (2, None, Some(variant)) => *family = Some(variant.clone()),
            // A built-in one inside another, such as the prior that MOPED moves.
            (3, None, Some(variant)) => {
                let outer = family.take().unwrap_or_default();
                *family = Some(format!("{outer} {variant}"));
            }
            _ => {}
        }
    }
}

#[derive(Debug, Default)]
struct Visitor {
    path: Vec<String>,
    containers: Vec<String>,
    depth: Depth,
    places: Vec<Met>,
    random_layers: Vec<RandomLayer>,
}

/// The name of a module's type, if a container is one: lists and tuples are not what a user calls the module of a
/// weight.
fn module_type(container: &str) -> Option<&str> {
    let (kind, name) = container.split_once(':')?;
    matches!(kind, "Struct" | "Enum").then_some(name)
}

impl ModuleVisitor for Visitor {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.push(name.to_string());
        self.containers.push(container_type.to_string());
        let was_in_posterior = self.depth.is_in_posterior();
        self.depth.enter(name, container_type);
        if container_type == ATTACHED
            && let Some(weight) = self.places.last_mut()
        {
            match (was_in_posterior, self.depth.is_in_posterior()) {
                (false, false) => weight.attached = Attached::Other(name.to_string()),
                (true, _) if name != POSTERIOR => {
                    weight.inside_posterior = Some(name.to_string());
                }
                _ => {}
            }
        }
        if let (Some(level), Some(weight)) = (self.depth.level(), self.places.last_mut()) {
            weight.enter_attached(&self.path, level, container_type);
        }
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
        self.containers.pop();
        self.depth.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.depth.is_in_posterior() {
            // Neither the centre of a prior nor a pruning mask trains.
            if let Some(weight) = self.places.last_mut()
                && trains(param)
            {
                weight.attached_values += param.lazy_shape().num_elements();
            }
            return;
        }
        let modules = self.containers.iter().filter_map(|c| module_type(c));
        let owned_at = self
            .containers
            .iter()
            .rposition(|c| module_type(c).is_some());
        let (trains, shape) = inspect(param);
        self.places.push(Met {
            path: self.path.join("."),
            owner: self.path[..owned_at.unwrap_or(0)].join("."),
            id: param.id,
            modules: modules.map(str::to_string).collect(),
            trains,
            is_quantized: is_quantized(param),
            shape,
            device: param.lazy_device(),
            attached: Attached::Nothing,
            is_sampling: false,
            attached_values: 0,
            families: Families::default(),
            inside_posterior: None,
        });
    }

    fn visit_flag(&mut self, flag: &Param<Flag>) {
        if self.depth.is_identity()
            && let Some(weight) = self.places.last_mut()
        {
            weight.attached = Attached::Posterior(flag.id);
            weight.is_sampling = is_configured(flag);
        }
        let is_layer_noise = self.containers.last().is_some_and(|c| c == LAYER_NOISE);
        if is_layer_noise && !self.depth.is_in_posterior() {
            // A layer is known by its own path, without the field of its noise and the flag in it.
            let layer = self.path.len().saturating_sub(2);
            self.random_layers.push(RandomLayer {
                path: self.path[..layer].join("."),
                flag: self.path.join("."),
                id: flag.id,
                is_sampling: is_configured(flag),
            });
        }
    }
}

#[derive(Debug, Default)]
struct Numbering {
    numbers: HashMap<ParamId, u32>,
    tied: Vec<ParamId>,
    depth: Depth,
}

impl ModuleVisitor for Numbering {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.depth.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.depth.exit();
    }

    fn visit_flag(&mut self, flag: &Param<Flag>) {
        if !self.depth.is_identity() {
            return;
        }
        let next = self.numbers.len() as u32;
        match self.numbers.entry(flag.id) {
            // A tied weight is met again and keeps its number.
            Entry::Occupied(_) => self.tied.push(flag.id),
            Entry::Vacant(entry) => {
                entry.insert(next);
            }
        }
    }
}
