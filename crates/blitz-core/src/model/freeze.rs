//! Sampling switched off and on.

use std::collections::HashSet;

use burn::module::{Flag, Module, Param, ParamGroup};
use burn::tensor::Tensor;

use crate::attach::{MapAt, map_by_path, walk_apart};
use crate::fields::{POSTERIOR, SAMPLING};

/// Sets whether the weights and the random layers of `group` are sampled: those whose path, at one of their places, or
/// id is in it.
pub(super) fn set_sampling<M: Module>(module: M, sampling: bool, group: &ParamGroup) -> M {
    let (module, walk) = walk_apart(module);
    let weights = walk.posteriors().filter(|(weight, _)| {
        let mut places = weight.places.iter();
        places.any(|place| group.matches(&weight.id, Some(&place.path)))
    });
    let places = weights.flat_map(|(weight, _)| &weight.places);
    let of_weights = places.map(|place| format!("{}.{POSTERIOR}.{SAMPLING}", place.path));
    let layers = walk.random_layers.iter();
    let layers = layers.filter(|layer| group.matches(&layer.id, Some(&layer.path)));
    let flags = of_weights.chain(layers.map(|layer| layer.flag.clone()));
    let mut set = SetFlags {
        sampling,
        flags: flags.collect(),
    };
    map_by_path(module, &mut set)
}

struct SetFlags {
    sampling: bool,
    /// Their paths. Clones of a random layer have one identity, and are frozen each by itself.
    flags: HashSet<String>,
}

impl MapAt for SetFlags {
    fn map_at<const D: usize>(&mut self, _path: &str, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param
    }

    fn map_flag_at(&mut self, path: &str, flag: Param<Flag>) -> Param<Flag> {
        match self.flags.contains(path) {
            true => flag.with_value(self.sampling),
            false => flag,
        }
    }
}
