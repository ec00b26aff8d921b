//! The types of a module's weights, beside those that a record brings.

use std::collections::VecDeque;

use blitz_layers::blitz_core::fields::changed;
use blitz_layers::blitz_core::{VisitAt, visit_by_path};
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{DType, Tensor};

/// The type of each floating-point weight of a module, in the order of its traversal, which no record changes.
#[derive(Debug)]
pub(crate) struct FloatTypes(VecDeque<DType>);

/// A weight of another type than it had.
#[derive(Debug)]
pub(crate) struct Retyped {
    pub(crate) path: String,
    pub(crate) had: DType,
    pub(crate) has: DType,
}

impl FloatTypes {
    pub(crate) fn of<M: Module>(module: &M) -> Self {
        struct Look(VecDeque<DType>);

        impl ModuleVisitor for Look {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                self.0.push_back(param.base().dtype());
            }
        }

        let mut look = Look(VecDeque::new());
        module.visit(&mut look);
        Self(look.0)
    }

    /// The first weight of `module` that is of another type. One of few bits is left out: to unpack it is no cast.
    pub(crate) fn first_other<M: Module>(&self, module: &M) -> Option<Retyped> {
        struct Look<'a> {
            types: std::collections::vec_deque::Iter<'a, DType>,
            found: Option<Retyped>,
        }

        impl VisitAt for Look<'_> {
            fn visit_at<const D: usize>(&mut self, path: &str, param: &Param<Tensor<D>>) {
                let (had, has) = (self.types.next(), param.base().dtype());
                if let Some(had) = had.filter(|had| is_cast(**had, has))
                    && self.found.is_none()
                {
                    self.found = Some(Retyped {
                        path: path.to_string(),
                        had: *had,
                        has,
                    });
                }
            }
        }

        let mut look = Look {
            types: self.0.iter(),
            found: None,
        };
        visit_by_path(module, &mut look);
        look.found
    }

    /// The module with its weights cast to these types: to a wider one exactly, to a narrower one rounded. Integers stay as they are.
    pub(crate) fn restore<M: Module>(self, module: M) -> M {
        struct Cast(VecDeque<DType>);

        impl ModuleMapper for Cast {
            fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
                let has = param.base().dtype();
                match self.0.pop_front() {
                    Some(had) if is_cast(had, has) => changed(param, |weight| weight.cast(had)),
                    _ => param,
                }
            }
        }

        match self.first_other(&module) {
            None => module,
            Some(_) => module.map(&mut Cast(self.0)),
        }
    }
}

/// Whether the one type becomes the other by a cast.
fn is_cast(had: DType, has: DType) -> bool {
    had != has && had.is_float() && has.is_float()
}
