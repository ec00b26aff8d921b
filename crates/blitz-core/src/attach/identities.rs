//! What tells weights apart: the ids of their tensors, and of their posteriors' flags. Clones share them, and networks that were loaded from one file.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use burn::module::{Flag, Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::Tensor;

use super::by_path::{MapAt, map_by_path};
use super::walk::{Walk, Weight};
use crate::family::Constants;
use crate::fields::{POSTERIOR, SAMPLING};

/// The module with identities that nothing else has. What is tied in it stays tied.
pub(crate) fn with_own_identities<M: Module>(module: M) -> M {
    module.map(&mut Renamed::default())
}

/// The module with identities of their own for all but one of the weights that have the same and are not tied. The first that trains keeps it.
pub(crate) fn with_weights_apart<M: Module>(module: M) -> M {
    if !has_one_twice(&module) {
        return module;
    }
    // Clones that Burn has not initialized share whether they train.
    module.visit(&mut Initialize);
    let mut apart = Apart::of(&Walk::of(&module));
    match apart.tensors.is_empty() && apart.posteriors.is_empty() {
        true => module,
        false => map_by_path(module, &mut apart),
    }
}

/// The paths of two weights that have one identity and are not tied: a step would move the first by the gradient of the second, or a draw has one sample of both.
pub fn mistaken_for_one<M: Module>(module: &M) -> Option<[String; 2]> {
    if !has_one_twice(module) {
        return None;
    }
    let walk = Walk::of(module);
    let (mut tensors, mut posteriors) = (HashMap::new(), HashMap::new());
    walk.weights.iter().find_map(|weight| {
        let path = || weight.path().to_string();
        let of_posterior = weight
            .posterior()
            .and_then(|id| posteriors.insert(id, path()));
        // Burn's optimizer gives a gradient to the first parameter that has its id.
        let of_tensor = tensors.get(&weight.id).filter(|_| weight.trains).cloned();
        tensors.entry(weight.id).or_insert_with(path);
        of_tensor.or(of_posterior).map(|first| [first, path()])
    })
}

/// The weights with their numbers among those of one identity: 0 for the first that trains, then in order. Nothing trains, nothing is numbered.
fn numbered(
    weights: &[Weight],
    identity: impl Fn(&Weight) -> Option<ParamId>,
) -> Vec<(usize, &Weight)> {
    let mut of_identity: HashMap<ParamId, Vec<&Weight>> = HashMap::new();
    for weight in weights {
        if let Some(id) = identity(weight) {
            of_identity.entry(id).or_default().push(weight);
        }
    }
    let mut numbered = Vec::new();
    for mut weights in of_identity.into_values() {
        if let Some(first) = weights.iter().position(|weight| weight.trains) {
            weights[..=first].rotate_right(1);
            numbered.extend(weights.into_iter().enumerate());
        }
    }
    numbered
}

/// Whether an identity is met more than once.
fn has_one_twice<M: Module>(module: &M) -> bool {
    #[derive(Default)]
    struct Met {
        ids: HashSet<ParamId>,
        has_one_twice: bool,
    }

    impl ModuleVisitor for Met {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.has_one_twice |= !self.ids.insert(param.id);
        }

        fn visit_flag(&mut self, flag: &Param<Flag>) {
            self.has_one_twice |= !self.ids.insert(flag.id);
        }
    }

    let mut met = Met::default();
    module.visit(&mut met);
    met.has_one_twice
}

struct Initialize;

impl ModuleVisitor for Initialize {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        drop(param.base());
    }
}

/// New identities, one for each old one.
#[derive(Default)]
struct Renamed(HashMap<ParamId, ParamId>);

impl Renamed {
    fn of(&mut self, id: ParamId) -> ParamId {
        let new = || marked_as(id, ParamId::new());
        *self.0.entry(id).or_insert_with(new)
    }
}

impl ModuleMapper for Renamed {
    fn map_float<const D: usize>(&mut self, mut param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.id = self.of(param.id);
        param
    }

    fn map_flag(&mut self, mut flag: Param<Flag>) -> Param<Flag> {
        flag.id = self.of(flag.id);
        flag
    }
}

/// New identities at some places, by the numbers of their weights among those of one identity.
struct Apart {
    /// Of the tensors of a weight and of its posterior.
    tensors: HashMap<String, usize>,
    /// Of the posterior itself.
    posteriors: HashMap<String, usize>,
}

impl Apart {
    fn of(walk: &Walk) -> Self {
        Self {
            tensors: places(numbered(&walk.weights, |weight| Some(weight.id))),
            posteriors: places(numbered(&walk.weights, Weight::posterior)),
        }
    }
}

/// The places of the weights that don't keep their identity.
fn places(numbered: Vec<(usize, &Weight)>) -> HashMap<String, usize> {
    let others = numbered.into_iter().filter(|(nth, _)| *nth > 0);
    let places = others.flat_map(|(nth, weight)| {
        let places = weight.places.iter();
        places.map(move |place| (place.path.clone(), nth))
    });
    places.collect()
}

impl MapAt for Apart {
    fn map_at<const D: usize>(
        &mut self,
        path: &str,
        mut param: Param<Tensor<D>>,
    ) -> Param<Tensor<D>> {
        let posterior = format!(".{POSTERIOR}.");
        let nth = self.tensors.get(path).or_else(|| {
            let mut insides = path.match_indices(&posterior);
            insides.find_map(|(end, _)| self.tensors.get(&path[..end]))
        });
        if let Some(nth) = nth {
            param.id = derived(param.id, *nth);
        }
        param
    }

    fn map_flag_at(&mut self, path: &str, mut flag: Param<Flag>) -> Param<Flag> {
        let weight = path.strip_suffix(&format!(".{POSTERIOR}.{SAMPLING}"));
        if let Some(nth) = weight.and_then(|weight| self.posteriors.get(weight)) {
            flag.id = derived(flag.id, *nth);
        }
        flag
    }
}

/// The identity of the `nth` weight that had this one: the same in each copy, since the workers of a training bring their gradients together by identities. What the weights of
/// one network share they go on sharing.
fn derived(id: ParamId, nth: usize) -> ParamId {
    let mut hasher = DefaultHasher::new();
    (id.val(), nth).hash(&mut hasher);
    marked_as(id, ParamId::from(hasher.finish()))
}

/// The new identity, with the mark of the old one.
fn marked_as(old: ParamId, new: ParamId) -> ParamId {
    match Constants::is_marked(old) {
        true => Constants::mark(new),
        false => new,
    }
}
