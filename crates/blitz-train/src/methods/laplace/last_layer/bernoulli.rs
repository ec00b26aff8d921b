//! The last layer of a binary classification: one logit, or several for labels that do not exclude each other.

use burn::data::dataloader::DataLoader;
use burn::nn::Linear;
use burn::tensor::{Int, Tensor};
use nalgebra::DMatrix;
use serde::{Deserialize, Serialize};

use super::super::error::{LaplaceError, deterministic, size};
use super::super::numbers::finite;
use super::super::prior_precision::held_out::HeldOut;
use super::super::spectrum::Spectrum;
use super::curvature::Curvature;
use super::features::for_each_batch;
use super::logits::{LogitLayer, of_logits};
use super::shape::LayerShape;
use crate::batch::LabeledBatch;
use crate::predict::link::probit_scale;

/// The posterior of the last layer of a network for a [`BernoulliLikelihood`](crate::BernoulliLikelihood), about the
/// trained weights.
///
/// Outputs are independent. The precision of each is `Σ p (1 − p) φφᵀ + λ I`, with the features φ, a 1 among them for
/// the bias, and p the trained network's probability: the Gauss–Newton matrix of the negative log likelihood, which is
/// its Hessian here, plus that of the prior.
///
/// ```
/// # use blitz_train::LabeledBatch;
/// # use blitz_train::laplace::BernoulliLastLayer;
/// # use burn::data::dataloader::{DataLoaderBuilder, batcher::Batcher};
/// # use burn::data::dataset::InMemDataset;
/// # use burn::nn::LinearConfig;
/// # use burn::tensor::{Device, Int, Tensor};
/// # struct Signs;
/// # impl Batcher<f32, LabeledBatch<Tensor<2>, Tensor<2, Int>>> for Signs {
/// #     fn batch(&self, x: Vec<f32>, device: &Device) -> LabeledBatch<Tensor<2>, Tensor<2, Int>> {
/// #         let x: Tensor<2> = Tensor::<1>::from_floats(x.as_slice(), device).unsqueeze_dim(1);
/// #         LabeledBatch { targets: x.clone().greater_elem(0.0).int(), inputs: x }
/// #     }
/// # }
/// # let device = Device::flex();
/// # let loader = DataLoaderBuilder::new(Signs).batch_size(4).set_device(device.clone())
/// #     .build(InMemDataset::new((0..20).map(|i| i as f32 / 10.0 - 1.0).collect()));
/// # let last = LinearConfig::new(1, 1).init(&device);
/// // Targets are 0 and 1, `[examples, outputs]`, as the likelihood has them.
/// let posterior = BernoulliLastLayer::fit(loader.as_ref(), |x: Tensor<2>| x, &last, 1.0)?;
/// let [near, far] = [0.0, 5.0].map(|x| posterior.logit_variances(&[x])[0]);
/// assert!(far > near);
/// # Ok::<(), blitz_train::laplace::LaplaceError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BernoulliLastLayer(LogitLayer);

impl BernoulliLastLayer {
    /// Reads all batches: `features` gives the input of `layer` for a batch, `[examples, d_input]`; targets are 0 and
    /// 1, `[examples, outputs]`; λ is `prior_precision`.
    ///
    /// # Errors
    ///
    /// Data that are empty, not finite, of another shape or can't be read; targets other than 0 and 1; a λ that isn't
    /// positive, or too small for collinear features; features on an autodiff device, where layers train; features that
    /// are others each time; a layer that has a posterior, or is quantized.
    pub fn fit<I: Clone>(
        data: &dyn DataLoader<LabeledBatch<I, Tensor<2, Int>>>,
        features: impl Fn(I) -> Tensor<2>,
        layer: &Linear,
        prior_precision: f64,
    ) -> Result<Self, LaplaceError> {
        deterministic(layer)?;
        let (shape, trained) = LayerShape::read(layer)?;
        let (row, outputs) = (shape.row(), shape.outputs);
        let theta = DMatrix::from_column_slice(row, outputs, &trained);
        let mut blocks = vec![DMatrix::<f64>::zeros(row, row); outputs];
        let mut log_likelihood = 0.0;
        for_each_batch(data, features, &shape, |phi, targets, before| {
            let targets = read(targets, outputs, phi.nrows(), before)?;
            let logits = &phi * &theta;
            finite(logits.transpose().as_slice(), outputs, "a logit", before)?;
            for (output, block) in blocks.iter_mut().enumerate() {
                let mut weighted = phi.clone();
                for (i, mut features) in weighted.row_iter_mut().enumerate() {
                    let (logit, sign) = (logits[(i, output)], targets[i][output]);
                    log_likelihood += log_sigmoid(sign * logit);
                    // p (1 − p), neither of which vanishes as a logarithm.
                    features *= (log_sigmoid(logit) + log_sigmoid(-logit)).exp();
                }
                *block += phi.tr_mul(&weighted);
            }
            Ok(())
        })?;
        let blocks = blocks.into_iter().map(Spectrum::new).collect();
        let curvature = Curvature::PerOutput(blocks);
        let fitted = LogitLayer::new(shape, trained, curvature, log_likelihood);
        Ok(Self(fitted.with_prior_precision(prior_precision)?))
    }

    /// The prior precision λ in [10⁻¹², 10¹²] under which examples that the network was not trained on are predicted
    /// best, by
    /// [`predict`](Self::predict); and how well, beside the trained weights. `features` are as in [`fit`](Self::fit). The data are read twice.
    ///
    /// # Errors
    ///
    /// As [`fit`](Self::fit) for these data; or if no λ makes up for collinear features.
    pub fn with_held_out_prior_precision<I: Clone>(
        self,
        data: &dyn DataLoader<LabeledBatch<I, Tensor<2, Int>>>,
        features: impl Fn(I) -> Tensor<2>,
    ) -> Result<(Self, HeldOut), LaplaceError> {
        let outputs = self.0.shape.outputs;
        let held_out = self.0.held_out(
            data,
            features,
            |targets, rows, before| read(targets, outputs, rows, before),
            |logits, spread, signs| {
                let scales = match spread {
                    Some((spread, precision)) => {
                        let variances = spread.variances(precision).into_iter();
                        variances.map(probit_scale).collect()
                    }
                    None => vec![1.0; outputs],
                };
                let terms = logits.iter().zip(scales).zip(signs);
                terms.map(|((z, s), sign)| -log_sigmoid(sign * z * s)).sum()
            },
        )?;
        let found = self.0.with_prior_precision(held_out.prior_precision)?;
        Ok((Self(found), held_out))
    }

    /// The probability of 1 of each output at one example's features: `1/(1 + exp(−f/√(1 + π v/8)))`, the probit
    /// approximation for a logit of mean f and variance v.
    ///
    /// # Panics
    ///
    /// Panics unless there are `d_input` features, all of them finite.
    #[track_caller]
    pub fn predict(&self, features: &[f64]) -> Vec<f64> {
        let logits = self.logits(features).into_iter();
        let pairs = logits.zip(self.logit_variances(features));
        pairs
            .map(|(z, v)| log_sigmoid(z * probit_scale(v)).exp())
            .collect()
    }
}

/// The labels of a batch as signs: 1 for 1 and −1 for 0, a row for each example.
fn read(
    targets: Tensor<2, Int>,
    outputs: usize,
    rows: usize,
    before: usize,
) -> Result<Vec<Vec<f64>>, LaplaceError> {
    let [targets_rows, columns] = targets.dims();
    size("the number of targets", rows, targets_rows)?;
    size("the number of target columns", outputs, columns)?;
    let labels: Vec<i64> = targets.into_data().iter::<i64>().collect();
    let sign = |at: usize| match labels[at] {
        1 => Ok(1.0),
        0 => Ok(-1.0),
        label => Err(LaplaceError::Label {
            example: before + at / outputs,
            label,
            classes: 2,
        }),
    };
    let row = |i: usize| (i * outputs..(i + 1) * outputs).map(sign).collect();
    (0..rows).map(row).collect()
}

/// `ln 1/(1 + exp(−x))`.
fn log_sigmoid(x: f64) -> f64 {
    x.min(0.0) - (-x.abs()).exp().ln_1p()
}

of_logits!(BernoulliLastLayer, "features are collinear");
