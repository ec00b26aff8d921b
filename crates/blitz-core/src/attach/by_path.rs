//! A traversal that tells each parameter's path. Visits are for the crates of blitz.

use burn::module::{Flag, Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::Tensor;

/// What becomes of the parameters of a module, by their paths.
pub(crate) trait MapAt {
    fn map_at<const D: usize>(&mut self, path: &str, param: Param<Tensor<D>>) -> Param<Tensor<D>>;

    fn map_flag_at(&mut self, _path: &str, flag: Param<Flag>) -> Param<Flag> {
        flag
    }
}

/// What is learned of the parameters of a module, by their paths.
pub trait VisitAt {
    /// A parameter, and its path.
    fn visit_at<const D: usize>(&mut self, path: &str, param: &Param<Tensor<D>>);
}

/// The module, mapped.
pub(crate) fn map_by_path<M: Module>(module: M, mapper: &mut impl MapAt) -> M {
    module.map(&mut ByPath::new(mapper))
}

/// Visits the module.
pub fn visit_by_path<M: Module>(module: &M, visitor: &mut impl VisitAt) {
    module.visit(&mut ByPath::new(visitor));
}

struct ByPath<'a, T> {
    told: &'a mut T,
    path: Vec<String>,
}

impl<'a, T> ByPath<'a, T> {
    fn new(told: &'a mut T) -> Self {
        Self {
            told,
            path: Vec::new(),
        }
    }
}

impl<T: MapAt> ModuleMapper for ByPath<'_, T> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        self.told.map_at(&self.path.join("."), param)
    }

    fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
        self.told.map_flag_at(&self.path.join("."), flag)
    }
}

impl<T: VisitAt> ModuleVisitor for ByPath<'_, T> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.told.visit_at(&self.path.join("."), param);
    }
}
