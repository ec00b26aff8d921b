//! What is attached to a parameter, as Burn tells a traversal of it.

use burn::module::{Module, ModuleVisitor};

use super::Draw;
use crate::fields::{ATTACHED, POSTERIOR};

/// Whether something other than a posterior is attached to a parameter of `module`: Burn's LoRA, a weight norm, or
/// whatever else a weight is made by. For the crates of blitz.
///
/// A weight that is made of other parameters, which may have posteriors of their own, is not read as one with a
/// posterior is: they would answer a scope that asks the next parameter that is read, in the place of the weight.
pub fn has_adapters(module: &impl Module) -> bool {
    let _glance = Draw::glance();
    let mut adapters = Adapters(false);
    module.visit(&mut adapters);
    adapters.0
}

struct Adapters(bool);

impl ModuleVisitor for Adapters {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.0 |= container_type == ATTACHED && name != POSTERIOR;
    }
}
