//! Frozen copies of one posterior that have other numbers: snapshots of a training, say.

use std::collections::{HashMap, HashSet};

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::tensor::{Tensor, TensorData};

use super::{Attached, Depth, Met};

/// The places whose posterior stands at an earlier one with other numbers, and does not train at any.
///
/// Nobody moves what is frozen, so that of a weight that is tied all places have the same.
pub(super) fn snapshots<M: Module>(module: &M, places: &[Met]) -> HashSet<usize> {
    let mut frozen: HashMap<ParamId, Vec<usize>> = HashMap::new();
    let mut learns = HashSet::new();
    for (index, place) in places.iter().enumerate() {
        if let Attached::Posterior(id) = place.attached {
            frozen.entry(id).or_default().push(index);
            if place.learns() {
                learns.insert(id);
            }
        }
    }
    frozen.retain(|id, indices| indices.len() > 1 && !learns.contains(id));
    if frozen.is_empty() {
        return HashSet::new();
    }
    let wanted = frozen.values().flatten();
    let mut read = Read {
        depth: Depth::default(),
        next: 0,
        numbers: wanted.map(|index| (*index, Vec::new())).collect(),
    };
    module.visit(&mut read);
    let numbers = &read.numbers;
    let of_posterior = frozen.values().flat_map(|indices| {
        let first = &numbers[&indices[0]];
        indices[1..]
            .iter()
            .filter(|index| numbers[*index] != *first)
    });
    of_posterior.copied().collect()
}

/// Reads the numbers of some places: those of the tensor, then those of what is attached to it.
struct Read {
    depth: Depth,
    /// The number of the next place.
    next: usize,
    numbers: HashMap<usize, Vec<TensorData>>,
}

impl ModuleVisitor for Read {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.depth.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.depth.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !self.depth.is_in_posterior() {
            self.next += 1;
        }
        let place = self.next.checked_sub(1);
        if let Some(numbers) = place.and_then(|place| self.numbers.get_mut(&place)) {
            numbers.push(param.base().into_data());
        }
    }
}
