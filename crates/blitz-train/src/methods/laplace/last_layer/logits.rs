//! What the last layers of classifiers share: a normal about the trained weights, in blocks.

use burn::data::dataloader::DataLoader;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::super::error::{LaplaceError, positive};
use super::super::numbers::{dot, normals};
use super::super::prior_precision::evidence::best_precision;
use super::super::prior_precision::held_out::{HeldOut, Sums, search};
use super::curvature::{Curvature, Spread};
use super::features::for_each_batch;
use super::shape::LayerShape;
use super::stored::StoredLogits;
use crate::batch::LabeledBatch;

/// The posterior of a layer whose outputs are logits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "StoredLogits")]
pub(super) struct LogitLayer {
    pub(super) shape: LayerShape,
    trained: Vec<f64>,
    pub(super) curvature: Curvature,
    log_likelihood: f64,
    pub(super) prior_precision: f64,
}

impl LogitLayer {
    /// Of the trained weights, output after output, and the likelihood's curvature.
    pub(super) fn new(
        shape: LayerShape,
        trained: Vec<f64>,
        curvature: Curvature,
        log_likelihood: f64,
    ) -> Self {
        Self {
            shape,
            trained,
            curvature,
            log_likelihood,
            prior_precision: 1.0,
        }
    }

    pub(super) fn with_prior_precision(
        mut self,
        prior_precision: f64,
    ) -> Result<Self, LaplaceError> {
        self.prior_precision = positive("the prior precision", prior_precision)?;
        self.curvature.check(prior_precision)?;
        Ok(self)
    }

    pub(super) fn with_best_prior_precision(self) -> Result<Self, LaplaceError> {
        let best = best_precision(|precision| self.evidence(precision))?;
        self.with_prior_precision(best)
    }

    pub(super) fn evidence(&self, precision: f64) -> f64 {
        let weights = self.shape.parameters() as f64;
        self.log_likelihood - 0.5 * precision * dot(&self.trained, &self.trained)
            + 0.5 * weights * precision.ln()
            - 0.5 * self.curvature.log_det(precision)
    }

    /// Those of joint and per-output blocks; none of Kronecker factors.
    pub(super) fn covariances(&self) -> Vec<Vec<f64>> {
        let blocks = match &self.curvature {
            Curvature::Joint(spectrum) => std::slice::from_ref(spectrum),
            Curvature::PerOutput(blocks) => blocks,
            Curvature::Kronecker(_) => &[],
        };
        let blocks = blocks.iter();
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
    pub(super) fn spread(&self, features: &[f64]) -> Spread<'_> {
        self.curvature.spread(&self.shape, features)
    }

    #[track_caller]
    pub(super) fn logit_variances(&self, features: &[f64]) -> Vec<f64> {
        self.spread(features).variances(self.prior_precision)
    }

    pub(super) fn sample_layer(&self, seed: u64, index: u64, device: &Device) -> Linear {
        let normals = |stream, len| normals(seed, index, stream, len);
        let step = self
            .curvature
            .draw(normals, self.trained.len(), self.prior_precision);
        let drawn = self.trained.iter().zip(step).map(|(t, s)| t + s);
        self.shape.write(&drawn.collect::<Vec<f64>>(), device)
    }

    /// The precision of lowest held-out nll.
    ///
    /// `read` gives the labels of a batch of so many examples, with so many before it; `nll` is an example's, of its
    /// logits, and of what their covariance at a precision is computed from or of the logits alone.
    pub(super) fn held_out<I: Clone, T, L>(
        &self,
        data: &dyn DataLoader<LabeledBatch<I, T>>,
        features: impl Fn(I) -> Tensor<2>,
        read: impl Fn(T, usize, usize) -> Result<Vec<L>, LaplaceError>,
        nll: impl Fn(&[f64], Option<(&Spread<'_>, f64)>, &L) -> f64,
    ) -> Result<HeldOut, LaplaceError> {
        let pass = |precisions: &[f64]| {
            let mut sums = Sums::new(precisions.len());
            let d_input = self.shape.d_input;
            for_each_batch(data, &features, &self.shape, |phi, targets, before| {
                let labels = read(targets, phi.nrows(), before)?;
                for (row, label) in phi.row_iter().zip(&labels) {
                    let x: Vec<f64> = row.iter().copied().take(d_input).collect();
                    let (logits, spread) =
                        (self.logits(&x), self.curvature.spread(&self.shape, &x));
                    let of_precision = |p: &f64| nll(&logits, Some((&spread, *p)), label);
                    let values = precisions.iter().map(of_precision).collect();
                    sums.add(nll(&logits, None, label), values);
                }
                Ok(())
            })?;
            Ok(sums)
        };
        search(|precision| self.curvature.check(precision).is_ok(), pass)
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
            /// That is not the λ of the best predictions: a network that fits its training examples is sure of all of
            /// them, where the curvature of the likelihood vanishes, and the marginal likelihood of so flat a posterior
            /// is largest where λ is far too small. Have held-out examples choose it
            /// ([`with_held_out_prior_precision`](Self::with_held_out_prior_precision)) if there are any.
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

            /// The covariances of the weights, row-major: one joint matrix, or one for each output. None of Kronecker
            /// factors.
            pub fn covariances(&self) -> Vec<Vec<f64>> {
                self.0.covariances()
            }

            /// The posterior mean of the logits at one example's features.
            ///
            /// # Panics
            ///
            /// Panics unless there are `d_input` features, all of them finite.
            #[track_caller]
            pub fn logits(&self, features: &[f64]) -> Vec<f64> {
                self.0.logits(features)
            }

            /// The posterior variance of each logit at one example's features.
            ///
            /// # Panics
            ///
            /// Panics unless there are `d_input` features, all of them finite.
            #[track_caller]
            pub fn logit_variances(&self, features: &[f64]) -> Vec<f64> {
                self.0.logit_variances(features)
            }

            /// The posterior covariance of the logits at one example's features, row-major.
            ///
            /// # Panics
            ///
            /// Panics unless there are `d_input` features, all of them finite.
            #[track_caller]
            pub fn logit_covariance(&self, features: &[f64]) -> Vec<f64> {
                self.0.spread(features).covariance(self.0.prior_precision)
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
