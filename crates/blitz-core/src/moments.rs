//! A weight's mean and variance, for the estimators that sample a layer's output rather than its weights.

use burn::module::{Param, ParamId};
use burn::tensor::Tensor;

use crate::draw::{self, Draw, Parts, PartsSlot};
use crate::kernels::{self, formula::SMALLEST_VARIANCE};

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

/// A weight `w ~ N(mean, variance)`, elementwise.
#[derive(Debug, Clone)]
pub struct NormalWeight<const D: usize> {
    /// The means.
    pub mean: Tensor<D>,
    /// The variances.
    pub variance: Tensor<D>,
    id: ParamId,
}

impl<const D: usize> NormalWeight<D> {
    /// A sample `mean + √variance · ε` of a layer's output, with ε from the open draw or, with none open, from the
    /// process-wide stream. Each call in one draw takes fresh noise.
    ///
    /// A variance below 1e-20 counts as that, and has no gradient: a row of zeros would give it an infinite one.
    pub fn draw_output<const R: usize>(&self, mean: Tensor<R>, variance: Tensor<R>) -> Tensor<R> {
        let elements = mean.shape().num_elements();
        let mut noise = draw::activation_noise(self.id, elements);
        let fused = noise.fused(elements, |span| {
            kernels::draw_output(&mean, &variance, span)
        });
        fused.unwrap_or_else(|| {
            let std_dev = variance.clamp_min(SMALLEST_VARIANCE).sqrt();
            let noise = noise.standard_normal(&mean);
            mean + std_dev * noise
        })
    }
}

impl<const D: usize> WeightMoments<D> {
    /// How `param` enters its layer: under the open draw, mean mode and freeze.
    pub fn of(param: &Param<Tensor<D>>) -> Self {
        match read_parts(param, Parts::Variance) {
            WeightParts::Whole(value) => Self::Value(value),
            WeightParts::Split { mean, part, id } => Self::Normal(NormalWeight {
                mean,
                variance: part,
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
