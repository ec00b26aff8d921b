//! Sampling switched off and on.

use std::collections::HashSet;

use burn::module::{Flag, Module, ModuleMapper, Param, ParamGroup, ParamId};

use crate::attach::walk_apart;

/// Sets whether the weights and the random layers of `group` are sampled: those whose path, at one of their places, or
/// id is in it.
pub(super) fn set_sampling<M: Module>(module: M, sampling: bool, group: &ParamGroup) -> M {
    let (module, walk) = walk_apart(module);
    let weights = walk.posteriors().filter(|(weight, _)| {
        let mut places = weight.places.iter();
        places.any(|place| group.matches(&weight.id, Some(&place.path)))
    });
    let layers = walk.random_layers.iter();
    let layers = layers.filter(|layer| group.matches(&layer.id, Some(&layer.path)));
    let flags = weights
        .map(|(_, id)| id)
        .chain(layers.map(|layer| layer.id));
    module.map(&mut SetFlags {
        sampling,
        flags: flags.collect(),
    })
}

struct SetFlags {
    sampling: bool,
    flags: HashSet<ParamId>,
}

impl ModuleMapper for SetFlags {
    fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
        match self.flags.contains(&flag.id) {
            true => flag.with_value(self.sampling),
            false => flag,
        }
    }
}
