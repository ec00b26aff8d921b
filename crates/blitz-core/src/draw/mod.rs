//! A draw: one joint sample of all weights of a model, and the other ways to read a Bayesian parameter.
//!
//! Burn hands a parameter's reparameterization nothing but the stored tensor, so what `Param::val` should return is
//! decided by a scope: a thread-local stack of frames that guards push and pop. The innermost frame decides.

mod fresh;
mod sample;
mod scope;
mod streams;

pub use fresh::seed;
pub(crate) use sample::{
    SHARPENING_STREAM, activation_noise, cache, cached, is_replaced, keep_kl, kept_kl, layer_noise,
    noise_key, repeated_activation_noise, replacement, wants_kl,
};
pub use scope::is_open;
pub(crate) use scope::{
    Parts, PartsSlot, Request, answer_rows, gather, put_parts, put_survey, request, share_scale,
    with_kl_sink,
};

use std::collections::HashMap;
use std::marker::PhantomData;

use burn::module::{Module, ParamId};
use burn::tensor::Tensor;

use crate::kl::KlSink;
use crate::survey::Surveyed;
use fresh::fresh_key;
use sample::Sample;
use scope::{Gathered, Mode, push, remove, with_sample};
use streams::stream_numbers;

/// Keeps a draw, or the mean mode, open until it is dropped: also by a panic or an early return.
///
/// Obtained from [`BayesianModule::draw`](crate::BayesianModule::draw), [`Draw::sample`] or [`Draw::mean`]. Draws nest;
/// the innermost decides. A draw belongs to the thread that opened it.
#[derive(Debug)]
#[must_use = "the draw ends when its guard is dropped; bind it: `let _draw = ...`"]
pub struct Draw {
    id: u64,
    // A guard must be dropped by the thread that made it.
    not_send: PhantomData<*const ()>,
}

impl Draw {
    /// Opens draw `index` of `seed` for `model`: until the guard is dropped, every read of a weight of the model
    /// on this thread returns the same joint sample.
    ///
    /// The numbers depend on `seed`, `index` and the position of each Bayesian parameter in `model`'s traversal,
    /// on nothing else: they are the same in another process and on another backend. Weights of another module
    /// read inside the draw are numbered behind the model's, in the order of their first use. Copies of one model
    /// share its parameter identities and so its draw.
    pub fn sample<M: Module>(model: &M, seed: u64, index: u64) -> Self {
        let streams = stream_numbers(model);
        Self::push(Mode::Sample(Sample::new(seed, index, streams)))
    }

    /// Opens draw `index` of `seed` for whatever is read inside it, numbered in the order of first use.
    ///
    /// What a recurrent layer opens when none is open, so that its time steps share their weights.
    pub fn anonymous(seed: u64, index: u64) -> Self {
        Self::push(Mode::Sample(Sample::new(seed, index, HashMap::new())))
    }

    /// Opens a fresh draw from the process-wide stream (see [`seed`](crate::seed)) unless a draw or the mean
    /// mode is already open on this thread.
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

    /// Computes the KL of each weight that is read from now on together with the weight, where that saves a pass over its
    /// parameters, for a [`kl_terms`](crate::BayesianModule::kl_terms) inside the draw.
    ///
    /// Nothing else changes; for a loss that has both, such as the ELBO.
    ///
    /// # Panics
    ///
    /// Panics if the draw is not the innermost one.
    pub fn with_kl(self) -> Self {
        assert!(
            scope::is_innermost(self.id),
            "a draw's KL was asked for inside another draw or the mean mode"
        );
        with_sample(|sample| sample.with_kl = true);
        self
    }

    /// Puts other weights in the place of this draw's, until it ends: `replacement` is asked for each weight of `model` that
    /// is sampled, in the order of the traversal, and gets the draw's own, also where a replacement stands already.
    ///
    /// A layer reads a replacement as it is, whatever its estimator: a sign flipped by flipout, say, would make another
    /// weight of it. The KL stays that of the draw's own weights.
    ///
    /// ```
    /// use blitz_core::prelude::*;
    /// use burn::nn::LinearConfig;
    /// use burn::tensor::Device;
    ///
    /// let net = LinearConfig::new(3, 2).init(&Device::flex()).bayesianize(&BayesianizeConfig::new());
    /// let draw = net.draw(1, 0);
    /// let own = net.weight.val();
    /// draw.replace_weights(&net, |weight| weight.value * 2.0);
    /// assert_eq!(net.weight.val().into_data(), (own * 2.0).into_data());
    /// ```
    ///
    /// # Panics
    ///
    /// Panics if the draw is not the innermost one, or if a replacement has another length.
    pub fn replace_weights<M: Module>(
        &self,
        model: &M,
        mut replacement: impl FnMut(DrawnWeight) -> Tensor<1>,
    ) {
        for (id, weight) in self.weights(model) {
            let Some(id) = id else { continue };
            let shape = weight.value.shape();
            let replacement = replacement(weight);
            assert!(
                replacement.shape() == shape,
                "a weight of shape {shape:?} was replaced by one of shape {:?}",
                replacement.shape()
            );
            let replaced = with_sample(|sample| sample.replacements.insert(id, replacement));
            drop(replaced);
        }
    }

    /// All Bayesian weights of a model in this draw, with their identities if they are sampled.
    pub(crate) fn weights<M: Module>(&self, model: &M) -> Vec<(Option<ParamId>, DrawnWeight)> {
        assert!(
            scope::is_innermost(self.id),
            "the weights of a draw were asked for inside another draw or the mean mode"
        );
        let scope = Self::push(Mode::Gather(Gathered::default()));
        // The one traversal that reaches an attached posterior together with its parameter.
        drop(model.clone().materialize());
        match scope.finish() {
            Some(Mode::Gather(gathered)) => gathered.weights,
            _ => unreachable!("a gather scope holds what was gathered"),
        }
    }

    pub(crate) fn parts(wanted: Parts) -> Self {
        Self::push(Mode::Parts(wanted, PartsSlot::Untouched))
    }

    /// Asks the next parameter that is read for some of its rows.
    pub(crate) fn rows(rows: &[usize]) -> Self {
        Self::push(Mode::Rows {
            rows: rows.into(),
            answered: false,
        })
    }

    pub(crate) fn kl(sink: KlSink) -> Self {
        Self::push(Mode::Kl(sink))
    }

    pub(crate) fn survey() -> Self {
        Self::push(Mode::Survey(Vec::new()))
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

    pub(crate) fn finish_parts(self) -> PartsSlot {
        match self.finish() {
            Some(Mode::Parts(_, slot)) => slot,
            _ => unreachable!("a parts scope holds a parts slot"),
        }
    }

    /// Whether the parameter returned those rows alone.
    pub(crate) fn finish_rows(self) -> bool {
        matches!(self.finish(), Some(Mode::Rows { answered: true, .. }))
    }

    pub(crate) fn finish_kl(self) -> KlSink {
        match self.finish() {
            Some(Mode::Kl(sink)) => sink,
            _ => unreachable!("a KL scope holds a KL sink"),
        }
    }

    pub(crate) fn finish_survey(self) -> Surveyed {
        match self.finish() {
            Some(Mode::Survey(surveyed)) => surveyed,
            _ => unreachable!("a survey scope holds a survey"),
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

/// One weight of a draw.
#[derive(Debug, Clone)]
pub struct DrawnWeight {
    /// Its place among all Bayesian parameters of the model, sampled or frozen, in the order of the traversal.
    pub position: usize,
    /// The draw's own sample, flat, in row-major order, with its gradient.
    pub value: Tensor<1>,
}
