//! What the last layers of classifiers share: a normal about the trained weights, in blocks.

use burn::nn::Linear;
use burn::tensor::Device;
use nalgebra::DMatrix;
use serde::{Deserialize, Serialize};

use super::error::{LaplaceError, positive};
use super::evidence::best_precision;
use super::layer::{LayerShape, dot, normals};
use super::spectrum::Spectrum;

/// The posterior of a layer whose outputs are logits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct LogitLayer {
    shape: LayerShape,
    trained: Vec<f64>,
    /// One over all weights, or one for each output.
    blocks: Vec<Spectrum>,
    log_likelihood: f64,
    pub(super) prior_precision: f64,
}

impl LogitLayer {
    /// Of the trained weights, output after output, and the blocks of the likelihood's curvature.
    pub(super) fn new(
        shape: LayerShape,
        trained: Vec<f64>,
        curvature: Vec<DMatrix<f64>>,
        log_likelihood: f64,
    ) -> Self {
        Self {
            shape,
            trained,
            blocks: curvature.into_iter().map(Spectrum::new).collect(),
            log_likelihood,
            prior_precision: 1.0,
        }
    }

    pub(super) fn with_prior_precision(
        mut self,
        prior_precision: f64,
    ) -> Result<Self, LaplaceError> {
        self.prior_precision = positive("the prior precision", prior_precision)?;
        for block in &self.blocks {
            block.check(1.0, prior_precision)?;
        }
        Ok(self)
    }

    pub(super) fn with_best_prior_precision(self) -> Result<Self, LaplaceError> {
        let best = best_precision(|precision| self.evidence(precision))?;
        self.with_prior_precision(best)
    }

    pub(super) fn evidence(&self, precision: f64) -> f64 {
        let log_dets = self
            .blocks
            .iter()
            .map(|block| block.log_det(1.0, precision));
        let weights = self.shape.parameters() as f64;
        self.log_likelihood - 0.5 * precision * dot(&self.trained, &self.trained)
            + 0.5 * weights * precision.ln()
            - 0.5 * log_dets.sum::<f64>()
    }

    pub(super) fn covariances(&self) -> Vec<Vec<f64>> {
        let blocks = self.blocks.iter();
        blocks
            .map(|block| block.covariance(1.0, self.prior_precision))
            .collect()
    }

    #[track_caller]
    pub(super) fn logits(&self, features: &[f64]) -> Vec<f64> {
        let phi = self.shape.phi(features);
        let rows = self.trained.chunks(self.shape.row());
        rows.map(|theta| dot(theta, &phi)).collect()
    }

    #[track_caller]
    pub(super) fn logit_variances(&self, features: &[f64]) -> Vec<f64> {
        let phi = self.shape.phi(features);
        let (row, joint) = (self.shape.row(), self.blocks.len() == 1);
        (0..self.shape.outputs)
            .map(|output| {
                let mut x = vec![0.0; self.blocks[0].dim()];
                let at = if joint { output * row } else { 0 };
                x[at..at + row].copy_from_slice(&phi);
                let block = &self.blocks[if joint { 0 } else { output }];
                block.inverse_form(&x, &x, 1.0, self.prior_precision)
            })
            .collect()
    }

    pub(super) fn sample_layer(&self, seed: u64, index: u64, device: &Device) -> Linear {
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

/// What a posterior that wraps a [`LogitLayer`] offers, and why a prior may be too wide for it.
macro_rules! of_logits {
    ($layer:ident, $why:literal) => {
        impl $layer {
            /// The same data under another prior precision λ.
            ///
            /// # Errors
            ///
            #[doc = concat!("If λ isn't positive, or too small: ", $why, ".")]
            pub fn with_prior_precision(self, prior_precision: f64) -> Result<Self, LaplaceError> {
                Ok(Self(self.0.with_prior_precision(prior_precision)?))
            }

            /// The prior precision λ in [10⁻¹², 10¹²] of largest marginal likelihood.
            ///
            /// # Errors
            ///
            /// If the marginal likelihood grows to an end of that range.
            pub fn with_best_prior_precision(self) -> Result<Self, LaplaceError> {
                Ok(Self(self.0.with_best_prior_precision()?))
            }

            /// `ln p(labels | λ)` by Laplace, in nats.
            pub fn log_marginal_likelihood(&self) -> f64 {
                self.0.evidence(self.0.prior_precision)
            }

            /// The prior precision λ.
            pub fn prior_precision(&self) -> f64 {
                self.0.prior_precision
            }

            /// The covariances of the weights, row-major: one joint matrix, or one for each output.
            pub fn covariances(&self) -> Vec<Vec<f64>> {
                self.0.covariances()
            }

            /// The posterior mean of the logits at one example's features.
            ///
            /// # Panics
            ///
            /// Panics unless there are `d_input` features.
            #[track_caller]
            pub fn logits(&self, features: &[f64]) -> Vec<f64> {
                self.0.logits(features)
            }

            /// The posterior variance of each logit at one example's features.
            ///
            /// # Panics
            ///
            /// Panics unless there are `d_input` features.
            #[track_caller]
            pub fn logit_variances(&self, features: &[f64]) -> Vec<f64> {
                self.0.logit_variances(features)
            }
        }

        impl $crate::methods::laplace::LastLayerPosterior for $layer {
            fn sample_layer(
                &self,
                seed: u64,
                index: u64,
                device: &burn::tensor::Device,
            ) -> burn::nn::Linear {
                self.0.sample_layer(seed, index, device)
            }
        }
    };
}

pub(super) use of_logits;
