//! The last layer of a classification.

use burn::data::dataloader::DataLoader;
use burn::nn::Linear;
use burn::tensor::{Device, Int, Tensor};
use nalgebra::{DMatrix, DVector};
use serde::{Deserialize, Serialize};

use super::error::{LaplaceError, deterministic, positive};
use super::evidence::best_precision;
use super::features::{examples, finite, for_each_batch};
use super::layer::{LayerShape, dot, normals};
use super::network::LastLayerPosterior;
use super::spectrum::Spectrum;
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
pub struct SoftmaxLastLayer {
    shape: LayerShape,
    trained: Vec<f64>,
    /// One, or one a class.
    blocks: Vec<Spectrum>,
    log_likelihood: f64,
    prior_precision: f64,
}

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
        let fitted = Self {
            shape,
            trained,
            blocks: blocks.into_iter().map(Spectrum::new).collect(),
            log_likelihood,
            prior_precision: 1.0,
        };
        fitted.with_prior_precision(prior_precision)
    }

    /// The same data under another prior precision λ.
    ///
    /// # Errors
    ///
    /// If λ isn't positive, or too small: softmax leaves one direction for each feature to the prior alone.
    pub fn with_prior_precision(mut self, prior_precision: f64) -> Result<Self, LaplaceError> {
        self.prior_precision = positive("the prior precision", prior_precision)?;
        for block in &self.blocks {
            block.check(1.0, prior_precision)?;
        }
        Ok(self)
    }

    /// The prior precision λ in [10⁻¹², 10¹²] of largest marginal likelihood.
    ///
    /// # Errors
    ///
    /// If the marginal likelihood grows to an end of that range.
    pub fn with_best_prior_precision(self) -> Result<Self, LaplaceError> {
        let best = best_precision(|precision| self.evidence(precision))?;
        self.with_prior_precision(best)
    }

    fn evidence(&self, precision: f64) -> f64 {
        let log_dets = self
            .blocks
            .iter()
            .map(|block| block.log_det(1.0, precision));
        let weights = self.shape.parameters() as f64;
        self.log_likelihood - 0.5 * precision * dot(&self.trained, &self.trained)
            + 0.5 * weights * precision.ln()
            - 0.5 * log_dets.sum::<f64>()
    }

    /// `ln p(labels | λ)` by Laplace, in nats.
    pub fn log_marginal_likelihood(&self) -> f64 {
        self.evidence(self.prior_precision)
    }

    /// The prior precision λ.
    pub fn prior_precision(&self) -> f64 {
        self.prior_precision
    }

    /// The covariances of the weights, row-major: one joint matrix, or one for each class.
    pub fn covariances(&self) -> Vec<Vec<f64>> {
        let blocks = self.blocks.iter();
        blocks
            .map(|block| block.covariance(1.0, self.prior_precision))
            .collect()
    }

    /// The posterior mean of the logits at one example's features.
    ///
    /// # Panics
    ///
    /// Panics unless there are `d_input` features.
    #[track_caller]
    pub fn logits(&self, features: &[f64]) -> Vec<f64> {
        let phi = self.shape.phi(features);
        let rows = self.trained.chunks(self.shape.row());
        rows.map(|theta| dot(theta, &phi)).collect()
    }

    /// The posterior variance of each logit at one example's features.
    ///
    /// # Panics
    ///
    /// Panics unless there are `d_input` features.
    #[track_caller]
    pub fn logit_variances(&self, features: &[f64]) -> Vec<f64> {
        let phi = self.shape.phi(features);
        let (row, joint) = (self.shape.row(), self.blocks.len() == 1);
        (0..self.shape.outputs)
            .map(|class| {
                let mut x = vec![0.0; self.blocks[0].dim()];
                let at = if joint { class * row } else { 0 };
                x[at..at + row].copy_from_slice(&phi);
                let block = &self.blocks[if joint { 0 } else { class }];
                block.inverse_form(&x, &x, 1.0, self.prior_precision)
            })
            .collect()
    }
}

impl LastLayerPosterior for SoftmaxLastLayer {
    fn sample_layer(&self, seed: u64, index: u64, device: &Device) -> Linear {
        let mut rows = self.trained.clone();
        let parts = rows.chunks_mut(self.blocks[0].dim());
        for ((stream, theta), block) in parts.enumerate().zip(&self.blocks) {
            let normals = normals(seed, index, stream, theta.len());
            let step = block.draw(&normals, 1.0, self.prior_precision);
            theta.iter_mut().zip(step).for_each(|(t, s)| *t += s);
        }
        self.shape.write(&rows, device)
    }
}
