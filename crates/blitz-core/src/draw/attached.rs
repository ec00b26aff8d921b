//! What is attached to a parameter, as Burn tells a traversal of it.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;

use super::Draw;
use crate::fields::{ATTACHED, POSTERIOR};

/// Whether the weight is made of other parameters, which may have posteriors of their own: by Burn's LoRA, a weight norm, or whatever else is
/// attached and is no posterior.
///
/// They would answer a scope that asks the next parameter that is read, in the place of the weight.
pub(super) fn is_made_of_factors<const D: usize>(param: &Param<Tensor<D>>) -> bool {
    let _glance = Draw::glance();
    let mut glance = Glance { is_other: false };
    param.visit(&mut glance);
    glance.is_other
}

struct Glance {
    is_other: bool,
}

impl ModuleVisitor for Glance {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.is_other |= container_type == ATTACHED && name != POSTERIOR;
    }
}
