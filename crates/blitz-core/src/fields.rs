//! A field of a module whose `Module` is written by hand, traversed as a derived one would be. For the crates of blitz.

use burn::module::{Module, ModuleMapper, ModuleVisitor};

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
