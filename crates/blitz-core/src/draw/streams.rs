//! Which stream of noise belongs to which parameter.

use std::collections::HashMap;

use burn::module::{Flag, Module, ModuleVisitor, Param, ParamId};

use crate::variational::NAME;

/// The number of each Bayesian parameter of a module, in the order of its traversal.
pub(super) fn stream_numbers<M: Module>(module: &M) -> HashMap<ParamId, u32> {
    let mut numbering = StreamNumbering::default();
    module.visit(&mut numbering);
    numbering.streams
}

#[derive(Default)]
struct StreamNumbering {
    streams: HashMap<ParamId, u32>,
    inside: bool,
}

impl ModuleVisitor for StreamNumbering {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        if container_type == "Reparameterization" {
            self.inside = name == NAME;
        }
    }

    fn exit_module(&mut self, _name: &str, container_type: &str) {
        if container_type == "Reparameterization" {
            self.inside = false;
        }
    }

    fn visit_flag(&mut self, flag: &Param<Flag>) {
        // The flag inside a `Variational` is its identity. A tied weight is met twice and keeps its first number.
        if self.inside {
            let next = self.streams.len() as u32;
            self.streams.entry(flag.id).or_insert(next);
        }
    }
}
