//! One pass over the training data.

use std::collections::HashSet;

use blitz_layers::blitz_core::BayesianModule;
use burn::data::dataloader::{DataLoader, Progress};
use burn::module::{ModuleVisitor, Param, ParamId};
use burn::tensor::{Tensor, TensorData};

use super::super::error::{LaplaceError, TWICE, deterministic, repeats};
use super::super::features::finite;
use super::super::gradients::gradients_of;
use super::super::layer::host;
use super::super::softmax::MAX_JOINT_PARAMETERS;
use super::curvature::{Curvature, Sums};
use super::{GaussNewton, LossCurvature, NetworkLaplaceConfig, WeightCovariance};
use crate::network::{LabeledBatch, Network, as_in_prediction};

pub(super) struct Fitted {
    pub(super) curvature: Curvature,
    pub(super) squared_norm: f64,
    pub(super) log_likelihood: f64,
}

pub(super) fn fit<N, L>(
    config: &NetworkLaplaceConfig,
    network: &N,
    likelihood: &L,
    data: &dyn DataLoader<LabeledBatch<N::Input, L::Target>>,
    mut progress: impl FnMut(&Progress),
) -> Result<Fitted, LaplaceError>
where
    N: Network<Output = Tensor<2>>,
    L: GaussNewton,
{
    deterministic(network)?;
    if let Some(reason) = likelihood.refusal() {
        return Err(LaplaceError::Likelihood { reason });
    }
    // The gradient of a weight that is tied is that of all its places.
    let predicting = as_in_prediction(network).retie();
    let mut random = RandomTensors::default();
    predicting.visit(&mut random);
    let weights = random.weights();
    if weights == 0 {
        return Err(LaplaceError::NoGradient);
    }
    if config.covariance == WeightCovariance::Joint && weights > MAX_JOINT_PARAMETERS {
        return Err(LaplaceError::TooLarge {
            parameters: weights,
            limit: MAX_JOINT_PARAMETERS,
        });
    }
    let mut sums = Sums::new(config.covariance, &random.shapes);
    let mut log_likelihood = 0.0;
    let mut examples = 0;
    let mut batches = data.iter();
    while let Some(batch) = batches.next() {
        let LabeledBatch { inputs, targets } = batch?;
        let output = one_example(&predicting, inputs.clone())?;
        let values = host(output.clone());
        finite(&values, values.len(), "an output", examples)?;
        if examples < TWICE {
            let again = host(one_example(&predicting, inputs.clone())?);
            repeats("an output", &values, &again, values.len(), examples)?;
        }
        let roots = match config.curvature {
            LossCurvature::GaussNewton => likelihood.hessian_roots(&values),
            LossCurvature::EmpiricalFisher => Vec::new(),
        };
        let nll = likelihood.nll(output.clone(), targets);
        let value = host(nll.clone().detach());
        finite(&value, 1, "the negative log likelihood", examples)?;
        log_likelihood -= value.iter().sum::<f64>();
        let mut add = |number: Tensor<1>| {
            let gradient = gradients_of(&predicting, &number.backward());
            for part in gradient.iter().flatten() {
                finite(part, part.len(), "a gradient", examples)?;
            }
            sums.add(gradient);
            Ok::<_, LaplaceError>(())
        };
        if config.curvature == LossCurvature::EmpiricalFisher {
            add(nll.sum())?;
        }
        let mut first = Some(output);
        for root in &roots {
            // A backward pass takes the graph with it.
            let output = match first.take() {
                Some(output) => output,
                None => one_example(&predicting, inputs.clone())?,
            };
            add(along(output, root))?;
        }
        examples += 1;
        progress(&batches.progress());
    }
    if examples == 0 {
        return Err(LaplaceError::Empty);
    }
    Ok(Fitted {
        curvature: sums.curvature(),
        squared_norm: random.squared_norm,
        log_likelihood,
    })
}

/// The outputs of a batch of one example.
pub(super) fn one_example<N>(predicting: &N, inputs: N::Input) -> Result<Tensor<2>, LaplaceError>
where
    N: Network<Output = Tensor<2>>,
{
    // The mean mode switches off what is random in prediction too.
    let output = predicting.with_mean(|network| network.forward(inputs));
    let [examples, _] = output.dims();
    if examples != 1 {
        return Err(LaplaceError::Shape {
            what: "the number of examples",
            expected: 1,
            got: examples,
        });
    }
    match output.is_tracked() {
        true => Ok(output),
        false => Err(LaplaceError::NoGradient),
    }
}

/// The outputs' sum, weighted.
pub(super) fn along(output: Tensor<2>, weights: &[f64]) -> Tensor<1> {
    let options = (&output.device(), output.dtype());
    let weights = TensorData::new(weights.to_vec(), output.dims());
    (output * Tensor::from_data(weights, options)).sum()
}

/// The float parameters that train.
#[derive(Default)]
struct RandomTensors {
    /// In the module's order; none of one that stays as it is, and at the later places of a weight that is tied.
    shapes: Vec<Option<Vec<usize>>>,
    squared_norm: f64,
    seen: HashSet<ParamId>,
}

impl RandomTensors {
    fn weights(&self) -> usize {
        let shapes = self.shapes.iter().flatten();
        shapes.map(|shape| shape.iter().product::<usize>()).sum()
    }
}

impl ModuleVisitor for RandomTensors {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let base = param.base();
        let is_random = base.is_require_grad() && self.seen.insert(param.id);
        self.shapes.push(is_random.then(|| base.dims().to_vec()));
        if is_random {
            self.squared_norm += host(base).iter().map(|w| w * w).sum::<f64>();
        }
    }
}
