//! One pass over the training data.

use blitz_layers::blitz_core::BayesianModule;
use blitz_layers::blitz_core::noise::layout;
use burn::data::dataloader::{DataLoader, Progress};
use burn::tensor::{DType, Tensor, TensorData};

use super::super::error::{LaplaceError, TWICE, deterministic, positive, repeats, size};
use super::super::numbers::{finite, host, normals};
use super::super::spectrum::MAX_JOINT_PARAMETERS;
use super::curvature::{Sums, WeightCurvature};
use super::gradients::gradients_of;
use super::random_weights::{RandomWeight, random_weights};
use super::{GaussNewton, LossCurvature, NetworkLaplaceConfig, WeightCovariance};
use crate::batch::LabeledBatch;
use crate::error::TargetError;
use crate::module_state::as_in_prediction;
use crate::network::Network;

pub(super) struct Fitted {
    pub(super) curvature: WeightCurvature,
    pub(super) squared_norm: f64,
    pub(super) log_likelihood: f64,
    pub(super) examples: usize,
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
    let (predicting, random) = prepare(config, network, likelihood)?;
    let mut sums = Sums::new(config.covariance, &random);
    let mut log_likelihood = 0.0;
    let mut examples = 0;
    let mut batches = data.iter();
    while let Some(batch) = batches.next() {
        let LabeledBatch { inputs, targets } = batch?;
        let mut example = Example::new(&predicting, inputs, examples)?;
        likelihood.check_shapes(example.outputs.len(), &targets)?;
        likelihood
            .check_target(&targets)
            .map_err(|error| TargetError {
                example: examples,
                ..error
            })?;
        let nll = likelihood.nll(in_full(example.graph.clone()), targets);
        let value = host(nll.clone().detach());
        finite(&value, 1, "the negative log likelihood", examples)?;
        log_likelihood -= value.iter().sum::<f64>();
        let mut add = |number: Tensor<1>| {
            sums.add(gradients_of(&predicting, &number.backward(), examples)?);
            Ok::<_, LaplaceError>(())
        };
        let roots = || likelihood.hessian_roots(&example.outputs);
        let roots = match config.curvature {
            LossCurvature::GaussNewton => roots(),
            LossCurvature::SampledGaussNewton { draws, seed } => {
                sampled(roots(), draws, seed, examples)
            }
            LossCurvature::EmpiricalFisher => {
                add(nll.sum())?;
                Vec::new()
            }
        };
        for root in &roots {
            add(along(example.next_graph()?, root))?;
        }
        examples += 1;
        progress(&batches.progress());
    }
    if examples == 0 {
        return Err(LaplaceError::Empty);
    }
    Ok(Fitted {
        curvature: sums.curvature(),
        squared_norm: random.iter().flatten().map(|w| w.squared_norm).sum(),
        log_likelihood,
        examples,
    })
}

/// The network as its gradients are taken, and the weights that are random; or why there is no approximation with these
/// settings.
pub(super) fn prepare<N, L>(
    config: &NetworkLaplaceConfig,
    network: &N,
    likelihood: &L,
) -> Result<(N, Vec<Option<RandomWeight>>), LaplaceError>
where
    N: Network<Output = Tensor<2>>,
    L: GaussNewton,
{
    positive("the prior precision", config.prior_precision)?;
    deterministic(network)?;
    if let Some(reason) = likelihood.refusal() {
        return Err(LaplaceError::Likelihood { reason });
    }
    if let LossCurvature::SampledGaussNewton { draws, .. } = config.curvature {
        positive(
            "the number of draws of the Gauss–Newton matrix",
            draws as f64,
        )?;
    }
    // The gradient of a weight that is tied is that of all its places.
    let predicting = as_in_prediction(network).retie();
    let random = random_weights(&predicting);
    let weights: usize = random.iter().flatten().map(RandomWeight::elements).sum();
    if weights == 0 {
        return Err(LaplaceError::NoGradient);
    }
    if config.covariance == WeightCovariance::Joint && weights > MAX_JOINT_PARAMETERS {
        return Err(LaplaceError::TooLarge {
            parameters: weights,
            limit: MAX_JOINT_PARAMETERS,
        });
    }
    Ok((predicting, random))
}

/// In `f64` where the device has it: the noise of a regression is found from what is left of a loss without its
/// constants.
fn in_full(output: Tensor<2>) -> Tensor<2> {
    match output.device().supports_dtype(DType::F64) {
        true => output.cast(DType::F64),
        false => output,
    }
}

/// Random sums r of these roots, so many that the mean of `Σ r rᵀ` over the signs is theirs.
fn sampled(roots: Vec<Vec<f64>>, draws: usize, seed: u64, example: usize) -> Vec<Vec<f64>> {
    if draws >= roots.len() {
        return roots;
    }
    let scale = (draws as f64).sqrt().recip();
    let sum = |draw| {
        let signs = normals(seed ^ layout::CURVATURE, example as u64, draw, roots.len());
        let signs = signs.into_iter().map(|z| scale.copysign(z));
        let mut sum = vec![0.0; roots[0].len()];
        for (root, sign) in roots.iter().zip(signs) {
            sum.iter_mut().zip(root).for_each(|(s, r)| *s += sign * r);
        }
        sum
    };
    (0..draws).map(sum).collect()
}

/// One example, and its outputs on as many graphs as are asked for.
pub(super) struct Example<'a, N: Network> {
    predicting: &'a N,
    inputs: N::Input,
    pub(super) outputs: Vec<f64>,
    /// The outputs of the first pass.
    pub(super) graph: Tensor<2>,
    is_used: bool,
}

impl<'a, N: Network<Output = Tensor<2>>> Example<'a, N> {
    /// Example `number` of the data. The first ones are computed twice.
    pub(super) fn new(
        predicting: &'a N,
        inputs: N::Input,
        number: usize,
    ) -> Result<Self, LaplaceError> {
        let graph = one_example(predicting, inputs.clone())?;
        let outputs = host(graph.clone());
        finite(&outputs, outputs.len(), "an output", number)?;
        if number < TWICE {
            let again = host(one_example(predicting, inputs.clone())?);
            repeats("an output", &outputs, &again, outputs.len(), number)?;
        }
        Ok(Self {
            predicting,
            inputs,
            outputs,
            graph,
            is_used: false,
        })
    }

    /// The outputs on a graph for one backward pass, which takes it along.
    pub(super) fn next_graph(&mut self) -> Result<Tensor<2>, LaplaceError> {
        match std::mem::replace(&mut self.is_used, true) {
            false => Ok(self.graph.clone()),
            true => one_example(self.predicting, self.inputs.clone()),
        }
    }
}

/// The outputs of a batch of one example.
fn one_example<N>(predicting: &N, inputs: N::Input) -> Result<Tensor<2>, LaplaceError>
where
    N: Network<Output = Tensor<2>>,
{
    // The mean mode switches off what is random in prediction too.
    let output = predicting.with_mean(|network| network.forward(inputs));
    let [examples, _] = output.dims();
    size("the number of examples", 1, examples)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sampled_roots_have_the_product_of_the_roots_on_average() {
        let roots = vec![
            vec![1.0, -0.5, 0.2],
            vec![0.3, 2.0, -1.0],
            vec![0.7, 0.1, 1.5],
        ];
        const EXAMPLES: usize = 4000;
        for (i, j) in (0..3).flat_map(|i| (0..=i).map(move |j| (i, j))) {
            let expected: f64 = roots.iter().map(|r| r[i] * r[j]).sum();
            let of_example = |example| {
                let drawn = sampled(roots.clone(), 2, 7, example);
                drawn.iter().map(|r| r[i] * r[j]).sum::<f64>()
            };
            let values: Vec<f64> = (0..EXAMPLES).map(of_example).collect();
            let n = EXAMPLES as f64;
            let mean = values.iter().sum::<f64>() / n;
            let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
            let off = (mean - expected) / (variance / n).sqrt();
            assert!(off.abs() < 4.0, "{i} {j}: {mean} for {expected}");
        }
    }
}
