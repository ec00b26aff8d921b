//! What tells weights apart: the ids of their tensors, and of their posteriors' flags. Clones share them, and networks
//! that were loaded from one file.

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

/// The module with identities of their own for all but one of the weights that have the same and are not tied. The
/// first that trains keeps it.
pub(crate) fn with_weights_apart<M: Module>(module: M) -> M {
    let identities = Identities::of(&module);
    if !identities.has_one_twice {
        return module;
    }
    // Clones that Burn has not initialized share whether they train.
    module.visit(&mut Initialize);
    let mut apart = Apart::of(&Walk::of(&module), identities.all);
    match apart.tensors.is_empty() && apart.posteriors.is_empty() {
        true => module,
        false => map_by_path(module, &mut apart),
    }
}

/// The module with its weights apart, and the walk over it: what changes a module by identities begins so.
pub(crate) fn walk_apart<M: Module>(module: M) -> (M, Walk) {
    let module = with_weights_apart(module);
    let walk = Walk::of(&module);
    (module, walk)
}

/// The paths of two weights that have one identity and are not tied: a step would move the first by the gradient of the
/// second, or a draw has one sample of both.
pub fn mistaken_for_one<M: Module>(module: &M) -> Option<[String; 2]> {
    if !Identities::of(module).has_one_twice {
        return None;
    }
    let walk = Walk::of(module);
    // Burn's optimizer gives a gradient to the first parameter that has its id.
    let of_tensors = of_one_tensor(&walk.weights)
        .into_iter()
        .find_map(|weights| {
            let mut others = weights[1..].iter();
            Some([weights[0], *others.find(|weight| weight.learns())?])
        });
    let of_posteriors = of_one(&walk.weights, Weight::posterior).into_iter();
    let mut of_posteriors = of_posteriors.map(|weights| [weights[0], weights[1]]);
    let mistaken = of_tensors.or_else(|| of_posteriors.next())?;
    Some(mistaken.map(|weight| weight.path().to_string()))
}

/// The paths of two weights that are sampled by posteriors of one identity and are not tied: a draw has one sample of
/// both.
pub(crate) fn drawn_as_one<M: Module>(module: &M) -> Option<[String; 2]> {
    let walk = Walk::of(module);
    let sampled = |weight: &Weight| weight.posterior().filter(|_| weight.is_sampling);
    let of_one = of_one(&walk.weights, sampled).into_iter().next()?;
    Some([of_one[0], of_one[1]].map(|weight| weight.path().to_string()))
}

/// Those of the weights that have one identity and are more than one, in their order, for each such identity.
fn of_one(weights: &[Weight], identity: impl Fn(&Weight) -> Option<ParamId>) -> Vec<Vec<&Weight>> {
    let mut of_one: Vec<Vec<&Weight>> = Vec::new();
    let mut known = HashMap::new();
    for weight in weights {
        let Some(id) = identity(weight) else {
            continue;
        };
        let at = *known.entry(id).or_insert(of_one.len());
        of_one.resize(of_one.len().max(at + 1), Vec::new());
        of_one[at].push(weight);
    }
    of_one.retain(|weights| weights.len() > 1);
    of_one
}

/// Those of one tensor's id. Where nothing trains, nothing is mistaken.
fn of_one_tensor(weights: &[Weight]) -> Vec<Vec<&Weight>> {
    let mut of_one = of_one(weights, |weight| Some(weight.id));
    of_one.retain(|weights| weights.iter().any(|weight| weight.learns()));
    of_one
}

/// The identities of a module.
#[derive(Default)]
struct Identities {
    all: HashSet<ParamId>,
    has_one_twice: bool,
}

impl Identities {
    fn of<M: Module>(module: &M) -> Self {
        let mut identities = Self::default();
        module.visit(&mut identities);
        identities
    }

    fn meet(&mut self, id: ParamId) {
        self.has_one_twice |= !self.all.insert(id);
    }
}

impl ModuleVisitor for Identities {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.meet(param.id);
    }

    fn visit_flag(&mut self, flag: &Param<Flag>) {
        self.meet(flag.id);
    }
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
    /// The identities that the module has, which are nobody's new ones.
    taken: HashSet<ParamId>,
}

impl Apart {
    fn of(walk: &Walk, taken: HashSet<ParamId>) -> Self {
        Self {
            tensors: others(of_one_tensor(&walk.weights)),
            posteriors: others(of_one(&walk.weights, Weight::posterior)),
            taken,
        }
    }

    /// The identity of the `nth` weight that had this one: the same in each copy, since the workers of a training bring
    /// their gradients together by identities. What the weights of one network share they go on sharing.
    fn derived(&self, id: ParamId, nth: usize) -> ParamId {
        let mut attempt = 0;
        loop {
            let new = derived(id, nth, attempt);
            // Another weight has it from a training before, whose file was loaded, or that was cloned.
            if !self.taken.contains(&new) {
                return new;
            }
            attempt += 1;
        }
    }
}

/// The places of the weights that don't keep their identity, with their numbers: all but the first that trains.
fn others(of_one: Vec<Vec<&Weight>>) -> HashMap<String, usize> {
    let mut others = HashMap::new();
    for mut weights in of_one {
        let first = weights.iter().position(|weight| weight.learns());
        weights[..=first.unwrap_or(0)].rotate_right(1);
        for (nth, weight) in weights.into_iter().enumerate().skip(1) {
            let places = weight.places.iter();
            others.extend(places.map(|place| (place.path.clone(), nth)));
        }
    }
    others
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
            param.id = self.derived(param.id, *nth);
        }
        param
    }

    fn map_flag_at(&mut self, path: &str, mut flag: Param<Flag>) -> Param<Flag> {
        let weight = path.strip_suffix(&format!(".{POSTERIOR}.{SAMPLING}"));
        if let Some(nth) = weight.and_then(|weight| self.posteriors.get(weight)) {
            flag.id = self.derived(flag.id, *nth);
        }
        flag
    }
}

/// An identity that follows from the old one. The first attempt is as it always was: checkpoints have it.
fn derived(id: ParamId, nth: usize, attempt: usize) -> ParamId {
    let mut hasher = DefaultHasher::new();
    (id.val(), nth).hash(&mut hasher);
    if attempt > 0 {
        attempt.hash(&mut hasher);
    }
    marked_as(id, ParamId::from(hasher.finish()))
}

/// The new identity, with the mark of the old one.
fn marked_as(old: ParamId, new: ParamId) -> ParamId {
    match Constants::is_marked(old) {
        true => Constants::mark(new),
        false => new,
    }
}
