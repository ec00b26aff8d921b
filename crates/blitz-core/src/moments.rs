//! A weight's mean and deviation, for the estimators that sample a layer's output rather than its weights.

use burn::module::{Param, ParamId};
use burn::tensor::Tensor;

use crate::draw::{self, Draw, Parts, PartsSlot};

/// How a weight enters a layer at this moment, for local reparameterization.
#[derive(Debug, Clone)]
#[expect(
    clippy::large_enum_variant,
    reason = "matched on and taken apart at once; a box would cost each forward pass an allocation"
)]
pub enum WeightMoments<const D: usize> {
    /// A definite value: of a parameter without a posterior, of one read as its mean or with its sampling frozen,
    /// or one sample of a posterior that is not made of independent normals.
    Value(Tensor<D>),
    /// Independent normals.
    Normal(NormalWeight<D>),
}

/// A weight `w ~ N(mean, std_dev²)`, elementwise.
#[derive(Debug, Clone)]
pub struct NormalWeight<const D: usize> {
    /// The means.
    pub mean: Tensor<D>,
    /// The deviations.
    pub std_dev: Tensor<D>,
    id: ParamId,
}

impl<const D: usize> NormalWeight<D> {
    /// Standard normals shaped like a layer's `output`, from the open draw or, with none open, from the process-wide
    /// stream. Each call in one draw takes fresh ones.
    pub fn output_noise<const R: usize>(&self, output: &Tensor<R>) -> Tensor<R> {
        draw::activation_noise(self.id, output.shape().num_elements()).standard_normal(output)
    }
}

impl<const D: usize> WeightMoments<D> {
    /// How `param` enters its layer: under the open draw, mean mode and freeze.
    pub fn of(param: &Param<Tensor<D>>) -> Self {
        match read_parts(param, Parts::Deviation) {
            WeightParts::Whole(value) => Self::Value(value),
            WeightParts::Split { mean, part, id } => Self::Normal(NormalWeight {
                mean,
                std_dev: part,
                id,
            }),
        }
    }
}

/// A weight as an estimator reads it.
#[expect(
    clippy::large_enum_variant,
    reason = "matched on and taken apart at once; a box would cost each forward pass an allocation"
)]
pub(crate) enum WeightParts<const D: usize> {
    Whole(Tensor<D>),
    Split {
        mean: Tensor<D>,
        part: Tensor<D>,
        id: ParamId,
    },
}

pub(crate) fn read_parts<const D: usize>(
    param: &Param<Tensor<D>>,
    wanted: Parts,
) -> WeightParts<D> {
    let scope = Draw::parts(wanted);
    let mean = param.val();
    match scope.finish_parts() {
        PartsSlot::Untouched => WeightParts::Whole(mean),
        // Read again, outside the scope: a sample.
        PartsSlot::Unavailable => WeightParts::Whole(param.val()),
        PartsSlot::Part(id, part) => match part.downcast() {
            Ok(part) => WeightParts::Split {
                mean,
                part: *part,
                id,
            },
            Err(_) => unreachable!("a part has its weight's rank"),
        },
    }
}
