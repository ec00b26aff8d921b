//! Weights that stand in several places, made one tensor again.

use std::any::Any;
use std::collections::HashMap;

use burn::module::{Module, Param, ParamId};
use burn::tensor::{Tensor, TensorData};

use super::attachment::{Attachment, attach_copy, attachments};
use super::by_path::{MapAt, VisitAt, map_by_path, visit_by_path};
use super::walk::Walk;
use crate::fields::{POSTERIOR, changed};

/// The module with one tensor in all places of each tied weight: that of the first.
///
/// Burn's optimizer gives a gradient to the first parameter that asks for it, and its loaders make a tensor for each
/// place.
pub(crate) fn retie<M: Module>(module: M) -> M {
    let walk = Walk::of(&module);
    Ties::of(&walk).retie(with_posteriors_everywhere(module, &walk))
}

/// The places of tied weights, as they were walked.
///
/// While posteriors are off, the ids of tensors alone would tell what is tied, and weights that were loaded from one
/// file have the same.
#[derive(Default)]
pub(super) struct Ties {
    /// The first places of weights that stand at a later one.
    weights: HashMap<String, String>,
    /// Those of their posteriors.
    posteriors: HashMap<String, String>,
}

impl Ties {
    pub fn of(walk: &Walk) -> Self {
        let (mut weights, mut posteriors) = (HashMap::new(), HashMap::new());
        for weight in &walk.weights {
            let (first, others) = weight.places.split_at(1);
            for place in others {
                let paths = [&place.path, &first[0].path];
                // What else may be attached, such as an adapter, is of its own in each place. Its parameters are
                // weights, and tied if they are one.
                if weight.posterior().is_some() {
                    let [place, first] = paths.map(|path| format!("{path}.{POSTERIOR}"));
                    posteriors.insert(place, first);
                }
                let [place, first] = paths.map(String::clone);
                weights.insert(place, first);
            }
        }
        Self {
            weights,
            posteriors,
        }
    }

    /// The module with the tensors of the first places at the others.
    pub fn retie<M: Module>(self, module: M) -> M {
        if self.weights.is_empty() {
            return module;
        }
        map_by_path(
            module,
            &mut Retie {
                ties: self,
                tensors: HashMap::new(),
            },
        )
    }

    /// The means of tied weights, before they may be loaded.
    pub fn means<M: Module>(&self, module: &M) -> Means {
        let places = self
            .weights
            .iter()
            .flat_map(|(place, first)| [place, first]);
        let mut means = Means(places.map(|place| (place.clone(), None)).collect());
        if !means.0.is_empty() {
            visit_by_path(module, &mut means);
        }
        means
    }

    /// The module with a weight that was loaded at a later place alone at its first place as well: a file may have a
    /// tied weight once, by whichever of its names.
    pub fn with_loaded<M: Module>(&self, module: M, before: &Means) -> M {
        if before.0.is_empty() {
            return module;
        }
        let mut find = FindLoaded {
            ties: self,
            before,
            loaded: HashMap::new(),
        };
        visit_by_path(&module, &mut find);
        match find.loaded.values().all(Option::is_none) {
            true => module,
            false => map_by_path(module, &mut PutLoaded(find.loaded)),
        }
    }

    /// The path of the same parameter at its weight's first place, if this is a later one.
    fn first(&self, path: &str) -> Option<String> {
        let of_weight = self.weights.get(path).cloned();
        of_weight.or_else(|| {
            let mut dots = path.match_indices('.');
            dots.find_map(|(dot, _)| {
                let (posterior, rest) = path.split_at(dot);
                Some(self.posteriors.get(posterior)?.clone() + rest)
            })
        })
    }
}

/// The module with the posterior of each weight at all of its places: where the parameter stood without one it gets a
/// copy.
fn with_posteriors_everywhere<M: Module>(module: M, walk: &Walk) -> M {
    let mut bare = HashMap::new();
    for (weight, id) in walk.posteriors() {
        let places = weight.places.iter().filter(|place| place.is_bare);
        bare.extend(places.map(|place| (place.path.clone(), id)));
    }
    if bare.is_empty() {
        return module;
    }
    let attachments = attachments(&module);
    map_by_path(module, &mut Everywhere { bare, attachments })
}

struct Everywhere {
    /// The identity of the posterior that is missing at each path.
    bare: HashMap<String, ParamId>,
    attachments: Vec<Box<dyn Attachment>>,
}

impl MapAt for Everywhere {
    fn map_at<const D: usize>(&mut self, path: &str, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let missing = self.bare.get(path).and_then(|id| {
            let mut attachments = self.attachments.iter();
            attachments.find(|attachment| attachment.id() == *id)
        });
        match missing {
            None => param,
            Some(attachment) => attach_copy(&**attachment, param),
        }
    }
}

struct Retie {
    ties: Ties,
    /// The parameters of first places, and of their posteriors.
    tensors: HashMap<String, Box<dyn Any>>,
}

impl MapAt for Retie {
    fn map_at<const D: usize>(&mut self, path: &str, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(first) = self.ties.first(path) else {
            self.tensors
                .insert(path.to_string(), Box::new(param.clone()));
            return param;
        };
        let tensor = self.tensors.get(&first);
        match tensor.and_then(|tensor| tensor.downcast_ref::<Param<Tensor<D>>>()) {
            Some(tensor) => tensor.clone(),
            None => param,
        }
    }
}

/// The means of weights by their paths; `None` of what is not initialized.
pub(super) struct Means(HashMap<String, Option<TensorData>>);

impl Means {
    /// Whether the weight at this path has the mean that it had. Each place is compared with itself: after a step in a
    /// loop of one's own the first is ahead of the others.
    fn has<const D: usize>(&self, path: &str, param: &Param<Tensor<D>>) -> bool {
        match self.0.get(path) {
            Some(Some(mean)) => mean_of(param).as_ref() == Some(mean),
            _ => !param.is_initialized(),
        }
    }
}

impl VisitAt for Means {
    fn visit_at<const D: usize>(&mut self, path: &str, param: &Param<Tensor<D>>) {
        if let Some(mean) = self.0.get_mut(path) {
            *mean = mean_of(param);
        }
    }
}

fn mean_of<const D: usize>(param: &Param<Tensor<D>>) -> Option<TensorData> {
    param.is_initialized().then(|| param.base().into_data())
}

/// Finds weights of which a later place has another mean, and the first the one before.
struct FindLoaded<'a> {
    ties: &'a Ties,
    before: &'a Means,
    /// By the paths of their first places: `None` where that was loaded itself.
    loaded: HashMap<String, Option<Box<dyn Any>>>,
}

impl VisitAt for FindLoaded<'_> {
    fn visit_at<const D: usize>(&mut self, path: &str, param: &Param<Tensor<D>>) {
        if !self.before.0.contains_key(path) || self.before.has(path, param) {
            return;
        }
        match self.ties.weights.get(path) {
            None => {
                self.loaded.insert(path.to_string(), None);
            }
            Some(first) if !self.loaded.contains_key(first) => {
                let value = Box::new(param.base());
                self.loaded.insert(first.clone(), Some(value));
            }
            Some(_) => {}
        }
    }
}

struct PutLoaded(HashMap<String, Option<Box<dyn Any>>>);

impl MapAt for PutLoaded {
    fn map_at<const D: usize>(&mut self, path: &str, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let loaded = self.0.get_mut(path).and_then(Option::take);
        match loaded.and_then(|value| value.downcast::<Tensor<D>>().ok()) {
            Some(value) => changed(param, |_| *value),
            None => param,
        }
    }
}
