//! Records of weights that are saved in another layout than they are used in.

use std::any::Any;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::Tensor;

/// The module after `load`, which meets each weight in the layout in which it is saved.
///
/// Burn compares the shape in a record with the weight's own, and saves a `LinearLayout::Col` transposed: of a weight
/// that is initialized it would refuse the record that it has written.
pub(crate) fn in_saved_layout<M: Module, E>(
    module: M,
    load: impl FnOnce(M) -> Result<M, E>,
) -> Result<M, E> {
    let mut saved = AsSaved::default();
    let loaded = load(module.map(&mut saved))?;
    Ok(loaded.map(&mut AsUsed(saved.0.into_iter())))
}

/// The weights whose layouts differ, each at the place where a traversal meets it.
#[derive(Default)]
struct AsSaved(Vec<Option<Box<dyn Any>>>);

impl ModuleMapper for AsSaved {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let is_other = |param: &Param<Tensor<D>>| {
            param.is_initialized() && param.transform_for_save().shape() != param.shape()
        };
        if !is_other(&param) {
            self.0.push(None);
            return param;
        }
        let saved = param.clone().map(off_the_graph).transform_for_save();
        self.0.push(Some(Box::new(param)));
        saved
    }
}

struct AsUsed(std::vec::IntoIter<Option<Box<dyn Any>>>);

impl ModuleMapper for AsUsed {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let used = self.0.next().flatten();
        match used.and_then(|used| used.downcast::<Param<Tensor<D>>>().ok()) {
            Some(used) => used.transform_for_load(off_the_graph(param.val()), param.id),
            None => param,
        }
    }
}

/// The tensor as none that trains: what another layout makes of one that does is no leaf, and may not become one again.
fn off_the_graph<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    tensor.detach().set_require_grad(false)
}
