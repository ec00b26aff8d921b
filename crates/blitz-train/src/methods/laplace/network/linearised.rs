//! Predictions of the network that is linear in its weights.

use blitz_layers::blitz_core::{BayesianModule, wide_type};
use blitz_predict::CategoricalMixture;
use burn::data::dataloader::DataLoader;
use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use super::super::error::LaplaceError;
use super::super::labels::{label_nll, labels};
use super::super::normal_logits::{NormalLogits, Root};
use super::super::numbers::{finite, host};
use super::super::prior_precision::held_out::{HeldOut, Sums, search};
use super::fit::{Example, along};
use super::gradients::gradients_of;
use super::{GaussNewton, NetworkLaplace};
use crate::batch::LabeledBatch;
use crate::likelihood::CategoricalLikelihood;
use crate::module_state::as_in_prediction;
use crate::network::Network;
use crate::predict::Quantiles;
use crate::predict::link::{Link, contrast_variances, probit_logits};

/// The values that stand for the distribution of an output, as in a [`MomentsPredictor`](crate::MomentsPredictor).
const QUANTILES: usize = 100;

/// The outputs of a linearised network for one example: normal, since it is linear in weights that are.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct NormalOutput {
    /// Those of the trained network.
    pub mean: Vec<f64>,
    /// Their covariance, row-major.
    pub covariance: Vec<f64>,
}

impl NormalOutput {
    /// The variance of each output.
    pub fn variances(&self) -> Vec<f64> {
        let outputs = self.mean.len();
        (0..outputs)
            .map(|k| self.covariance[k * (outputs + 1)])
            .collect()
    }
}

impl NormalLogits for NormalOutput {
    fn means(&self) -> &[f64] {
        &self.mean
    }

    fn variances(&self) -> Vec<f64> {
        self.variances()
    }

    fn contrast_variances(&self) -> Vec<f64> {
        contrast_variances(&self.covariance, self.mean.len())
    }

    fn root(&self) -> Root<'_> {
        Root::of(self.covariance.clone(), self.mean.len())
    }
}

/// Values that stand for independent standard normals, as many as there are outputs: rows of one for each.
struct Standard(Vec<Vec<f64>>);

impl Standard {
    fn new(outputs: usize) -> Self {
        let quantiles = Quantiles::new(QUANTILES, outputs, 0);
        let rows = quantiles.rows().iter();
        let row = |row: &Vec<f32>| row.iter().copied().map(f64::from).collect();
        Self(rows.map(row).collect())
    }

    /// Steps with the covariance of these outputs; with its variances where [`Quantiles`] leaves correlations.
    fn steps(&self, output: &NormalOutput) -> Vec<Vec<f64>> {
        let root = output.root();
        let mut steps: Vec<Vec<f64>> = self.0.iter().map(|z| root.times(z)).collect();
        for (k, variance) in output.variances().into_iter().enumerate() {
            let square = steps.iter().map(|step| step[k] * step[k]).sum::<f64>();
            let square = square / QUANTILES as f64;
            if square > 0.0 {
                let scale = (variance / square).sqrt();
                steps.iter_mut().for_each(|step| step[k] *= scale);
            }
        }
        steps
    }
}

type Typed = (Vec<NormalOutput>, (Device, DType));

/// The trained outputs of one example, and the gradients of each in the eigenvectors of the curvature.
struct Linear {
    outputs: Vec<f64>,
    coordinates: Vec<Vec<f64>>,
}

impl<N, L> NetworkLaplace<N, L>
where
    N: Network<Output = Tensor<2>>,
{
    /// The outputs of the linearised network for each example of a batch: mean those of the trained network, covariance
    /// `J Σ Jᵀ` by their gradients J.
    ///
    /// A pass forward and back of the batch for each output of each example: give few at a time.
    ///
    /// # Errors
    ///
    /// Outputs or gradients that are not finite, or none at all: the inputs have to be on the network's autodiff
    /// device.
    pub fn outputs(&self, inputs: N::Input) -> Result<Vec<NormalOutput>, LaplaceError> {
        Ok(self.typed_outputs(inputs)?.0)
    }

    /// With the device and the type of the network's outputs, `f32` at least.
    fn typed_outputs(&self, inputs: N::Input) -> Result<Typed, LaplaceError> {
        let predicting = as_in_prediction(&self.network).retie();
        let forward = || predicting.with_mean(|network| network.forward(inputs.clone()));
        let output = forward();
        let [examples, outputs] = output.dims();
        let device = output.device().without_autodiff();
        let dtype = wide_type(output.dtype());
        let mut first = Some(output);
        let linear = |example: usize| {
            let mut linear = Linear {
                outputs: Vec::new(),
                coordinates: Vec::new(),
            };
            for k in 0..outputs {
                // A backward pass takes the graph with it.
                let output = first.take().unwrap_or_else(forward);
                let row = output.narrow(0, example, 1);
                linear.outputs = host(row.clone().detach());
                finite(&linear.outputs, outputs, "an output", example)?;
                linear
                    .coordinates
                    .push(self.gradient(&predicting, row, k, example)?);
            }
            Ok::<_, LaplaceError>(self.normal(&linear, self.prior_precision))
        };
        let outputs = (0..examples).map(linear).collect::<Result<_, _>>()?;
        Ok((outputs, (device, dtype)))
    }

    /// The gradient of output `k` of one example, in the eigenvectors of the curvature.
    fn gradient(
        &self,
        predicting: &N,
        output: Tensor<2>,
        k: usize,
        example: usize,
    ) -> Result<Vec<f64>, LaplaceError> {
        if !output.is_tracked() {
            return Err(LaplaceError::NoGradient);
        }
        let mut weights = vec![0.0; output.dims()[1]];
        weights[k] = 1.0;
        let gradients = along(output, &weights).backward();
        let by_tensor = gradients_of(predicting, &gradients, example)?;
        let gradient = self.curvature.flat(by_tensor);
        Ok(self.curvature.coordinates(&gradient))
    }

    fn normal(&self, linear: &Linear, precision: f64) -> NormalOutput {
        let coordinates = &linear.coordinates;
        let form = |a: &[f64], b: &[f64]| -> f64 {
            let terms = a.iter().zip(b).zip(&self.eigenvalues);
            terms.map(|((a, b), e)| a * b / (e + precision)).sum()
        };
        let pairs = coordinates
            .iter()
            .flat_map(|a| coordinates.iter().map(move |b| (a, b)));
        NormalOutput {
            mean: linear.outputs.clone(),
            covariance: pairs.map(|(a, b)| form(a, b)).collect(),
        }
    }
}

impl<N, L> NetworkLaplace<N, L>
where
    N: Network<Output = Tensor<2>>,
    L: GaussNewton,
{
    /// The predictive distributions of a batch by the linearised network: 100 values with the mean and the covariance
    /// of [`outputs`](Self::outputs), which the likelihood takes for draws. Of more than 50 outputs, the covariances
    /// between them are near.
    ///
    /// # Errors
    ///
    /// As [`outputs`](Self::outputs).
    pub fn predict(&self, inputs: N::Input) -> Result<L::Predictive, LaplaceError> {
        let (outputs, (device, dtype)) = self.typed_outputs(inputs)?;
        let width = outputs.first().map_or(0, |output| output.mean.len());
        let standard = Standard::new(width);
        let steps: Vec<_> = outputs
            .iter()
            .map(|output| standard.steps(output))
            .collect();
        let draw = |k: usize| {
            let rows = outputs.iter().zip(&steps).flat_map(|(output, steps)| {
                let pairs = output.mean.iter().zip(&steps[k]);
                pairs.map(|(m, s)| m + s)
            });
            let rows: Vec<f64> = rows.collect();
            let rows = TensorData::new(rows, [outputs.len(), width]);
            Tensor::<2>::from_data(rows, (&device, dtype))
        };
        let draws = (0..QUANTILES).map(draw).collect();
        Ok(self.likelihood.try_predictive(draws)?)
    }
}

impl<N> NetworkLaplace<N, CategoricalLikelihood>
where
    N: Network<Output = Tensor<2>>,
{
    /// The class probabilities of a batch, each the mean of the softmax over the normal [`outputs`](Self::outputs).
    /// They stand for one draw, so that no part of their entropy counts as epistemic:
    /// [`predict`](Self::predict) tells the parts.
    ///
    /// # Errors
    ///
    /// As [`outputs`](Self::outputs).
    ///
    /// # Panics
    ///
    /// Panics if the link has no draws.
    pub fn predict_linked(
        &self,
        inputs: N::Input,
        link: Link,
    ) -> Result<CategoricalMixture, LaplaceError> {
        let outputs = self.outputs(inputs)?;
        let classes = self.likelihood.classes;
        let logits = outputs
            .iter()
            .flat_map(|output| output.linked(link))
            .collect();
        let mixture = CategoricalMixture::try_from_logits([logits], classes);
        Ok(mixture.map_err(crate::error::PredictError::from)?)
    }

    pub(super) fn held_out(
        &self,
        data: &dyn DataLoader<LabeledBatch<N::Input, Tensor<1, Int>>>,
    ) -> Result<HeldOut, LaplaceError> {
        let predicting = as_in_prediction(&self.network).retie();
        let pass = |precisions: &[f64]| {
            let mut sums = Sums::new(precisions.len());
            for batch in data.iter() {
                let LabeledBatch { inputs, targets } = batch?;
                let number = sums.examples;
                let mut example = Example::new(&predicting, inputs, number)?;
                let classes = example.outputs.len();
                let label = labels(targets, classes, 1, number)?[0];
                let gradient = |k| self.gradient(&predicting, example.next_graph()?, k, number);
                let coordinates = (0..classes).map(gradient).collect::<Result<_, _>>()?;
                let linear = Linear {
                    outputs: example.outputs,
                    coordinates,
                };
                let of_precision = |precision: &f64| {
                    let output = self.normal(&linear, *precision);
                    let logits = probit_logits(&output.mean, &output.contrast_variances());
                    label_nll(logits, label)
                };
                let values = precisions.iter().map(of_precision).collect();
                sums.add(label_nll(linear.outputs, label), values);
            }
            match sums.examples {
                0 => Err(LaplaceError::Empty),
                _ => Ok(sums),
            }
        };
        search(|precision| self.check(precision).is_ok(), pass)
    }
}
