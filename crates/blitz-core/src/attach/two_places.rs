//! Whether places that have one posterior may be two weights: what a draw can ask each time, without a whole walk.

use burn::module::{Flag, Module, ModuleVisitor, Param, ParamId};
use burn::tensor::Tensor;

use super::walk::{Depth, trains};
use crate::draw::is_configured;

/// Whether of the places with one of these posteriors, as far as they are sampled, some train and others don't, or none
/// does: the former are two weights, and the latter may be.
pub(crate) fn may_be_two<M: Module>(module: &M, posteriors: &[ParamId]) -> bool {
    let mut visitor = Places::default();
    module.visit(&mut visitor);
    let mut places: Vec<(ParamId, [bool; 2])> = Vec::new();
    for place in visitor.places {
        let Some(posterior) = place.posterior.filter(|id| posteriors.contains(id)) else {
            continue;
        };
        let mean = (place.mean)();
        let learns = mean || place.attached.iter().any(|trains| trains());
        let known = places.iter().find(|(id, _)| *id == posterior);
        match known {
            Some((_, first)) if !learns || *first != [mean, learns] => return true,
            Some(_) => {}
            None => places.push((posterior, [mean, learns])),
        }
    }
    false
}

/// Whether a parameter trains, asked where it matters: in prediction it takes a backward pass.
type Trains = Box<dyn Fn() -> bool>;

struct Place {
    mean: Trains,
    attached: Vec<Trains>,
    /// The identity of a posterior that is sampled.
    posterior: Option<ParamId>,
}

#[derive(Default)]
struct Places {
    depth: Depth,
    places: Vec<Place>,
}

impl ModuleVisitor for Places {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.depth.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.depth.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let param = param.clone();
        let trains: Trains = Box::new(move || trains(&param));
        match self.places.last_mut() {
            Some(place) if self.depth.is_in_posterior() => place.attached.push(trains),
            _ => self.places.push(Place {
                mean: trains,
                attached: Vec::new(),
                posterior: None,
            }),
        }
    }

    fn visit_flag(&mut self, flag: &Param<Flag>) {
        if self.depth.is_identity()
            && is_configured(flag)
            && let Some(place) = self.places.last_mut()
        {
            place.posterior = Some(flag.id);
        }
    }
}
