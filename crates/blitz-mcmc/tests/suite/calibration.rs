//! Simulation-based calibration (Talts et al. 2018): the rank of a truth that was drawn from the prior, among draws of
//! its posterior, is uniform.
//!
//! Many models, each with data of its own, are one network: their joint posterior is the product of theirs, so one
//! chain samples all of them at once. It starts near the truths, so this does not tell whether other modes are found.

use blitz_mcmc::{LogDensity, NutsConfig};
use blitz_train::prelude::*;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};

use crate::networks::{gaussian, normals};

/// Draws that are ranked against, each far from the next in its chain.
const RANKED: usize = 31;
const BINS: usize = 8;
/// The χ² of 7 degrees of freedom that one of 100,000 exceeds.
const LIMIT: f64 = 35.26;

fn tensor<const D: usize>(values: Vec<f64>, shape: [usize; D]) -> Tensor<D> {
    let values: Vec<f32> = values.into_iter().map(|value| value as f32).collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter().collect()
}

/// The χ² of the ranks of `truths` among `draws`, one list for each truth.
fn chi_squared(truths: &[f64], draws: &[Vec<f64>]) -> f64 {
    let mut counts = [0.0; BINS];
    for (truth, draws) in truths.iter().zip(draws) {
        assert_eq!(draws.len(), RANKED);
        let rank = draws.iter().filter(|draw| *draw < truth).count();
        counts[rank * BINS / (RANKED + 1)] += 1.0;
    }
    let expected = truths.len() as f64 / BINS as f64;
    counts
        .iter()
        .map(|count| (count - expected).powi(2) / expected)
        .sum()
}

/// What each quantity's ranks give: `quantities` computes [models, quantities], from the truth and from draws.
fn calibrated<N>(
    truth: &N,
    inputs: Tensor<3>,
    noise: f64,
    assumed_noise: f64,
    thinning: usize,
    quantities: impl Fn(&N) -> Tensor<2>,
) -> Vec<f64>
where
    N: Network<Input = Tensor<3>, Output = Tensor<2>>,
{
    let clean = truth.forward(inputs.clone());
    let shape = clean.dims();
    let errors = tensor(normals(77, shape[0] * shape[1]), shape);
    let data = LabeledBatch {
        targets: clean + errors * noise,
        inputs,
    };
    let density = LogDensity::new(
        truth,
        &gaussian(assumed_noise),
        |_| PriorConfig::normal(1.0),
        vec![data],
    )
    .unwrap();
    let config = NutsConfig::new()
        .with_chains(1)
        .with_warm_up(180)
        .with_draws(RANKED * thinning)
        .with_seed(8);
    let posterior = config.init().run(&density).unwrap();
    let of_draws: Vec<Vec<f64>> = (0..RANKED)
        .map(|draw| numbers(quantities(&posterior.network(0, draw * thinning))))
        .collect();
    let truth = quantities(truth);
    let [models, count] = truth.dims();
    let truth = numbers(truth);
    (0..count)
        .map(|quantity| {
            let at = |model: usize| model * count + quantity;
            let truths: Vec<f64> = (0..models).map(|model| truth[at(model)]).collect();
            let draws: Vec<Vec<f64>> = (0..models)
                .map(|model| of_draws.iter().map(|draw| draw[at(model)]).collect())
                .collect();
            chi_squared(&truths, &draws)
        })
        .collect()
}

/// Linear models, [models, inputs, 1].
#[derive(Module, Debug)]
struct Lines {
    weight: Param<Tensor<3>>,
}

impl Network for Lines {
    type Input = Tensor<3>;
    type Output = Tensor<2>;

    fn forward(&self, inputs: Tensor<3>) -> Tensor<2> {
        let [models, rows, _] = inputs.dims();
        inputs.matmul(self.weight.val()).reshape([models * rows, 1])
    }
}

fn lines(assumed_noise: f64) -> Vec<f64> {
    let (models, rows, columns) = (120, 5, 2);
    let truth = Lines {
        weight: Param::from_tensor(tensor(normals(70, models * columns), [models, columns, 1])),
    };
    let inputs = tensor(
        normals(71, models * rows * columns),
        [models, rows, columns],
    );
    calibrated(&truth, inputs, 0.7, assumed_noise, 6, |lines| {
        lines.weight.val().squeeze_dim(2)
    })
}

#[test]
fn ranks_are_uniform_for_a_linear_model() {
    for chi_squared in lines(0.7) {
        assert!(chi_squared < LIMIT, "{chi_squared}");
    }
}

#[test]
fn ranks_show_a_noise_that_is_not_the_data_s() {
    assert!(
        lines(0.2)
            .iter()
            .any(|chi_squared| *chi_squared > 2.0 * LIMIT)
    );
}

/// Networks of one input and two hidden units.
#[derive(Module, Debug)]
struct Mlps {
    first: Param<Tensor<3>>,
    first_bias: Param<Tensor<3>>,
    second: Param<Tensor<3>>,
    second_bias: Param<Tensor<3>>,
}

impl Mlps {
    fn outputs(&self, inputs: Tensor<3>) -> Tensor<3> {
        let hidden = (inputs.matmul(self.first.val()) + self.first_bias.val()).tanh();
        hidden.matmul(self.second.val()) + self.second_bias.val()
    }
}

impl Network for Mlps {
    type Input = Tensor<3>;
    type Output = Tensor<2>;

    fn forward(&self, inputs: Tensor<3>) -> Tensor<2> {
        let [models, rows, _] = inputs.dims();
        self.outputs(inputs).reshape([models * rows, 1])
    }
}

#[test]
fn ranks_of_predictions_are_uniform_for_a_small_network() {
    let (models, rows, hidden) = (60, 6, 2);
    let param = |seed, shape: [usize; 3]| {
        let values = normals(seed, shape.iter().product());
        Param::from_tensor(tensor(values, shape))
    };
    let truth = Mlps {
        first: param(80, [models, 1, hidden]),
        first_bias: param(81, [models, 1, hidden]),
        second: param(82, [models, hidden, 1]),
        second_bias: param(83, [models, 1, 1]),
    };
    let inputs = tensor(normals(84, models * rows), [models, rows, 1]);
    // Between the data and far from them: weights have symmetries, predictions none.
    let at = tensor([0.0, 2.5].repeat(models), [models, 2, 1]);
    let of_networks = |mlps: &Mlps| mlps.outputs(at.clone()).squeeze_dim(2);
    for chi_squared in calibrated(&truth, inputs, 0.3, 0.3, 4, of_networks) {
        assert!(chi_squared < LIMIT, "{chi_squared}");
    }
}
