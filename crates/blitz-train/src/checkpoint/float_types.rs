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
        struct Look<'a> {
            types: std::collections::vec_deque::Iter<'a, DType>,
            found: Option<String>,
        }

        impl VisitAt for Look<'_> {
            fn visit_at<const D: usize>(&mut self, path: &str, param: &Param<Tensor<D>>) {
                let (weight, had) = (param.base().without_autodiff(), self.types.next());
                let Some(had) = had.filter(|had| is_cast(**had, weight.dtype())) else {
                    return;
                };
                let cast = weight.clone().cast(*had).into_data();
                let weight = weight.into_data();
                let mut both = weight.iter::<f64>().zip(cast.iter::<f64>());
                // A NaN or an infinity of the record is none of the cast's.
                let overflow = both.find(|(weight, cast)| weight.is_finite() && cast.is_infinite());
                if let (Some((value, _)), None) = (overflow, &self.found) {
                    self.found = Some(format!(
                        "{path} has the number {value:e}, which is infinite in {had:?}, the model's type"
                    ));
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
}

/// Whether the one type becomes the other by a cast.
fn is_cast(had: DType, has: DType) -> bool {
    had != has && had.is_float() && has.is_float()
}
