//! The curvature of a layer of logits: whole, in a block for each output, or as a Kronecker product.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize};

use super::super::error::LaplaceError;
use super::super::normal_logits::Root;
use super::super::spectrum::Spectrum;
use super::kronecker::Kronecker;
use super::shape::LayerShape;
use crate::predict::link::less_others;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Curvature {
    /// Over all weights, output after output.
    Joint(Spectrum),
    /// One block for each output.
    PerOutput(Vec<Spectrum>),
    Kronecker(Kronecker),
}

/// Also of a text from before there were Kronecker factors, which has a list of blocks: one over all weights, or one
/// for each output.
pub(super) fn read<'de, D: Deserializer<'de>>(saved: D) -> Result<Curvature, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Saved {
        Blocks(Vec<Spectrum>),
        Curvature(Curvature),
    }

    // Other formats don't say what comes next.
    if !saved.is_human_readable() {
        return Curvature::deserialize(saved);
    }
    Ok(match Saved::deserialize(saved)? {
        Saved::Curvature(curvature) => curvature,
        Saved::Blocks(blocks) => match <[Spectrum; 1]>::try_from(blocks) {
            Ok([all]) => Curvature::Joint(all),
            Err(blocks) => Curvature::PerOutput(blocks),
        },
    })
}

impl Curvature {
    pub(super) fn check(&self, precision: f64) -> Result<(), LaplaceError> {
        match self {
            Self::Joint(spectrum) => spectrum.check(1.0, precision),
            Self::PerOutput(blocks) => blocks.iter().try_for_each(|b| b.check(1.0, precision)),
            Self::Kronecker(factors) => factors.check(precision),
        }
    }

    pub(super) fn log_det(&self, precision: f64) -> f64 {
        match self {
            Self::Joint(spectrum) => spectrum.log_det(1.0, precision),
            Self::PerOutput(blocks) => blocks.iter().map(|b| b.log_det(1.0, precision)).sum(),
            Self::Kronecker(factors) => factors.log_det(precision),
        }
    }

    /// A draw about 0, of the standard normals that `normals(stream, len)` gives.
    pub(super) fn draw(
        &self,
        normals: impl Fn(usize, usize) -> Vec<f64>,
        parameters: usize,
        precision: f64,
    ) -> Vec<f64> {
        match self {
            Self::Joint(spectrum) => spectrum.draw(&normals(0, parameters), 1.0, precision),
            Self::PerOutput(blocks) => {
                let blocks = blocks.iter().enumerate();
                blocks
                    .flat_map(|(i, b)| b.draw(&normals(i, b.dim()), 1.0, precision))
                    .collect()
            }
            Self::Kronecker(factors) => factors.draw(&normals(0, parameters), precision),
        }
    }

    /// What the covariance of the logits at an example's features is computed from, for any prior precision.
    pub(super) fn spread(&self, shape: &LayerShape, features: &[f64]) -> Spread<'_> {
        let phi = shape.phi(features);
        match self {
            Self::Joint(spectrum) => {
                let row = shape.row();
                let of_outputs =
                    (0..shape.outputs).map(|output| spectrum.coordinates_from(output * row, &phi));
                Spread::Joint(spectrum, of_outputs.collect())
            }
            Self::PerOutput(blocks) => {
                let of_outputs = blocks.iter().map(|block| block.coordinates(&phi));
                Spread::PerOutput(blocks, of_outputs.collect())
            }
            Self::Kronecker(factors) => Spread::Kronecker(factors, factors.coordinates(features)),
        }
    }
}

/// An example's features in the eigenvectors of the curvature.
pub(super) enum Spread<'a> {
    Joint(&'a Spectrum, Vec<Vec<f64>>),
    PerOutput(&'a [Spectrum], Vec<Vec<f64>>),
    Kronecker(&'a Kronecker, Vec<f64>),
}

impl Spread<'_> {
    /// The covariance of the logits, row-major.
    pub(super) fn covariance(&self, precision: f64) -> Vec<f64> {
        match self {
            Self::Joint(spectrum, of_outputs) => {
                let pairs = of_outputs
                    .iter()
                    .flat_map(|a| of_outputs.iter().map(move |b| (a, b)));
                pairs
                    .map(|(a, b)| spectrum.inverse_form_at(a, b, 1.0, precision))
                    .collect()
            }
            Self::PerOutput(blocks, _) => {
                let outputs = blocks.len();
                let mut covariance = vec![0.0; outputs * outputs];
                for (k, variance) in self.variances(precision).into_iter().enumerate() {
                    covariance[k * (outputs + 1)] = variance;
                }
                covariance
            }
            Self::Kronecker(factors, input) => {
                let u = factors.outputs.matrix();
                let mut scaled = u.into_owned();
                let along = factors.along_outputs(input, precision);
                for (mut column, variance) in scaled.column_iter_mut().zip(along) {
                    column *= variance;
                }
                (scaled * u.transpose()).as_slice().to_vec()
            }
        }
    }

    /// The symmetric root of the covariance of the logits. It is known where the covariance's eigenvectors are, those
    /// of no output or those of G, and comes from an eigendecomposition of outputs by outputs elsewhere.
    pub(super) fn root(&self, precision: f64) -> Root<'_> {
        let roots = |variances: Vec<f64>| variances.into_iter().map(f64::sqrt).collect();
        match self {
            Self::Joint(_, of_outputs) => Root::of(self.covariance(precision), of_outputs.len()),
            Self::PerOutput(..) => Root::Diagonal(roots(self.variances(precision))),
            Self::Kronecker(factors, input) => {
                let along = factors.along_outputs(input, precision);
                Root::Along(Cow::Borrowed(&factors.outputs), roots(along))
            }
        }
    }

    /// The variance of each logit.
    pub(super) fn variances(&self, precision: f64) -> Vec<f64> {
        match self {
            Self::Joint(spectrum, of_outputs) => {
                let of_outputs = of_outputs.iter();
                of_outputs
                    .map(|a| spectrum.inverse_form_at(a, a, 1.0, precision))
                    .collect()
            }
            Self::PerOutput(blocks, of_outputs) => {
                let of_outputs = blocks.iter().zip(of_outputs);
                of_outputs
                    .map(|(block, a)| block.inverse_form_at(a, a, 1.0, precision))
                    .collect()
            }
            Self::Kronecker(factors, input) => {
                let along = factors.along_outputs(input, precision);
                factors.outputs.squares_about(&along, |_| 0.0)
            }
        }
    }

    /// The variance of each logit less the mean of the others: what all have in common is nothing to a softmax.
    pub(super) fn contrast_variances(&self, precision: f64) -> Vec<f64> {
        let mut variances = self.centred_variances(precision);
        let others = less_others(variances.len());
        variances.iter_mut().for_each(|v| *v *= others * others);
        variances
    }

    /// The variance of each logit less the mean of all.
    fn centred_variances(&self, precision: f64) -> Vec<f64> {
        match self {
            Self::Joint(spectrum, of_outputs) => {
                let count = of_outputs.len() as f64;
                let mut mean = vec![0.0; spectrum.dim()];
                for a in of_outputs {
                    mean.iter_mut().zip(a).for_each(|(m, a)| *m += a / count);
                }
                let variance = |a: &Vec<f64>| {
                    let less: Vec<f64> = a.iter().zip(&mean).map(|(a, m)| a - m).collect();
                    spectrum.inverse_form_at(&less, &less, 1.0, precision)
                };
                of_outputs.iter().map(variance).collect()
            }
            Self::PerOutput(..) => {
                let variances = self.variances(precision);
                let count = variances.len() as f64;
                let mean = variances.iter().sum::<f64>() / (count * count);
                let contrast = |v: &f64| (v * (1.0 - 2.0 / count) + mean).max(0.0);
                variances.iter().map(contrast).collect()
            }
            Self::Kronecker(factors, input) => {
                let along = factors.along_outputs(input, precision);
                let mean = |u: &[f64]| u.iter().sum::<f64>() / u.len() as f64;
                factors.outputs.squares_about(&along, mean)
            }
        }
    }
}

#[cfg(test)]
mod tests;
