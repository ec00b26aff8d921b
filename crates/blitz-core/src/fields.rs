//! A field of a module whose `Module` is written by hand, traversed as a derived one would be, and how a traversal meets what is attached to a parameter. For the
//! crates of blitz.

use burn::module::{Module, ModuleMapper, ModuleVisitor};

/// The container type of what is attached to a parameter.
pub const ATTACHED: &str = "Reparameterization";

/// The name of a posterior among what may be attached, and a path component: `fc.weight` has its ρ at `fc.weight.bayes.posterior.rho`.
pub const POSTERIOR: &str = "bayes";

/// Visits the field `name` of a module whose fields are reported under the type `container`.
pub fn visit<V: ModuleVisitor>(visitor: &mut V, name: &str, container: &str, field: &impl Module) {
    visitor.enter_module(name, container);
    field.visit(visitor);
    visitor.exit_module(name, container);
}

/// Maps it.
pub fn map<M: ModuleMapper, T: Module>(mapper: &mut M, name: &str, container: &str, field: T) -> T {
    mapper.enter_module(name, container);
    let field = field.map(mapper);
    mapper.exit_module(name, container);
    field
}
