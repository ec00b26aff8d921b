//! Weights that stand in several places, made one tensor again.

use std::any::Any;
use std::collections::HashMap;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::Tensor;

use super::walk::Walk;

/// The module with one tensor in all places of each tied weight: that of the first.
///
/// Burn's optimizer gives a gradient to the first parameter that asks for it, and its loaders make a tensor for each place.
pub(crate) fn retie<M: Module>(module: M) -> M {
    let walk = Walk::of(&module);
    let mut firsts = HashMap::new();
    for weight in &walk.weights {
        let (first, others) = weight.places.split_at(1);
        firsts.extend(
            others
                .iter()
                .map(|place| (place.path.clone(), first[0].path.clone())),
        );
    }
    if firsts.is_empty() {
        return module;
    }
    module.map(&mut Retie {
        firsts,
        tensors: HashMap::new(),
        path: Vec::new(),
    })
}

struct Retie {
    /// The first place of the weight that stands at a later one.
    firsts: HashMap<String, String>,
    /// The parameters of first places, and of what is attached there.
    tensors: HashMap<String, Box<dyn Any>>,
    path: Vec<String>,
}

impl Retie {
    /// The path of the same parameter at its weight's first place, if this is a later one.
    fn first(&self) -> Option<String> {
        (1..=self.path.len()).find_map(|length| {
            let first = self.firsts.get(&self.path[..length].join("."))?;
            let rest = &self.path[length..];
            Some([std::slice::from_ref(first), rest].concat().join("."))
        })
    }
}

impl ModuleMapper for Retie {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(first) = self.first() else {
            self.tensors
                .insert(self.path.join("."), Box::new(param.clone()));
            return param;
        };
        let tensor = self.tensors.get(&first);
        match tensor.and_then(|tensor| tensor.downcast_ref::<Param<Tensor<D>>>()) {
            Some(tensor) => tensor.clone(),
            None => param,
        }
    }
}
