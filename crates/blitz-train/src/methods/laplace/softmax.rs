//! The last layer of a classification.

use burn::data::dataloader::DataLoader;
use burn::nn::Linear;
use burn::tensor::{Int, Tensor};
use nalgebra::{DMatrix, DVector};
use serde::{Deserialize, Serialize};

use super::error::{LaplaceError, deterministic};
use super::features::{examples, finite, for_each_batch};
use super::layer::LayerShape;
use super::logits::{LogitLayer, of_logits};
use crate::network::LabeledBatch;

/// The most weights a joint covariance may have: its matrix then takes 32 MB, its eigendecomposition minutes at most.
pub const MAX_JOINT_PARAMETERS: usize = 2048;

/// What the covariance of a softmax layer's weights keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClassCovariance {
    /// All of it, over at most [`MAX_JOINT_PARAMETERS`] weights.
    Joint,
    /// One full block for each class, covariances between classes left out: for many classes.
    PerClass,
}

/// The posterior of the last layer of a softmax classification, about the trained weights.
///
/// Its precision is the generalised Gauss–Newton matrix `Σ (diag p − p pᵀ) ⊗ φφᵀ` of the negative log likelihood, plus λ I; φ are
/// the features with a 1 for the bias, p the trained network's probabilities. The weights are ordered class after class, each
/// with its bias last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SoftmaxLastLayer(LogitLayer);

impl SoftmaxLastLayer {
    /// Reads all batches: `features` gives the input of `layer` for a batch, `[examples, d_input]`; targets are labels,
    /// `[examples]`; λ is `prior_precision`.
    ///
    /// # Errors
    ///
    /// Data that are empty, not finite, of another shape or can't be read; labels that are no class; a λ that isn't positive,
    /// or too small for collinear features; more than [`MAX_JOINT_PARAMETERS`] weights with [`ClassCovariance::Joint`]; features on an autodiff device, where
    /// layers train; features that are others each time; a layer that has a posterior.
    pub fn fit<I: Clone>(
        data: &dyn DataLoader<LabeledBatch<I, Tensor<1, Int>>>,
        features: impl Fn(I) -> Tensor<2>,
        layer: &Linear,
        covariance: ClassCovariance,
        prior_precision: f64,
    ) -> Result<Self, LaplaceError> {
        deterministic(layer)?;
        let (shape, trained) = LayerShape::read(layer);
        let (row, classes) = (shape.row(), shape.outputs);
        let joint = covariance == ClassCovariance::Joint;
        if joint && shape.parameters() > MAX_JOINT_PARAMETERS {
            return Err(LaplaceError::TooLarge {
                parameters: shape.parameters(),
                limit: MAX_JOINT_PARAMETERS,
            });
        }
        let theta = DMatrix::from_column_slice(row, classes, &trained);
        let (count, size) = if joint {
            (1, row * classes)
        } else {
            (classes, row)
        };
        let mut blocks = vec![DMatrix::<f64>::zeros(size, size); count];
        let mut log_likelihood = 0.0;
        for_each_batch(data, features, &shape, |phi, targets, before| {
            let labels: Vec<i64> = targets.into_data().iter::<i64>().collect();
            examples("the number of labels", phi.nrows(), labels.len())?;
            let mut probabilities = &phi * &theta;
            finite(
                probabilities.transpose().as_slice(),
                classes,
                "a logit",
                before,
            )?;
            for (i, mut logits) in probabilities.row_iter_mut().enumerate() {
                let label = usize::try_from(labels[i]).ok().filter(|l| *l < classes);
                let label = label.ok_or(LaplaceError::Label {
                    example: before + i,
                    label: labels[i],
                    classes,
                })?;
                let largest = logits.max();
                let log_sum =
                    logits.iter().map(|z| (z - largest).exp()).sum::<f64>().ln() + largest;
                log_likelihood += logits[label] - log_sum;
                logits.apply(|z| *z = (*z - log_sum).exp());
            }
            for a in 0..classes {
                for b in 0..classes {
                    if !joint && a != b {
                        continue;
                    }
                    let weights = DVector::from_fn(phi.nrows(), |i, _| {
                        let p = probabilities[(i, a)];
                        f64::from(u8::from(a == b)) * p - p * probabilities[(i, b)]
                    });
                    let mut weighted = phi.clone();
                    for mut column in weighted.column_iter_mut() {
                        column.component_mul_assign(&weights);
                    }
                    let part = phi.tr_mul(&weighted);
                    let (block, at) = if joint {
                        (0, (a * row, b * row))
                    } else {
                        (a, (0, 0))
                    };
                    let mut view = blocks[block].view_mut(at, (row, row));
                    view += part;
                }
            }
            Ok(())
        })?;
        let fitted = LogitLayer::new(shape, trained, blocks, log_likelihood);
        Ok(Self(fitted.with_prior_precision(prior_precision)?))
    }
}

of_logits!(
    SoftmaxLastLayer,
    "softmax leaves one direction for each feature to the prior alone"
);
