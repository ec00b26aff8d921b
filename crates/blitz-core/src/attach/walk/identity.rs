//! What the weights of a module's places are told apart by.
//!
//! Clones have one id and are one weight, which is tied. Networks that were loaded from one file have one id as well.
//! They are known by posteriors of their own.

use std::collections::{HashMap, HashSet};

use burn::module::ParamId;
use burn::tensor::Shape;

use super::{Attached, Met};

/// What the weight of a place is told from others by.
#[derive(PartialEq, Eq, Hash)]
pub(super) enum Identity {
    /// Its posterior, whose identity outlives the loading of a record, which the id of a tensor does not.
    Posterior(ParamId),
    /// The id of its tensor, of what trains or has an adapter, and its number among the weights of this id. Burn's
    /// optimizer takes two parameters of one id for one, so that only places in [two networks](Networks) can be
    /// anything else.
    Tensor(ParamId, usize),
    /// Nothing but its place: a frozen copy, such as a teacher or the network that a Bayesian one was made of, has the
    /// id of what it was copied of and is a weight of its own.
    Frozen(usize),
}

/// Those of the weights of these places, some of which are snapshots.
pub(super) fn identities<'a>(places: &'a [Met], snapshots: &HashSet<usize>) -> Vec<Identity> {
    let posteriors = PosteriorsOfIds::of(places);
    let known = places.iter().enumerate();
    let known = known.map(|(index, place)| match snapshots.contains(&index) {
        true => Some(Identity::Frozen(index)),
        false => posteriors.identity(place, index),
    });
    let known: Vec<_> = known.collect();
    let networks = Networks::of(places, &known);
    // The paths of each weight of an id.
    let mut of_ids: HashMap<ParamId, Vec<Vec<&str>>> = HashMap::new();
    let mut by_tensor = |place: &'a Met| {
        let weights = of_ids.entry(place.id).or_default();
        let is_two = |path: &&str| networks.are_two(path, &place.path);
        let nth = weights
            .iter()
            .position(|paths| !paths.iter().any(is_two))
            .unwrap_or(weights.len());
        weights.resize(weights.len().max(nth + 1), Vec::new());
        weights[nth].push(&place.path);
        Identity::Tensor(place.id, nth)
    };
    places
        .iter()
        .zip(known)
        .map(|(place, known)| known.unwrap_or_else(|| by_tensor(place)))
        .collect()
}

/// The posteriors by the ids of the parameters that have them: for a place of such a parameter that has none itself. Of
/// what trains alone.
struct PosteriorsOfIds {
    of_ids: HashMap<ParamId, OfId>,
    /// Of the posteriors: whether a mean of theirs trains, and whether anything does.
    trained: HashMap<ParamId, (bool, bool)>,
}

enum OfId {
    /// This posterior, of a weight of this shape.
    One(ParamId, Shape),
    /// A record restores the ids of tensors, and two networks that were loaded from one file have the same.
    Several,
}

impl PosteriorsOfIds {
    fn of(places: &[Met]) -> Self {
        let mut of_ids: HashMap<ParamId, OfId> = HashMap::new();
        let mut trained: HashMap<ParamId, (bool, bool)> = HashMap::new();
        for place in places {
            let Attached::Posterior(id) = place.attached else {
                continue;
            };
            let most = trained.entry(id).or_default();
            *most = (*most).max((place.trains, place.learns()));
            if !place.trains {
                continue;
            }
            let of_id = of_ids
                .entry(place.id)
                .or_insert_with(|| OfId::One(id, place.shape.clone()));
            if !matches!(of_id, OfId::One(known, _) if *known == id) {
                *of_id = OfId::Several;
            }
        }
        Self { of_ids, trained }
    }

    /// What the weight of this place, the `index`-th, is told from others by, unless it is its tensor.
    fn identity(&self, place: &Met, index: usize) -> Option<Identity> {
        match (&place.attached, self.of_ids.get(&place.id)) {
            (Attached::Posterior(id), _) => {
                let is_frozen = (place.trains, place.learns()) < self.trained[id];
                Some(match is_frozen {
                    true => Identity::Frozen(index),
                    false => Identity::Posterior(*id),
                })
            }
            (Attached::Nothing, _) if !place.trains => Some(Identity::Frozen(index)),
            (Attached::Nothing, Some(OfId::One(id, shape))) if *shape == place.shape => {
                Some(Identity::Posterior(*id))
            }
            _ => None,
        }
    }
}

/// The pairs of modules that are two networks, by their paths: a parameter of theirs has one id in both, and its
/// posteriors make two weights of it. So the others, which have none, are two as well.
struct Networks<'a>(HashSet<[&'a str; 2]>);

impl<'a> Networks<'a> {
    fn of(places: &'a [Met], identities: &[Option<Identity>]) -> Self {
        let mut of_ids: HashMap<ParamId, Vec<(&Met, _)>> = HashMap::new();
        let mut two = HashSet::new();
        for (place, identity) in places.iter().zip(identities) {
            // A frozen copy is a weight of its own wherever it stands.
            if matches!(identity, Some(Identity::Frozen(_))) {
                continue;
            }
            let met = of_ids.entry(place.id).or_default();
            for (other, of_other) in &*met {
                if *of_other != identity && other.shape == place.shape {
                    two.insert(modules(&other.path, &place.path));
                }
            }
            met.push((place, identity));
        }
        Self(two)
    }

    /// Whether parameters of these paths are the same one of two networks.
    fn are_two(&self, first: &str, other: &str) -> bool {
        self.0.contains(&modules(first, other))
    }
}

/// The modules in which the same parameter has these paths: without the end that they have in common, in alphabetical
/// order.
fn modules<'a>(first: &'a str, other: &'a str) -> [&'a str; 2] {
    let ends = first.rsplit('.').zip(other.rsplit('.'));
    let common = ends.take_while(|(first, other)| first == other);
    let common: usize = common.map(|(name, _)| name.len() + 1).sum();
    let mut modules = [first, other].map(|path| &path[..path.len().saturating_sub(common)]);
    modules.sort_unstable();
    modules
}
