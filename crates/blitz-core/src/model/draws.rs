//! Draws of a model: its weights numbered, gathered, replaced.

use burn::module::{Module, ParamId};
use burn::tensor::Tensor;

use crate::attach::{attachments, numbers};
use crate::draw::Draw;

/// One weight of a draw.
#[derive(Debug, Clone)]
pub struct DrawnWeight {
    /// Its place among all Bayesian parameters of the model, sampled or frozen, in the order of the traversal.
    pub position: usize,
    /// The draw's own sample, flat, in row-major order, with its gradient.
    pub value: Tensor<1>,
}

impl Draw {
    /// Opens draw `index` of `seed` for `model`: until the guard is dropped, every read of a weight of the model
    /// on this thread returns the same joint sample.
    ///
    /// The numbers depend on `seed`, `index` and the position of each Bayesian parameter in `model`'s traversal,
    /// on nothing else: they are the same in another process and on another backend. Weights of another module
    /// read inside the draw are numbered after the model's, in the order of their first use. Copies of one model
    /// share its parameter identities and so its draw.
    pub fn sample<M: Module>(model: &M, seed: u64, index: u64) -> Self {
        let (numbers, tied) = numbers(model);
        let draw = Self::numbered(seed, index, numbers);
        if !tied.is_empty() {
            // At their first places, whichever place is read first: the tensors of the others may have stayed behind.
            for attachment in attachments(model) {
                if tied.contains(&attachment.id()) && attachment.is_sampling() {
                    drop(attachment.weight());
                }
            }
        }
        draw
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
            self.replace(id, replacement);
        }
    }

    /// All Bayesian weights of a model in this draw, with their identities if they are sampled.
    pub(super) fn weights<M: Module>(&self, model: &M) -> Vec<(Option<ParamId>, DrawnWeight)> {
        assert!(
            self.is_innermost(),
            "the weights of a draw were asked for inside another draw or the mean mode"
        );
        let attachments = attachments(model).into_iter().enumerate();
        let weights = attachments.map(|(position, attachment)| {
            let id = attachment.is_sampling().then(|| attachment.id());
            let value = attachment.weight();
            (id, DrawnWeight { position, value })
        });
        weights.collect()
    }
}
