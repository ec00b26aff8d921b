//! The last layer of a classification.

use blitz_predict::distribution::softmax::{log_softmax, softmax};
use burn::data::dataloader::DataLoader;
use burn::nn::Linear;
use burn::tensor::{Int, Tensor};
use nalgebra::DMatrix;
use serde::{Deserialize, Serialize};

use super::super::error::{LaplaceError, deterministic};
use super::super::labels::{label_nll, labels};
use super::super::normal_logits::{NormalLogits, Root};
use super::super::numbers::finite;
use super::super::prior_precision::held_out::HeldOut;
use super::class_sums::ClassSums;
use super::curvature::Spread;
use super::features::for_each_batch;
use super::logits::{LogitLayer, of_logits};
use super::shape::LayerShape;
use crate::batch::LabeledBatch;
use crate::predict::link::{Link, probit_logits};

/// What the covariance of a softmax layer's weights keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ClassCovariance {
    /// All of it, over at most [`MAX_JOINT_PARAMETERS`](super::super::MAX_JOINT_PARAMETERS) weights.
    Joint,
    /// One full block for each class, covariances between classes left out.
    PerClass,
    /// Kronecker factors, `G ⊗ A` for the weights and G for the bias: for many classes, or many features. G, classes by
    /// classes, sums the Hessians of the likelihood by the logits; A, features by features, is the mean of φφᵀ.
    /// Covariances between weights and bias are left out. All of it is the KFAC of laplace-torch.
    Kronecker,
}

/// The posterior of the last layer of a softmax classification, about the trained weights.
///
/// Its precision is the generalised Gauss–Newton matrix `Σ (diag p − p pᵀ) ⊗ φφᵀ` of the negative log likelihood, plus
/// λ I; φ are the features with a 1 for the bias, p the trained network's probabilities. The weights are ordered class
/// after class, each with its bias last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SoftmaxLastLayer(LogitLayer);

impl SoftmaxLastLayer {
    /// Reads all batches: `features` gives the input of `layer` for a batch, `[examples, d_input]`; targets are labels,
    /// `[examples]`; λ is `prior_precision`.
    ///
    /// # Errors
    ///
    /// Data that are empty, not finite, of another shape or can't be read; labels that are no class; a λ that isn't
    /// positive, or too small for collinear features; more than
    /// [`MAX_JOINT_PARAMETERS`](super::super::MAX_JOINT_PARAMETERS) weights with
    /// [`ClassCovariance::Joint`]; features on an autodiff device, where layers train; features that are others each
    /// time; a layer that has a posterior, or is quantized.
    pub fn fit<I: Clone>(
        data: &dyn DataLoader<LabeledBatch<I, Tensor<1, Int>>>,
        features: impl Fn(I) -> Tensor<2>,
        layer: &Linear,
        covariance: ClassCovariance,
        prior_precision: f64,
    ) -> Result<Self, LaplaceError> {
        deterministic(layer)?;
        let (shape, trained) = LayerShape::read(layer)?;
        let classes = shape.outputs;
        let mut sums = ClassSums::new(covariance, shape)?;
        let theta = DMatrix::from_column_slice(shape.row(), classes, &trained);
        let mut log_likelihood = 0.0;
        for_each_batch(data, features, &shape, |phi, targets, before| {
            let labels = labels(targets, classes, phi.nrows(), before)?;
            let mut probabilities = &phi * &theta;
            finite(
                probabilities.transpose().as_slice(),
                classes,
                "a logit",
                before,
            )?;
            for (i, mut logits) in probabilities.row_iter_mut().enumerate() {
                let mut log_p: Vec<f64> = logits.iter().copied().collect();
                log_softmax(&mut log_p);
                log_likelihood += log_p[labels[i]];
                let probabilities = logits.iter_mut().zip(log_p);
                probabilities.for_each(|(p, log_p)| *p = log_p.exp());
            }
            sums.add(&phi, &probabilities);
            Ok(())
        })?;
        let curvature = sums.curvature();
        let fitted = LogitLayer::new(shape, trained, curvature, log_likelihood);
        Ok(Self(fitted.with_prior_precision(prior_precision)?))
    }

    /// The prior precision λ in [10⁻¹², 10¹²] under which examples that the network was not trained on are predicted
    /// best, by
    /// [`predict`](Self::predict) with [`Link::Probit`]; and how well, beside the trained weights. `features` are as in [`fit`](Self::fit). The data are
    /// read twice.
    ///
    /// A network that needs no such posterior gets a large λ, with which it predicts as it was trained, and
    /// [`HeldOut::improves`] says so.
    ///
    /// # Errors
    ///
    /// As [`fit`](Self::fit) for these data; or if no λ makes up for collinear features.
    pub fn with_held_out_prior_precision<I: Clone>(
        self,
        data: &dyn DataLoader<LabeledBatch<I, Tensor<1, Int>>>,
        features: impl Fn(I) -> Tensor<2>,
    ) -> Result<(Self, HeldOut), LaplaceError> {
        let classes = self.0.shape.outputs;
        let held_out = self.0.held_out(
            data,
            features,
            |targets, rows, before| labels(targets, classes, rows, before),
            |logits, spread, label| {
                let scaled = match spread {
                    Some((spread, precision)) => {
                        probit_logits(logits, &spread.contrast_variances(precision))
                    }
                    None => logits.to_vec(),
                };
                label_nll(scaled, *label)
            },
        )?;
        let found = self.0.with_prior_precision(held_out.prior_precision)?;
        Ok((Self(found), held_out))
    }

    /// The class probabilities at one example's features: the mean of the softmax over normal logits, whose moments are
    /// [`logits`](Self::logits) and
    /// [`logit_covariance`](Self::logit_covariance). The layer is linear in its weights, so these moments are exact.
    ///
    /// # Panics
    ///
    /// Panics unless there are `d_input` features, all of them finite, or without draws.
    #[track_caller]
    pub fn predict(&self, features: &[f64], link: Link) -> Vec<f64> {
        let predicted = Predicted {
            logits: self.logits(features),
            spread: self.0.spread(features),
            precision: self.prior_precision(),
        };
        softmax(predicted.linked(link), self.0.shape.outputs)
    }
}

/// The logits of one example, under a prior precision.
struct Predicted<'a> {
    logits: Vec<f64>,
    spread: Spread<'a>,
    precision: f64,
}

impl NormalLogits for Predicted<'_> {
    fn means(&self) -> &[f64] {
        &self.logits
    }

    fn variances(&self) -> Vec<f64> {
        self.spread.variances(self.precision)
    }

    fn contrast_variances(&self) -> Vec<f64> {
        self.spread.contrast_variances(self.precision)
    }

    fn root(&self) -> Root<'_> {
        self.spread.root(self.precision)
    }
}

of_logits!(
    SoftmaxLastLayer,
    "softmax leaves one direction for each feature to the prior alone"
);
