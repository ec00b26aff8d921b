//! Frozen copies, told apart from what they are copies of.

use std::collections::HashSet;

use blitz_train::blitz_core::trains;
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::Tensor;

/// The module with an id of its own for each frozen parameter that has the id of one that trains, such as a teacher's beside its student: weights are found by their ids.
pub(super) fn with_frozen_copies_apart<M: Module>(module: M) -> M {
    let mut sampled = Sampled::default();
    module.visit(&mut sampled);
    module.map(&mut Apart(sampled.0))
}

/// The ids of what trains.
#[derive(Default)]
struct Sampled(HashSet<ParamId>);

impl ModuleVisitor for Sampled {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        // Clones that Burn has not initialized share whether they train.
        drop(param.base());
        if trains(param) {
            self.0.insert(param.id);
        }
    }
}

struct Apart(HashSet<ParamId>);

impl ModuleMapper for Apart {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if trains(&param) || !self.0.contains(&param.id) {
            return param;
        }
        let (_, value, mapper) = param.consume();
        Param::from_mapped_value(ParamId::new(), value, mapper)
    }
}
