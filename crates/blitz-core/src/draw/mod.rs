//! A draw: one joint sample of all weights of a model, and the other ways to read a Bayesian parameter.
//!
//! Burn hands a parameter's reparameterization nothing but the stored tensor, so what `Param::val` should return is
//! decided by a scope: a thread-local stack of frames that guards push and pop. The innermost frame decides.

mod attached;
mod deviations;
mod fresh;
mod layer_noise;
mod moments;
mod reading;
mod rows;
mod sample;
mod scope;

pub use attached::has_adapters;
pub use deviations::KeptDeviations;
pub use fresh::seed;
pub use layer_noise::LayerNoise;
pub(crate) use layer_noise::{CONTAINER as LAYER_NOISE, is_configured};
pub use moments::{ColumnMoments, KeptMoments, WeightMoments, read_means};
pub(crate) use moments::{Pass, note_alone};
pub use reading::{SplitWeight, WeightReading};
pub use rows::weight_rows;
pub(crate) use sample::{
    Site, forget, is_antithetic, is_made, is_replaced, keep, kept_kl, layer_noise, output_noise,
    repeated_output_noise, replacement, site,
};
pub use scope::is_open;
pub(crate) use scope::{
    Part, PartSlot, Request, answer_part, answer_rows, hand_over, is_glance, meet, met,
    outside_question, request,
};

use std::any::Any;
use std::collections::HashMap;
use std::marker::PhantomData;

use burn::module::ParamId;
use burn::tensor::Tensor;

use fresh::fresh_key;
use sample::Sample;
use scope::{Mode, Survey, push, remove, with_sample};

/// Keeps a draw, or the mean mode, open until it is dropped: also by a panic or an early return.
///
/// Obtained from [`BayesianModule::draw`](crate::BayesianModule::draw), [`Draw::sample`] or [`Draw::mean`]. Draws nest;
/// the innermost decides. A draw belongs to the thread that opened it.
///
/// In a pool of threads, such as rayon's, open a draw or the mean mode inside each task that runs a network. A pool
/// thread that waits for a kernel may start another task meanwhile, and without a draw of its own that task would read
/// the first one's weights.
#[derive(Debug)]
#[must_use = "the draw ends when its guard is dropped; bind it: `let _draw = ...`"]
pub struct Draw {
    id: u64,
    // A guard must be dropped by the thread that made it.
    not_send: PhantomData<*const ()>,
}

impl Draw {
    /// Opens draw `index` of `seed`, in which the parameters have these numbers.
    pub(crate) fn numbered(seed: u64, index: u64, numbers: HashMap<ParamId, u32>) -> Self {
        Self::push(Mode::Sample(Sample::new(seed, index, numbers)))
    }

    /// Opens draw `index` of `seed` for whatever is read inside it, numbered in the order of first use.
    ///
    /// What a recurrent layer opens when none is open, so that its time steps share their weights.
    pub fn anonymous(seed: u64, index: u64) -> Self {
        Self::numbered(seed, index, HashMap::new())
    }

    /// Opens a fresh draw from the process-wide stream (see [`seed`](crate::seed)); `None` if a draw, the mean mode or
    /// a pass of moments is open on this thread already, even one that another task of the thread has opened
    /// ([`Draw`]).
    pub fn fresh_if_none() -> Option<Self> {
        (!is_open()).then(|| {
            let key = fresh_key();
            Self::anonymous(key.seed, key.index)
        })
    }

    /// Opens the mean mode: every Bayesian parameter reads as the mean of its posterior.
    pub fn mean() -> Self {
        Self::push(Mode::Mean)
    }

    /// Computes the KL of each weight that is read from now on together with the weight, where that saves a pass over
    /// its parameters, for a [`kl_terms`](crate::BayesianModule::kl_terms) inside the draw.
    ///
    /// Nothing else changes; for a loss that has both, such as the ELBO. The draw must end before the parameters
    /// change, by an optimizer's step for instance: weights and KL are kept as they were made. What changes posteriors
    /// or priors as such, [`map_means`](crate::BayesianModule::map_means),
    /// [`posterior_as_prior`](crate::BayesianModule::posterior_as_prior) and the like, has both made anew.
    ///
    /// # Panics
    ///
    /// Panics if the draw is not the innermost one.
    pub fn with_kl(self) -> Self {
        self.assert_innermost("its KL");
        with_sample(|sample| sample.with_kl = true);
        self
    }

    /// Has every layer compute with the draw's own weights, whatever its estimator: all rows of all batches then belong
    /// to one network, that of
    /// [`sample_network`](crate::BayesianModule::sample_network). A layer that is random itself, such as dropout that
    /// goes on in prediction, has the same noise for each row ([`LayerNoise::shares_rows`]).
    ///
    /// For a prediction. Noise of its own for each row is for gradients: it is not the same in another batch, and the
    /// positions of a convolution's output lose their correlation by local reparameterization.
    ///
    /// # Panics
    ///
    /// Panics if the draw is not the innermost one.
    pub fn with_shared_weights(self) -> Self {
        self.assert_innermost("sharing of weights");
        with_sample(|sample| sample.shares_weights = true);
        self
    }

    /// Makes weights with the deviations that are kept, and keeps those that aren't, until the draw ends. The numbers
    /// are the same.
    ///
    /// For the draws of a prediction: no parameter may change between two draws that share what is kept. What is read
    /// for a gradient, on an autodiff device, is made as ever.
    ///
    /// # Panics
    ///
    /// Panics if the draw is not the innermost one.
    pub fn with_deviations(self, kept: &KeptDeviations) -> Self {
        self.assert_innermost("use of kept deviations");
        let replaced = with_sample(|sample| sample.deviations.replace(kept.clone()));
        drop(replaced);
        self
    }

    /// Panics, naming what is asked of the draw, if another scope lies in it.
    pub(crate) fn assert_innermost(&self, asked: &str) {
        assert!(
            scope::is_innermost(self.id),
            "{asked} was asked of a draw in which another draw or the mean mode is open"
        );
    }

    /// Goes over to the antithetic draw, whose layers that are random themselves have the noise of draw `index`.
    pub(crate) fn turn(&self, index: u64) {
        let left = with_sample(|sample| sample.turn(index));
        drop(left);
    }

    /// Puts another weight, flat, in the place of that of parameter `id`.
    pub(crate) fn replace(&self, id: ParamId, weight: Tensor<1>) {
        let replaced = with_sample(|sample| sample.replacements.insert(id, weight));
        drop(replaced);
    }

    /// Asks the next parameter that is read for its mean and this part.
    pub(crate) fn part(wanted: Part) -> Self {
        Self::push(Mode::Parts(wanted, PartSlot::Untouched))
    }

    /// Asks the next parameter that is read for some of its rows.
    pub(crate) fn rows(rows: &[usize]) -> Self {
        Self::push(Mode::Rows {
            rows: rows.into(),
            answered: false,
        })
    }

    /// Opens a pass of moments, which has those that are kept.
    pub(crate) fn moments(kept: KeptMoments) -> Self {
        Self::push(Mode::Moments(Pass::new(kept)))
    }

    /// Asks each parameter that is visited for what is attached to it. One that is read is its stored tensor.
    pub(crate) fn survey() -> Self {
        Self::push(Mode::Survey(Survey::default()))
    }

    /// Has each posterior that is visited keep what it consists of to itself.
    fn glance() -> Self {
        Self::push(Mode::Glance)
    }

    fn push(mode: Mode) -> Self {
        Self {
            id: push(mode),
            not_send: PhantomData,
        }
    }

    /// Closes the scope and returns what it gathered.
    fn finish(self) -> Option<Mode> {
        let mode = remove(self.id);
        std::mem::forget(self);
        mode
    }

    pub(crate) fn finish_part(self) -> PartSlot {
        match self.finish() {
            Some(Mode::Parts(_, slot)) => slot,
            _ => unreachable!("a part's scope holds its slot"),
        }
    }

    /// Whether the parameter returned those rows alone.
    pub(crate) fn finish_rows(self) -> bool {
        matches!(self.finish(), Some(Mode::Rows { answered: true, .. }))
    }

    /// What was read in the pass.
    pub(crate) fn finish_moments(self) -> Pass {
        match self.finish() {
            Some(Mode::Moments(pass)) => pass,
            _ => unreachable!("a pass of moments holds what was read"),
        }
    }

    /// What was handed over, in the order in which the parameters were visited.
    pub(crate) fn finish_survey(self) -> Vec<Box<dyn Any>> {
        match self.finish() {
            Some(Mode::Survey(survey)) => survey.surveyed,
            _ => unreachable!("a survey holds what was handed over"),
        }
    }
}

impl Drop for Draw {
    fn drop(&mut self) {
        // The frame holds tensors, whose own drop must not run under the borrow.
        let frame = remove(self.id);
        drop(frame);
    }
}
