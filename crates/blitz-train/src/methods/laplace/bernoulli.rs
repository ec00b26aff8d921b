//! The last layer of a binary classification: one logit, or several for labels that do not exclude each other.

use burn::data::dataloader::DataLoader;
use burn::nn::Linear;
use burn::tensor::{Int, Tensor};
use nalgebra::DMatrix;
use serde::{Deserialize, Serialize};

use super::error::{LaplaceError, deterministic};
use super::features::{examples, finite, for_each_batch};
use super::layer::LayerShape;
use super::logits::{LogitLayer, of_logits};
use crate::network::LabeledBatch;

/// The posterior of the last layer of a network for a [`BernoulliLikelihood`](crate::BernoulliLikelihood), about the trained weights.
///
/// Outputs are independent. The precision of each is `Σ p (1 − p) φφᵀ + λ I`, with the features φ, a 1 among them for the bias, and p the trained network's probability: the
/// Gauss–Newton matrix of the negative log likelihood, which is its Hessian here, plus that of the prior.
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
    /// Reads all batches: `features` gives the input of `layer` for a batch, `[examples, d_input]`; targets are 0 and 1, `[examples, outputs]`; λ is
    /// `prior_precision`.
    ///
    /// # Errors
    ///
    /// Data that are empty, not finite, of another shape or can't be read; targets other than 0 and 1; a λ that isn't positive, or too small for collinear
    /// features; features on an autodiff device, where layers train; features that are others each time; a layer that has a posterior.
    pub fn fit<I: Clone>(
        data: &dyn DataLoader<LabeledBatch<I, Tensor<2, Int>>>,
        features: impl Fn(I) -> Tensor<2>,
        layer: &Linear,
        prior_precision: f64,
    ) -> Result<Self, LaplaceError> {
        deterministic(layer)?;
        let (shape, trained) = LayerShape::read(layer);
        let (row, outputs) = (shape.row(), shape.outputs);
        let theta = DMatrix::from_column_slice(row, outputs, &trained);
        let mut blocks = vec![DMatrix::<f64>::zeros(row, row); outputs];
        let mut log_likelihood = 0.0;
        for_each_batch(data, features, &shape, |phi, targets, before| {
            let [rows, columns] = targets.dims();
            examples("the number of targets", phi.nrows(), rows)?;
            examples("the number of target columns", outputs, columns)?;
            let targets: Vec<i64> = targets.into_data().iter::<i64>().collect();
            let logits = &phi * &theta;
            finite(logits.transpose().as_slice(), outputs, "a logit", before)?;
            for (output, block) in blocks.iter_mut().enumerate() {
                let mut weighted = phi.clone();
                for (i, mut features) in weighted.row_iter_mut().enumerate() {
                    let (logit, label) = (logits[(i, output)], targets[i * outputs + output]);
                    let sign = match label {
                        1 => 1.0,
                        0 => -1.0,
                        _ => {
                            return Err(LaplaceError::Label {
                                example: before + i,
                                label,
                                classes: 2,
                            });
                        }
                    };
                    log_likelihood += log_sigmoid(sign * logit);
                    // p (1 − p), neither of which vanishes as a logarithm.
                    features *= (log_sigmoid(logit) + log_sigmoid(-logit)).exp();
                }
                *block += phi.tr_mul(&weighted);
            }
            Ok(())
        })?;
        let fitted = LogitLayer::new(shape, trained, blocks, log_likelihood);
        Ok(Self(fitted.with_prior_precision(prior_precision)?))
    }
}

/// `ln 1/(1 + exp(−x))`.
fn log_sigmoid(x: f64) -> f64 {
    x.min(0.0) - (-x.abs()).exp().ln_1p()
}

of_logits!(BernoulliLastLayer, "features are collinear");
