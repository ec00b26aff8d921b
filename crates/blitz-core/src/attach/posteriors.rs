//! All posteriors of a module, taken off and put back: for what changes an attachment itself, which Burn's mappers do
//! not reach.

use std::collections::{HashMap, HashSet};

use burn::module::{Module, Param, ParamId};
use burn::tensor::Tensor;

use super::attachment::{Attachment, attach_copy, take_off};
use super::by_path::{MapAt, map_by_path};
use super::ties::Ties;
use super::walk::Walk;
use crate::draw;

/// The posteriors of a module by their identities.
pub(crate) struct Posteriors {
    by_id: HashMap<ParamId, Box<dyn Attachment>>,
    /// The identity of the posterior at each path.
    places: HashMap<String, ParamId>,
    ties: Ties,
}

impl Posteriors {
    /// Takes them off: what is left is a deterministic module of the stored locations μ.
    pub fn take_off<M: Module>(module: M, walk: &Walk) -> (M, Self) {
        let (module, attachments) = take_off(module);
        let mut places = HashMap::new();
        for (weight, id) in walk.posteriors() {
            places.extend(weight.places.iter().map(|place| (place.path.clone(), id)));
        }
        let by_id = attachments
            .into_iter()
            .map(|attachment| (attachment.id(), attachment));
        let posteriors = Self {
            by_id: by_id.collect(),
            places,
            ties: Ties::of(walk),
        };
        (module, posteriors)
    }

    pub fn get(&self, id: ParamId) -> Option<&dyn Attachment> {
        self.by_id.get(&id).map(|attachment| &**attachment)
    }

    pub fn get_mut(&mut self, id: ParamId) -> Option<&mut (dyn Attachment + 'static)> {
        self.by_id.get_mut(&id).map(|attachment| &mut **attachment)
    }

    /// The posterior of the weight at a path.
    pub fn at(&self, path: &str) -> Option<&dyn Attachment> {
        self.get(*self.places.get(path)?)
    }

    /// Puts a posterior in the place of the one with its identity.
    pub fn replace(&mut self, attachment: Box<dyn Attachment>) {
        self.by_id.insert(attachment.id(), attachment);
    }

    pub fn remove(&mut self, id: ParamId) -> Option<Box<dyn Attachment>> {
        self.by_id.remove(&id)
    }

    /// Puts the posteriors back on what `f` makes of the means.
    ///
    /// # Panics
    ///
    /// As [`put_back`](Self::put_back).
    pub fn put_back_on<M: Module, E>(
        self,
        means: M,
        f: impl FnOnce(M) -> Result<M, E>,
    ) -> Result<M, E> {
        let before = self.ties.means(&means);
        let means = self.ties.with_loaded(f(means)?, &before);
        Ok(self.put_back(means))
    }

    /// Puts the posteriors back at every place of their weights.
    ///
    /// # Panics
    ///
    /// Panics with the path if a weight is of another shape than its posterior or is gone.
    pub fn put_back<M: Module>(mut self, module: M) -> M {
        // Of an open draw, before means, deviations or priors changed.
        self.by_id.keys().for_each(|id| draw::forget(*id));
        // Taken off, the places of a tied weight hold tensors of their own.
        let ties = std::mem::take(&mut self.ties);
        let mut put_back = PutBack {
            posteriors: self,
            found: HashSet::new(),
        };
        let module = map_by_path(module, &mut put_back);
        let PutBack { posteriors, found } = put_back;
        let places = posteriors.places.iter();
        let lost =
            places.filter(|(_, id)| posteriors.by_id.contains_key(*id) && !found.contains(*id));
        if let Some(path) = lost.map(|(path, _)| path).min() {
            panic!(
                "{path} has a posterior, and the module that it is put back on has no such parameter"
            );
        }
        ties.retie(module)
    }
}

struct PutBack {
    posteriors: Posteriors,
    /// The identities of those that have found a place.
    found: HashSet<ParamId>,
}

impl MapAt for PutBack {
    fn map_at<const D: usize>(&mut self, path: &str, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(attachment) = self.posteriors.at(path) else {
            return param;
        };
        let (shape, expected) = (param.shape(), attachment.shape());
        assert!(
            shape == expected,
            "{path} has a posterior of the shape {expected:?}, and the module that it is put back on has one of {shape:?} there"
        );
        self.found.insert(attachment.id());
        attach_copy(attachment, param)
    }
}
