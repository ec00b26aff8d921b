//! Weights that stand in several places, made one tensor again.

use std::any::Any;
use std::collections::HashMap;

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::by_path::{MapAt, map_by_path};
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
    let tensors = HashMap::new();
    map_by_path(module, &mut Retie { firsts, tensors })
}

struct Retie {
    /// The first place of the weight that stands at a later one.
    firsts: HashMap<String, String>,
    /// The parameters of first places, and of what is attached there.
    tensors: HashMap<String, Box<dyn Any>>,
}

impl Retie {
    /// The path of the same parameter at its weight's first place, if this is a later one.
    fn first(&self, path: &str) -> Option<String> {
        let dots = path.match_indices('.').map(|(dot, _)| dot);
        dots.chain([path.len()]).find_map(|end| {
            let (weight, rest) = path.split_at(end);
            Some(self.firsts.get(weight)?.clone() + rest)
        })
    }
}

impl MapAt for Retie {
    fn map_at<const D: usize>(&mut self, path: &str, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(first) = self.first(path) else {
            self.tensors
                .insert(path.to_string(), Box::new(param.clone()));
            return param;
        };
        let tensor = self.tensors.get(&first);
        match tensor.and_then(|tensor| tensor.downcast_ref::<Param<Tensor<D>>>()) {
            Some(tensor) => tensor.clone(),
            None => param,
        }
    }
}
