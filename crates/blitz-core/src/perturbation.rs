//! A weight's mean and its draw's difference from it, for flipout.

use burn::module::{Param, ParamId};
use burn::tensor::{Shape, Tensor};

use crate::draw::{self, Parts};
use crate::moments::{WeightParts, read_parts};

/// How a weight enters a layer at this moment, for flipout (Wen et al. 2018).
#[derive(Debug, Clone)]
#[expect(
    clippy::large_enum_variant,
    reason = "matched on and taken apart at once; a box would cost each forward pass an allocation"
)]
pub enum WeightPerturbation<const D: usize> {
    /// A definite value: of a parameter without a posterior, of one read as its mean or with its sampling frozen,
    /// or one sample of a posterior whose perturbations may not change sign one by one.
    Value(Tensor<D>),
    /// The mean, and a perturbation that may.
    Perturbed(PerturbedWeight<D>),
}

/// A weight `w = mean + delta`, where `delta` keeps its distribution when any of its elements change sign.
#[derive(Debug, Clone)]
pub struct PerturbedWeight<const D: usize> {
    /// The means.
    pub mean: Tensor<D>,
    /// The difference of the draw's weight from its mean.
    pub delta: Tensor<D>,
    id: ParamId,
}

impl<const D: usize> PerturbedWeight<D> {
    /// Independent signs, 1 or −1 with equal probability, of `shape` and with the element type and device of `like`, from the open draw or, with none open, from the
    /// process-wide stream. Each call in one draw takes fresh ones.
    pub fn signs<const R: usize>(&self, shape: impl Into<Shape>, like: &Tensor<R>) -> Tensor<R> {
        let shape = shape.into();
        draw::activation_noise(self.id, shape.num_elements()).signs(shape, like)
    }

    /// Independent signs like those of [`signs`](Self::signs), but the same ones in each call in one draw: those of a row stay
    /// what they are, whatever the number of rows behind it.
    ///
    /// For layers whose rows keep their weights from call to call, as recurrent ones do. Don't take both kinds from one
    /// weight: they share their bits.
    pub fn row_signs<const R: usize>(
        &self,
        shape: impl Into<Shape>,
        like: &Tensor<D>,
    ) -> Tensor<R> {
        draw::repeated_activation_noise(self.id).signs(shape, like)
    }
}

impl<const D: usize> WeightPerturbation<D> {
    /// How `param` enters its layer: under the open draw, mean mode and freeze.
    pub fn of(param: &Param<Tensor<D>>) -> Self {
        match read_parts(param, Parts::Perturbation) {
            WeightParts::Whole(value) => Self::Value(value),
            WeightParts::Split { mean, part, id } => Self::Perturbed(PerturbedWeight {
                mean,
                delta: part,
                id,
            }),
        }
    }
}
