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
        self.first(module, |path, had, weight| {
            Some(Retyped {
                path: path.to_string(),
                had,
                has: weight.dtype(),
            })
        })
    }

    /// The module with its weights cast to these types: to a wider one exactly, to a narrower one rounded. Integers
    /// stay as they are.
    ///
    /// # Errors
    ///
    /// Says which weight has a number beyond the largest of its type: the cast would make it infinite.
    pub(crate) fn restore<M: Module>(self, module: M) -> Result<M, String> {
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

        if self.first_other(&module).is_none() {
            return Ok(module);
        }
        match self.first_overflow(&module) {
            None => Ok(module.map(&mut Cast(self.0))),
            Some(overflow) => Err(overflow),
        }
    }

    /// What is wrong with the first weight of `module` that has no number in its type.
    fn first_overflow<M: Module>(&self, module: &M) -> Option<String> {
        self.first(module, |path, had, weight| {
            let cast = weight.clone().cast(had).into_data();
            let weight = weight.into_data();
            let mut both = weight.iter::<f64>().zip(cast.iter::<f64>());
            // A NaN or an infinity of the record is none of the cast's.
            let overflow = both.find(|(weight, cast)| weight.is_finite() && cast.is_infinite());
            overflow.map(|(value, _)| {
                format!(
                    "{path} has the number {value:e}, which is infinite in {had:?}, the model's type"
                )
            })
        })
    }

    /// What `look` finds first in the weights of `module` that are of another type than here: it gets the path, the type
    /// here and the weight, flat.
    fn first<M: Module, T>(
        &self,
        module: &M,
        look: impl FnMut(&str, DType, Tensor<1>) -> Option<T>,
    ) -> Option<T> {
        struct Look<'a, T, F> {
            types: std::collections::vec_deque::Iter<'a, DType>,
            look: F,
            found: Option<T>,
        }

        impl<T, F: FnMut(&str, DType, Tensor<1>) -> Option<T>> VisitAt for Look<'_, T, F> {
            fn visit_at<const D: usize>(&mut self, path: &str, param: &Param<Tensor<D>>) {
                let (weight, had) = (param.base().without_autodiff(), self.types.next());
                if let Some(had) = had.filter(|had| is_cast(**had, weight.dtype()))
                    && self.found.is_none()
                {
                    self.found = (self.look)(path, *had, weight.reshape([-1]));
                }
            }
        }

        let mut looked = Look {
            types: self.0.iter(),
            look,
            found: None,
        };
        visit_by_path(module, &mut looked);
        looked.found
    }
}

/// Whether the one type becomes the other by a cast.
fn is_cast(had: DType, has: DType) -> bool {
    had != has && had.is_float() && has.is_float()
}
