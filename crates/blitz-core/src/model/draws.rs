//! Draws of a model: its weights numbered, gathered, reflected, replaced.

use std::error::Error;
use std::fmt;

use burn::module::{Module, ParamId};
use burn::tensor::Tensor;

use crate::attach::{Attachment, Walk, attachments, drawn_as_one, may_be_two, numbers};
use crate::draw::Draw;

/// A weight that has no antithetic draw, from [`Draw::antithetic`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AsymmetricPosterior {
    /// The path of the weight; the first one of a weight that is tied.
    pub weight: String,
}

impl fmt::Display for AsymmetricPosterior {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} has no antithetic draw: its posterior is not known to be symmetric about its mean (`Posterior::is_symmetric`); \
             take independent draws",
            self.weight
        )
    }
}

impl Error for AsymmetricPosterior {}

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
    /// The numbers depend on `seed`, `index` and the position of each Bayesian parameter in `model`'s traversal, on
    /// nothing else: they are the same in another process and on another backend. Weights of another module read inside
    /// the draw are numbered after the model's, in the order of their first use. Copies of one model share its
    /// parameter identities and so its draw, on each device and in each float type with weights of its own from the
    /// same noise. Of copies with other values, such as a moving average beside its network, each needs a draw of its
    /// own: what the first has made, the second would read.
    ///
    /// # Panics
    ///
    /// Panics with their paths if two weights of the model that are not tied are sampled by posteriors of one identity,
    /// such as those of a frozen copy beside its original: see
    /// [`with_weights_apart`](crate::BayesianModule::with_weights_apart).
    pub fn sample<M: Module>(model: &M, seed: u64, index: u64) -> Self {
        let (numbers, tied) = numbers(model);
        if tied.is_empty() {
            return Self::numbered(seed, index, numbers);
        }
        if may_be_two(model, &tied)
            && let Some([one, other]) = drawn_as_one(model)
        {
            panic!(
                "{one} and {other} are two weights whose posteriors have one identity, and a draw would have one sample of \
                 both: tell them apart by `with_weights_apart()`"
            );
        }
        let draw = Self::numbered(seed, index, numbers);
        make(&tied, &attachments(model));
        draw
    }

    /// The antithetic draw of the pair that this is the first of, in its place: each weight w of `model` becomes `2 E w
    /// − w`, which is distributed like w, and an estimate that is the mean over the pair is unbiased. What is odd about
    /// the means has cancelled in it. No normals are made for the second draw, but for weights that the first hasn't
    /// read and for rows of embeddings.
    ///
    /// Also what [local reparameterization](crate::WeightReading::with_variance) samples, the outputs of layers, is
    /// reflected, and flipout's signs are the same in both draws, if the model takes the same path in both. Layers that
    /// are random themselves, such as Monte Carlo dropout, draw what they would in draw `index` of the seed: a mask has
    /// no sign. The first draw is what it would be alone, to the bit.
    ///
    /// The second draw is made of the first, so the losses of both need *one* `backward`, of their sum.
    ///
    /// Hammersley & Morton, *A new Monte Carlo technique: antithetic variates* (1956).
    ///
    /// ```
    /// use blitz_core::prelude::*;
    /// use burn::nn::LinearConfig;
    /// use burn::tensor::Device;
    ///
    /// let net = LinearConfig::new(3, 2).init(&Device::flex()).bayesianize(&BayesianizeConfig::new());
    /// let first = net.draw(1, 0);
    /// let weight = net.weight.val();
    /// let _second = first.antithetic(&net, 1).unwrap();
    /// assert_eq!(net.weight.val().into_data(), (net.weight.base() * 2.0 - weight).into_data());
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error, and ends the draw, if a weight that is sampled has a posterior that is not known to be
    /// [symmetric](crate::Posterior::is_symmetric).
    ///
    /// # Panics
    ///
    /// Panics if the draw is not the innermost one, or is the second of a pair itself.
    pub fn antithetic<M: Module>(self, model: &M, index: u64) -> Result<Self, AsymmetricPosterior> {
        self.assert_innermost("its antithetic draw");
        let attachments = attachments(model);
        let mut sampled = attachments.iter().filter(|weight| weight.is_sampling());
        if let Some(weight) = sampled.find(|weight| !weight.is_symmetric()) {
            return Err(AsymmetricPosterior {
                weight: path_of(model, weight.id()),
            });
        }
        self.turn(index);
        let (_, tied) = numbers(model);
        make(&tied, &attachments);
        Ok(self)
    }

    /// Puts other weights in the place of this draw's, until it ends: `replacement` is asked for each weight of `model`
    /// that is sampled, in the order of the traversal, and gets the draw's own, also where a replacement stands
    /// already.
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
        self.assert_innermost("the list of weights");
        let attachments = attachments(model).into_iter().enumerate();
        let weights = attachments.map(|(position, attachment)| {
            let id = attachment.is_sampling().then(|| attachment.id());
            let value = attachment.weight();
            (id, DrawnWeight { position, value })
        });
        weights.collect()
    }
}

/// Makes the weights with these identities at their first places, whichever place is read first: the tensors of the
/// others may have stayed behind.
fn make(tied: &[ParamId], attachments: &[Box<dyn Attachment>]) {
    for attachment in attachments {
        if tied.contains(&attachment.id()) && attachment.is_sampling() {
            drop(attachment.weight());
        }
    }
}

/// The path of the weight whose posterior has this identity.
fn path_of<M: Module>(model: &M, id: ParamId) -> String {
    let walk = Walk::of(model);
    let mut posteriors = walk.posteriors();
    let weight = posteriors.find(|(_, of)| *of == id);
    weight.map_or_else(String::new, |(weight, _)| weight.path().into())
}
