//! Posteriors that are read from files. A file may be cut or edited: what the fits see to is looked at again, since
//! sums over lists of two lengths end with the shorter one, and a negative variance is a NaN later.

use serde::Deserialize;

use super::super::error::LaplaceError;
use super::super::spectrum::Spectrum;
use super::curvature::{self, Curvature};
use super::gaussian::{GaussianLastLayer, LastLayerMean};
use super::logits::LogitLayer;
use super::shape::LayerShape;

/// Why a saved posterior is none.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoredError {
    #[error("`{field}` of a saved posterior must have {expected} numbers, got {got}")]
    Length {
        field: String,
        expected: usize,
        got: usize,
    },
    #[error("number {index} of `{field}` of a saved posterior must be {range}, got {value}")]
    Value {
        field: String,
        index: usize,
        range: &'static str,
        value: f64,
    },
    #[error("`shape` of a saved posterior is of {d_input} inputs and {outputs} outputs")]
    Shape { d_input: usize, outputs: usize },
    #[error("`shape` and `curvature` of a saved posterior disagree on whether there is a bias")]
    Bias,
    #[error("`examples` of a saved posterior must be positive, got 0")]
    Examples,
    #[error("a saved posterior: {0}")]
    Setting(#[from] LaplaceError),
}

/// An error unless there are so many numbers, all of them finite.
fn finite(field: impl Into<String>, values: &[f64], expected: usize) -> Result<(), StoredError> {
    numbers(field.into(), values, expected, "finite", |value| {
        value.is_finite()
    })
}

/// The same of numbers that can't be negative.
fn not_negative(
    field: impl Into<String>,
    values: &[f64],
    expected: usize,
) -> Result<(), StoredError> {
    let range = "finite and not negative";
    numbers(field.into(), values, expected, range, |value| {
        value >= 0.0 && value.is_finite()
    })
}

fn numbers(
    field: String,
    values: &[f64],
    expected: usize,
    range: &'static str,
    is_in_range: impl Fn(f64) -> bool,
) -> Result<(), StoredError> {
    let got = values.len();
    if got != expected {
        return Err(StoredError::Length {
            field,
            expected,
            got,
        });
    }
    match values.iter().position(|value| !is_in_range(*value)) {
        None => Ok(()),
        Some(index) => Err(StoredError::Value {
            value: values[index],
            field,
            index,
            range,
        }),
    }
}

impl LayerShape {
    fn check_stored(&self) -> Result<(), StoredError> {
        let row = self.d_input.checked_add(usize::from(self.bias));
        let weights = row.and_then(|row| row.checked_mul(self.outputs));
        match weights {
            Some(1..) => Ok(()),
            _ => Err(StoredError::Shape {
                d_input: self.d_input,
                outputs: self.outputs,
            }),
        }
    }
}

impl Spectrum {
    fn check_stored(&self, field: &str, dim: usize) -> Result<(), StoredError> {
        not_negative(format!("{field}.values"), &self.values, dim)?;
        finite(format!("{field}.vectors"), self.vectors(), dim * dim)
    }
}

impl Curvature {
    fn check_stored(&self, shape: &LayerShape) -> Result<(), StoredError> {
        match self {
            Self::Joint(spectrum) => spectrum.check_stored("curvature", shape.parameters()),
            Self::PerOutput(blocks) => {
                if blocks.len() != shape.outputs {
                    return Err(StoredError::Length {
                        field: "curvature".into(),
                        expected: shape.outputs,
                        got: blocks.len(),
                    });
                }
                let mut blocks = blocks.iter();
                blocks.try_for_each(|block| block.check_stored("curvature", shape.row()))
            }
            Self::Kronecker(factors) => {
                if factors.bias != shape.bias {
                    return Err(StoredError::Bias);
                }
                let (outputs, inputs) = (&factors.outputs, &factors.inputs);
                outputs.check_stored("curvature.outputs", shape.outputs)?;
                inputs.check_stored("curvature.inputs", shape.d_input)
            }
        }
    }
}

/// The fields of a [`LogitLayer`].
#[derive(Deserialize)]
#[serde(rename = "LogitLayer")]
pub(super) struct StoredLogits {
    shape: LayerShape,
    trained: Vec<f64>,
    #[serde(alias = "blocks", deserialize_with = "curvature::read")]
    curvature: Curvature,
    log_likelihood: f64,
    prior_precision: f64,
}

impl TryFrom<StoredLogits> for LogitLayer {
    type Error = StoredError;

    fn try_from(stored: StoredLogits) -> Result<Self, StoredError> {
        let shape = stored.shape;
        shape.check_stored()?;
        finite("trained", &stored.trained, shape.parameters())?;
        stored.curvature.check_stored(&shape)?;
        finite("log_likelihood", &[stored.log_likelihood], 1)?;
        let (curvature, likelihood) = (stored.curvature, stored.log_likelihood);
        let layer = Self::new(shape, stored.trained, curvature, likelihood);
        Ok(layer.with_prior_precision(stored.prior_precision)?)
    }
}

/// The fields of a [`GaussianLastLayer`].
#[derive(Deserialize)]
#[serde(rename = "GaussianLastLayer")]
pub(super) struct StoredGaussian {
    shape: LayerShape,
    trained: Vec<f64>,
    spectrum: Spectrum,
    pull: Vec<f64>,
    residuals: Vec<f64>,
    examples: usize,
    noise_variances: Vec<f64>,
    prior_precision: f64,
    mean: LastLayerMean,
}

impl TryFrom<StoredGaussian> for GaussianLastLayer {
    type Error = StoredError;

    fn try_from(stored: StoredGaussian) -> Result<Self, StoredError> {
        let shape = stored.shape;
        shape.check_stored()?;
        finite("trained", &stored.trained, shape.parameters())?;
        stored.spectrum.check_stored("spectrum", shape.row())?;
        finite("pull", &stored.pull, shape.parameters())?;
        not_negative("residuals", &stored.residuals, shape.outputs)?;
        finite("noise_variances", &stored.noise_variances, shape.outputs)?;
        if stored.examples == 0 {
            return Err(StoredError::Examples);
        }
        let layer = Self {
            shape,
            trained: stored.trained,
            spectrum: stored.spectrum,
            pull: stored.pull,
            residuals: stored.residuals,
            examples: stored.examples,
            noise_variances: Vec::new(),
            prior_precision: 1.0,
            mean: stored.mean,
            centre: Vec::new(),
        };
        Ok(layer.with(stored.noise_variances, stored.prior_precision)?)
    }
}
