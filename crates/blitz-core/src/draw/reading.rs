//! A weight as an estimator reads it that does not sample weights one by one: its mean, and what it varies by.

use burn::module::{Param, ParamId};
use burn::tensor::{Shape, Tensor};

use super::attached::has_adapters;
use super::sample::shares_weights;
use super::{Draw, Part, PartSlot, is_antithetic, output_noise, repeated_output_noise};
use crate::family::posterior::VarianceFactors;
use crate::family::{at_least_f32, in_type_of, reflected};
use crate::kernels::{self, formula::SMALLEST_VARIANCE};

/// How a weight enters a layer at this moment: under the open draw, mean mode and freeze.
#[derive(Debug, Clone)]
#[expect(
    clippy::large_enum_variant,
    reason = "matched on and taken apart at once; a box would cost each forward pass an allocation"
)]
pub enum WeightReading<const D: usize> {
    /// One value: the parameter has no posterior, or is read as its mean, or its posterior does not allow the parts
    /// that were asked for. In the last case it is a sample.
    Value(Tensor<D>),
    /// In two parts.
    Split(SplitWeight<D>),
}

/// A weight in two parts.
#[derive(Debug, Clone)]
pub struct SplitWeight<const D: usize, P = Tensor<D>> {
    /// The means.
    pub mean: Tensor<D>,
    /// The variances, their factors, or the draw's difference from the means, as was asked for.
    pub part: P,
    id: ParamId,
}

impl<const D: usize> WeightReading<D> {
    /// The mean and the variance of each weight, this in `f32` at least, for local reparameterization (Kingma, Salimans
    /// & Welling 2015): of independent normals.
    pub fn with_variance(param: &Param<Tensor<D>>) -> Self {
        Self::read(param, Part::Variance)
    }

    /// The mean, and the difference of the draw's weight from it, for flipout (Wen et al. 2018): of a distribution that
    /// stays the same when any of these differences change sign.
    pub fn with_perturbation(param: &Param<Tensor<D>>) -> Self {
        Self::read(param, Part::Perturbation)
    }

    /// The mean of each weight, and the [factors](crate::Posterior::variance_factors) of the variances, for local
    /// reparameterization without a second product; `None` where the variances have none, where weights are pruned, and
    /// where there is one value.
    pub fn with_variance_factors(
        param: &Param<Tensor<D>>,
    ) -> Option<SplitWeight<D, VarianceFactors>> {
        if shares_weights() || has_adapters(param) {
            return None;
        }
        let scope = Draw::part(Part::VarianceFactors);
        let mean = param.val();
        match scope.finish_part() {
            PartSlot::Part(id, part) => match part.downcast() {
                Ok(part) => Some(SplitWeight {
                    mean,
                    part: *part,
                    id,
                }),
                Err(_) => unreachable!("factors were asked for"),
            },
            PartSlot::Untouched | PartSlot::Unavailable => None,
        }
    }

    fn read(param: &Param<Tensor<D>>, wanted: Part) -> Self {
        if shares_weights() || has_adapters(param) {
            return Self::Value(param.val());
        }
        let scope = Draw::part(wanted);
        let mean = param.val();
        match scope.finish_part() {
            PartSlot::Untouched => Self::Value(mean),
            // Read again, outside the scope: a sample.
            PartSlot::Unavailable => Self::Value(param.val()),
            PartSlot::Part(id, part) => match part.downcast() {
                Ok(part) => Self::Split(SplitWeight {
                    mean,
                    part: *part,
                    id,
                }),
                Err(_) => unreachable!("a part has its weight's rank"),
            },
        }
    }
}

impl<const D: usize, P> SplitWeight<D, P> {
    /// A sample `mean + √variance · ε` of a layer's output, with ε from the open draw or, with none open, from the
    /// process-wide stream. Each call in one draw takes fresh noise. In an [antithetic](Draw::antithetic) draw it is
    /// that of the first draw of the pair with the other sign, if the calls are the same.
    ///
    /// The output has the type of the mean, and is computed in `f32` at least. A variance below 1e-20 counts as that,
    /// and has no gradient: a row of zeros would give it an infinite one.
    pub fn draw_output<const R: usize>(&self, mean: Tensor<R>, variance: Tensor<R>) -> Tensor<R> {
        let given = mean;
        let mean = in_type_of(given.clone(), &at_least_f32(variance.clone()));
        let variance = in_type_of(variance, &mean);
        let elements = mean.shape().num_elements();
        let mut noise = output_noise(self.id, elements);
        let fused = noise.fused(elements, |span| {
            kernels::draw_output(&mean, &variance, span)
        });
        let output = fused.unwrap_or_else(|| {
            let std_dev = variance.clamp_min(SMALLEST_VARIANCE).sqrt();
            let noise = noise.standard_normal(&mean);
            mean.clone() + std_dev * noise
        });
        let output = in_type_of(output, &given);
        match is_antithetic() {
            true => reflected(given, output),
            false => output,
        }
    }

    /// Independent signs, 1 or −1 with equal probability, of `shape` and with the element type and device of `like`:
    /// from the open draw or, with none open, from the process-wide stream. Each call in one draw takes fresh ones.
    pub fn signs<const R: usize>(&self, shape: impl Into<Shape>, like: &Tensor<R>) -> Tensor<R> {
        let shape = shape.into();
        output_noise(self.id, shape.num_elements()).signs(shape, like)
    }

    /// Independent signs like those of [`signs`](Self::signs), but the same ones in each call in one draw: those of a
    /// row stay what they are, whatever the number of rows after it.
    ///
    /// For layers whose rows keep their weights from call to call, as recurrent ones do. Don't take both kinds from one
    /// weight: they share their bits.
    pub fn row_signs<const R: usize>(
        &self,
        shape: impl Into<Shape>,
        like: &Tensor<D>,
    ) -> Tensor<R> {
        repeated_output_noise(self.id).signs(shape, like)
    }
}
