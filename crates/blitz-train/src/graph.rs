//! What of a module trains, whether it is on the autodiff graph, and whether each has an id of its own.
//!
//! Burn computes with tensors on the graph and off it as one, so that a weight off it is an ordinary constant of a loss
//! that has a gradient by something else.

use blitz_layers::blitz_core::{VisitAt, mistaken_for_one, trains, visit_by_path};
use burn::module::{Module, Param};
use burn::tensor::Tensor;

/// What of a module trains.
#[derive(Debug, Default)]
pub(crate) struct Trained {
    /// Whether any weight does.
    pub(crate) any: bool,
    /// The path of the first that does, and is off the autodiff graph.
    pub(crate) off_graph: Option<String>,
}

impl Trained {
    pub(crate) fn of<M: Module>(module: &M) -> Self {
        let mut trained = Self::default();
        visit_by_path(module, &mut trained);
        trained
    }

    /// # Panics
    ///
    /// Panics if a weight trains and is off the graph, so that no step would move it, or has the identity of another
    /// one.
    #[track_caller]
    pub(crate) fn check<M: Module>(module: &M) {
        if let Some([first, other]) = mistaken_for_one(module) {
            panic!(
                "{first} and {other} are two weights with one identity, clones or from one file, and a step would move the first by the gradient of the other: \
                 call `with_weights_apart` before the first step"
            );
        }
        if let Some(path) = Self::of(module).off_graph {
            panic!(
                "{path} is to train and is not on the autodiff graph, so no step would move it: make the module on an autodiff device \
                 (`device.autodiff()`), or call its `train()`; what is to stay as it is needs `freeze`"
            );
        }
    }
}

impl VisitAt for Trained {
    fn visit_at<const D: usize>(&mut self, path: &str, param: &Param<Tensor<D>>) {
        let is_on_graph = param.lazy_device().is_autodiff();
        // Nothing more to learn: to ask a weight whether it trains costs some, off the graph.
        if self.off_graph.is_some() || self.any && is_on_graph || !trains(param) {
            return;
        }
        self.any = true;
        if !is_on_graph {
            self.off_graph = Some(path.to_string());
        }
    }
}
