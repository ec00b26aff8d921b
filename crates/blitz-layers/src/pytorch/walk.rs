//! Where a module has its parameters, and how a traversal of it passes on what has the same name in the file.

use std::collections::{HashMap, HashSet};
use std::convert::identity;

use blitz_core::fields::changed;
use burn::module::{Flag, Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{Bool, Int, Shape, Tensor};

use super::PyTorchNames;
use super::entry::{Entry, keep};
use super::names;

/// A component of a parameter's path, and the type of the module that it is a field of.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Step {
    pub name: String,
    pub container: String,
}

impl Step {
    pub fn new(name: &str, container: &str) -> Self {
        Self {
            name: name.to_string(),
            container: container.to_string(),
        }
    }

    /// Whether it is a field of this type of Burn's or of ours.
    pub fn is_in(&self, types: &[&str]) -> bool {
        let name = self.container.strip_prefix("Struct:");
        name.is_some_and(|name| types.contains(&name))
    }
}

/// The path as it is written.
pub(super) fn joined(steps: &[Step]) -> String {
    let names: Vec<_> = steps.iter().map(|step| step.name.as_str()).collect();
    names.join(".")
}

/// Visits a parameter with its path of the file.
pub(super) fn visit_at<V: ModuleVisitor>(
    visitor: &mut V,
    steps: &[Step],
    visit: impl FnOnce(&mut V),
) {
    for step in steps {
        visitor.enter_module(&step.name, &step.container);
    }
    visit(visitor);
    for step in steps.iter().rev() {
        visitor.exit_module(&step.name, &step.container);
    }
}

/// Maps it.
pub(super) fn map_at<M: ModuleMapper, P>(
    mapper: &mut M,
    steps: &[Step],
    map: impl FnOnce(&mut M) -> P,
) -> P {
    for step in steps {
        mapper.enter_module(&step.name, &step.container);
    }
    let mapped = map(mapper);
    for step in steps.iter().rev() {
        mapper.exit_module(&step.name, &step.container);
    }
    mapped
}

/// A parameter of floats.
#[derive(Debug)]
pub(super) struct Place {
    pub steps: Vec<Step>,
    pub path: String,
    pub shape: Shape,
}

/// The parameters of floats of a module, in its order.
#[derive(Debug, Default)]
pub(super) struct Survey {
    pub places: Vec<Place>,
    /// Their values as one vector each, by path: as the layer has them, whatever the layout in which a store would save
    /// them.
    pub values: HashMap<String, Tensor<1>>,
    /// Where weights are pruned, likewise, by their paths.
    pub pruned: Pruned,
    steps: Vec<Step>,
}

/// Which elements of a weight are pruned, by its path. A weight of which none ever was has no place here.
pub(super) type Pruned = HashMap<String, Tensor<1, Bool>>;

impl Survey {
    pub fn of(module: &impl Module) -> Self {
        let mut survey = Self::default();
        module.visit(&mut survey);
        for place in &survey.places {
            if let Some(weight) = names::weight_of_mask(place) {
                let kept = survey.values[&place.path].clone();
                survey.pruned.insert(weight, kept.equal_elem(0.0));
            }
        }
        survey
    }
}

impl ModuleVisitor for Survey {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.steps.push(Step::new(name, container_type));
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.steps.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val();
        let path = joined(&self.steps);
        self.places.push(Place {
            steps: self.steps.clone(),
            path: path.clone(),
            shape: value.shape(),
        });
        self.values.insert(path, value.reshape([-1]));
    }
}

/// Traverses a module for a visitor or a mapper of the file's parameters.
///
/// Passes on the parameters that are one tensor there too; those that are part of an entry get their new values, if
/// there are any.
#[derive(Debug)]
pub(super) struct Emitter<'a, V> {
    names: PyTorchNames,
    /// The parameters that belong to an entry.
    taken: HashSet<&'a str>,
    /// The weights of which mean and deviation are entries.
    with_posterior: HashSet<&'a str>,
    values: HashMap<String, Tensor<1>>,
    pruned: Pruned,
    inner: &'a mut V,
    steps: Vec<Step>,
}

impl<'a, V> Emitter<'a, V> {
    pub fn new(
        names: PyTorchNames,
        entries: &'a [Entry],
        values: HashMap<String, Tensor<1>>,
        pruned: Pruned,
        inner: &'a mut V,
    ) -> Self {
        let with_posterior = entries.iter().filter(|entry| entry.has_posterior);
        Self {
            names,
            taken: entries.iter().flat_map(Entry::paths).collect(),
            with_posterior: with_posterior.flat_map(Entry::paths).collect(),
            values,
            pruned,
            inner,
            steps: Vec::new(),
        }
    }

    /// The path in the file of the parameter at hand; `None` for one that the file has not as such.
    fn path(&self) -> Option<Vec<Step>> {
        if self.taken.contains(joined(&self.steps).as_str()) {
            return None;
        }
        if let Some(at) = names::attached_at(&self.steps) {
            let weight = joined(&self.steps[..at]);
            let hidden = self.names == PyTorchNames::TorchNn
                || self.with_posterior.contains(weight.as_str());
            return (!hidden).then(|| self.steps.clone());
        }
        Some(names::renamed(&self.steps))
    }

    /// Where the parameter at hand is pruned.
    fn pruned(&self) -> Option<&Tensor<1, Bool>> {
        self.pruned.get(&joined(&self.steps))
    }
}

/// The parameter without what Burn does to a matrix in columns when it is saved and loaded: a file of PyTorch's has one
/// layout, whatever Burn's records have.
fn as_in_layer<const D: usize>(param: Param<Tensor<D>>) -> Param<Tensor<D>> {
    param.load_mapper(identity).save_mapper(identity)
}

/// Maps the parameter likewise, and leaves it the layout of its records.
fn map_as_in_layer<const D: usize>(
    param: Param<Tensor<D>>,
    map: impl FnOnce(Param<Tensor<D>>) -> Param<Tensor<D>>,
) -> Param<Tensor<D>> {
    let (_, old, records) = param.clone().consume();
    let (id, new, _) = map(as_in_layer(param)).consume();
    let requires_grad = new.is_require_grad();
    let is_changed = requires_grad != old.is_require_grad();
    let param = Param::from_mapped_value(id, new, records);
    match is_changed {
        true => param.set_require_grad(requires_grad),
        false => param,
    }
}

impl<V: ModuleVisitor> Emitter<'_, V> {
    fn visiting(&mut self, visit: impl FnOnce(&mut V)) {
        if let Some(steps) = self.path() {
            visit_at(self.inner, &steps, visit);
        }
    }
}

impl<V: ModuleVisitor> ModuleVisitor for Emitter<'_, V> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.steps.push(Step::new(name, container_type));
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.steps.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let mut param = as_in_layer(param.clone());
        if let Some(pruned) = self.pruned().cloned() {
            // The stored mean may have moved there since, and the network computes with zero.
            param = changed(param, |mean| {
                let zeros = mean.zeros_like();
                keep(mean, &pruned, zeros)
            });
        }
        self.visiting(|inner| inner.visit_float(&param));
    }

    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        self.visiting(|inner| inner.visit_int(param));
    }

    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
        self.visiting(|inner| inner.visit_bool(param));
    }

    fn visit_flag(&mut self, flag: &Param<Flag>) {
        self.visiting(|inner| inner.visit_flag(flag));
    }

    fn visit_float_with_path<const D: usize>(
        &mut self,
        path: &[String],
        id: ParamId,
        tensor: &Tensor<D>,
    ) {
        self.inner.visit_float_with_path(path, id, tensor);
    }

    fn visit_int_with_path<const D: usize>(
        &mut self,
        path: &[String],
        id: ParamId,
        tensor: &Tensor<D, Int>,
    ) {
        self.inner.visit_int_with_path(path, id, tensor);
    }

    fn visit_bool_with_path<const D: usize>(
        &mut self,
        path: &[String],
        id: ParamId,
        tensor: &Tensor<D, Bool>,
    ) {
        self.inner.visit_bool_with_path(path, id, tensor);
    }
}

impl<V: ModuleMapper> Emitter<'_, V> {
    fn mapping<P>(&mut self, param: P, map: impl FnOnce(&mut V, P) -> P) -> P {
        match self.path() {
            Some(steps) => map_at(self.inner, &steps, |inner| map(inner, param)),
            None => param,
        }
    }
}

impl<V: ModuleMapper> ModuleMapper for Emitter<'_, V> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.steps.push(Step::new(name, container_type));
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.steps.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(value) = self.values.remove(&joined(&self.steps)) else {
            let kept = self.pruned().cloned().map(|pruned| (pruned, param.val()));
            let param = map_as_in_layer(param, |param| self.mapping(param, V::map_float));
            return match kept {
                None => param,
                Some((pruned, old)) => changed(param, |new| keep(new, &pruned, old)),
            };
        };
        changed(param, |old| {
            value.to_device(&old.device()).reshape(old.shape())
        })
    }

    fn map_int<const D: usize>(&mut self, param: Param<Tensor<D, Int>>) -> Param<Tensor<D, Int>> {
        self.mapping(param, V::map_int)
    }

    fn map_bool<const D: usize>(
        &mut self,
        param: Param<Tensor<D, Bool>>,
    ) -> Param<Tensor<D, Bool>> {
        self.mapping(param, V::map_bool)
    }

    fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
        self.mapping(flag, V::map_flag)
    }
}
