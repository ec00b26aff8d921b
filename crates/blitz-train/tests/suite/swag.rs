//! SWAG's moments are those of the weights it was shown, and its draws have the covariance of its definition.

use blitz_train::distribution::{Distribution, Normal};
use blitz_train::prelude::*;
use blitz_train::{
    NetworkPosterior, StatisticsError, Swag, SwagConfig, SwagError, with_statistics_of,
};
use burn::data::dataloader::DataLoaderBuilder;
use burn::data::dataset::InMemDataset;
use burn::module::{Module, Param};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig};
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::{Device, Tensor, TensorData};

use crate::{standard_errors_off, values};

/// Standard errors: of two million correct values, one is refused.
const GATE: f64 = 5.0;

/// Weights of two parameters, of different ranks.
#[derive(Module, Debug)]
struct Two {
    a: Param<Tensor<1>>,
    b: Param<Tensor<2>>,
}

impl Two {
    fn new(weights: &[f32; 5]) -> Self {
        let device = Device::flex().autodiff();
        let b = TensorData::new(weights[3..].to_vec(), [1, 2]);
        Self {
            a: Param::from_tensor(Tensor::from_floats(&weights[..3], &device)),
            b: Param::from_tensor(Tensor::from_data(b, &device)),
        }
    }

    fn weights(&self) -> Vec<f64> {
        [values(self.a.val()), values(self.b.val())].concat()
    }
}

/// A walk of `steps` steps, each weight at a distance from zero.
fn walk(steps: usize, distance: f32, step: f32) -> Vec<[f32; 5]> {
    let mut noise = vec![0.0; 5 * steps];
    NoiseKey::new(3, 0, 0).fill_standard_normal(0, &mut noise);
    let mut at = [distance; 5];
    let steps = noise.chunks(5).map(|noise| {
        for (at, noise) in at.iter_mut().zip(noise) {
            *at += step * noise;
        }
        at
    });
    steps.collect()
}

fn collected(config: &SwagConfig, walk: &[[f32; 5]]) -> Swag<Two> {
    let mut swag = config.init(&Two::new(&[9.0; 5]));
    for weights in walk {
        swag.collect(&Two::new(weights)).unwrap();
    }
    swag
}

/// Mean and covariance by the paper's formulas, in `f64` and two passes.
fn expected(walk: &[[f32; 5]], rank: usize) -> (Vec<f64>, Vec<Vec<f64>>) {
    let n = walk.len() as f64;
    let mean_of = |walk: &[[f32; 5]], i: usize| {
        walk.iter().map(|w| f64::from(w[i])).sum::<f64>() / walk.len() as f64
    };
    let mean: Vec<f64> = (0..5).map(|i| mean_of(walk, i)).collect();
    let first = walk.len().saturating_sub(rank);
    let columns: Vec<Vec<f64>> = (first..walk.len())
        .map(|step| {
            let so_far = &walk[..=step];
            (0..5)
                .map(|i| f64::from(walk[step][i]) - mean_of(so_far, i))
                .collect()
        })
        .collect();
    let covariance = |i: usize, j: usize| {
        let variance = walk
            .iter()
            .map(|w| (f64::from(w[i]) - mean[i]).powi(2))
            .sum::<f64>()
            / n;
        let diagonal = if i == j { variance } else { 0.0 };
        if columns.len() < 2 {
            return diagonal;
        }
        let together: f64 = columns.iter().map(|column| column[i] * column[j]).sum();
        0.5 * diagonal + 0.5 * together / (columns.len() as f64 - 1.0)
    };
    let covariance = (0..5).map(|i| (0..5).map(|j| covariance(i, j)).collect());
    (mean.clone(), covariance.collect())
}

fn assert_moments(swag: &Swag<Two>, (mean, covariance): (Vec<f64>, Vec<Vec<f64>>)) {
    let n = 20_000;
    let draws: Vec<Vec<f64>> = (0..n)
        .map(|i| swag.sample_network(5, i).weights())
        .collect();
    let n = n as f64;
    for i in 0..5 {
        let off = draws.iter().map(|w| w[i] - mean[i]).sum::<f64>() / n;
        let off = off / (covariance[i][i] / n).sqrt();
        assert!(off.abs() < GATE, "mean {i}: {off} standard errors");
        for j in 0..=i {
            let products = draws.iter().map(|w| (w[i] - mean[i]) * (w[j] - mean[j]));
            let (c, diagonals) = (covariance[i][j], covariance[i][i] * covariance[j][j]);
            let off = (products.sum::<f64>() / n - c) / ((diagonals + c * c) / n).sqrt();
            assert!(
                off.abs() < GATE,
                "covariance {i} {j}: {off} standard errors of {c}"
            );
        }
    }
}

#[test]
fn draws_have_the_mean_and_covariance_of_the_definition_across_parameters() {
    // Fewer, as many and more networks than the low-rank part has columns.
    for steps in [2, 4, 9] {
        let walk = walk(steps, 0.5, 0.3);
        let swag = collected(&SwagConfig::new().with_rank(4), &walk);
        assert_eq!(swag.collected(), steps as u64);
        let expected = expected(&walk, 4);
        assert!(expected.1[4][0].abs() > 1e-3, "{:?}", expected.1);
        assert_moments(&swag, expected);
    }
}

#[test]
fn without_a_low_rank_part_draws_are_independent_with_the_variances_of_the_weights() {
    let walk = walk(9, 0.5, 0.3);
    let swag = collected(&SwagConfig::new().with_rank(0), &walk);
    assert_moments(&swag, expected(&walk, 0));
}

#[test]
fn small_deviations_of_large_weights_are_not_lost() {
    // Squares of 1e8, of which `f32` knows multiples of 8; variances of some 1e-2. Of the weights themselves it knows
    // multiples of 2⁻¹⁰.
    let unit = 2f64.powi(-10);
    let walk = walk(200, 1e4, 0.01);
    let swag = collected(&SwagConfig::new().with_rank(0), &walk);
    let (mean, covariance) = expected(&walk, 0);
    let n = 4000;
    let draws: Vec<Vec<f64>> = (0..n)
        .map(|i| swag.sample_network(5, i).weights())
        .collect();
    let means = swag.mean_network().weights();
    for i in 0..5 {
        assert!(
            (means[i] - mean[i]).abs() < unit,
            "{} {}",
            means[i],
            mean[i]
        );
        let squares = draws.iter().map(|w| (w[i] - mean[i]).powi(2));
        // A draw is rounded to a multiple of the unit, which adds the variance of a uniform number.
        let variance = covariance[i][i] + unit.powi(2) / 12.0;
        let ratio = squares.sum::<f64>() / n as f64 / variance;
        let error = (2.0 / n as f64).sqrt();
        assert!((ratio - 1.0).abs() < GATE * error, "{i}: {ratio}");
    }
}

#[test]
fn the_scale_is_one_of_the_covariance() {
    let walk = walk(9, 0.5, 0.3);
    let draw = |scale: f64| {
        let config = SwagConfig::new().with_rank(4).with_scale(scale);
        collected(&config, &walk).sample_network(1, 0).weights()
    };
    let (none, one, four) = (draw(0.0), draw(1.0), draw(4.0));
    let mean = expected(&walk, 0).0;
    for i in 0..5 {
        assert!((none[i] - mean[i]).abs() < 1e-6);
        assert!((four[i] - none[i] - 2.0 * (one[i] - none[i])).abs() < 1e-5);
    }
}

#[test]
fn a_draw_can_be_made_again_also_from_a_record() {
    let walk = walk(9, 0.5, 0.3);
    let config = SwagConfig::new().with_rank(4);
    let swag = collected(&config, &walk);
    let draw = swag.draw_network(7, 3).weights();
    assert_eq!(draw, swag.sample_network(7, 3).weights());
    assert_ne!(draw, swag.sample_network(7, 4).weights());
    assert_ne!(draw, swag.sample_network(8, 3).weights());

    let bytes = swag.clone().into_record().into_bytes().unwrap();
    let record = burn::store::ModuleRecord::from_bytes(bytes).unwrap();
    let mut loaded = config.init(&Two::new(&[0.0; 5])).load_record(record);
    assert_eq!(draw, loaded.sample_network(7, 3).weights());
    // And it goes on as the one that was saved.
    let mut swag = swag;
    for swag in [&mut swag, &mut loaded] {
        swag.collect(&Two::new(&[1.0; 5])).unwrap();
    }
    assert_eq!(
        swag.sample_network(7, 3).weights(),
        loaded.sample_network(7, 3).weights()
    );
}

#[test]
fn a_walk_of_sgd_about_the_minimum_gives_the_least_squares_solution_as_the_mean() {
    let device = Device::flex().autodiff();
    let (x, y) = ([-1.5, -0.5, 0.2, 1.0, 1.8], [-2.0, -1.5, 0.9, 1.1, 4.2]);
    let n = 5.0;
    let (sum_x, sum_y): (f64, f64) = (x.iter().sum(), y.iter().sum());
    let sum_xy: f64 = x.iter().zip(&y).map(|(x, y)| x * y).sum();
    let sum_xx: f64 = x.iter().map(|x| x * x).sum();
    let slope = (n * sum_xy - sum_x * sum_y) / (n * sum_xx - sum_x * sum_x);
    let intercept = (sum_y - slope * sum_x) / n;

    let mut network: Linear = LinearConfig::new(1, 1).init(&device);
    let mut sgd = SgdConfig::new().init();
    let mut swag = SwagConfig::new().init(&network);
    // Rows that are drawn independently: whatever the rate, the walk's expectation is the solution.
    let mut noise = vec![0.0; 3000 * 5];
    NoiseKey::new(4, 0, 0).fill_standard_normal(0, &mut noise);
    let standard = Normal {
        mean: 0.0,
        std: 1.0,
    };
    let mut walk = Vec::new();
    for (epoch, noise) in noise.chunks(5).enumerate() {
        for z in noise {
            let row = (5.0 * standard.cdf(f64::from(*z))).min(4.0) as usize;
            let input = Tensor::<2>::from_floats([[x[row] as f32]], &device);
            let loss = (network.forward(input) - y[row] as f32).square().sum();
            let grads = GradientsParams::from_grads(loss.backward(), &network);
            network = sgd.step(0.02, network, grads);
        }
        if epoch >= 100 {
            swag.collect(&network).unwrap();
            walk.push(weight_and_bias(&network));
        }
    }
    let mean = weight_and_bias(&swag.mean_network());
    for (i, solution) in [slope, intercept].into_iter().enumerate() {
        // An error is forgotten in six epochs, so that the means of a hundred are nearly independent.
        let mean_of = |epochs: &[[f64; 2]]| {
            epochs.iter().map(|weights| weights[i]).sum::<f64>() / epochs.len() as f64
        };
        let means: Vec<f64> = walk.chunks(100).map(mean_of).collect();
        let off = standard_errors_off(&means, solution);
        assert!(off.abs() < GATE, "{i}: {off} standard errors");
        let whole = mean_of(&walk);
        // What a mean loses in `f32`.
        assert!((mean[i] - whole).abs() < 1e-5, "{} for {whole}", mean[i]);
    }
}

fn weight_and_bias(network: &Linear) -> [f64; 2] {
    let bias = network.bias.as_ref().unwrap();
    [values(network.weight.val())[0], values(bias.val())[0]]
}

#[derive(Module, Debug)]
struct Normed {
    layer: Linear,
    norm: BatchNorm,
}

#[test]
fn what_does_not_train_is_that_of_the_latest_network() {
    let device = Device::flex().autodiff();
    let network = Normed {
        layer: LinearConfig::new(2, 2).init(&device).no_grad(),
        norm: BatchNormConfig::new(2).init(&device),
    };
    let mut swag = SwagConfig::new().init(&network);
    for step in 0..3 {
        let x = Tensor::<2>::from_floats([[1.0, 2.0], [3.0, -1.0]], &device) * (step + 1);
        network.norm.forward(network.layer.forward(x));
        swag.collect(&network).unwrap();
    }
    let draw = swag.sample_network(1, 0);
    let statistics = |network: &Normed| values(network.norm.running_mean.value());
    assert_eq!(statistics(&draw), statistics(&network));
    assert_eq!(
        values(draw.layer.weight.val()),
        values(network.layer.weight.val())
    );
}

#[test]
fn the_statistics_of_a_draw_and_of_the_mean_go_over_to_those_of_their_own_activations() {
    let device = Device::flex().autodiff();
    let network = Normed {
        layer: LinearConfig::new(2, 2).init(&device),
        norm: BatchNormConfig::new(2).init(&device),
    };
    let mut swag = SwagConfig::new().with_rank(0).init(&network);
    for step in 0..3 {
        let mut latest = network.clone();
        let moved = |weight: Tensor<2>| (weight + f64::from(step)).detach().require_grad();
        latest.layer.weight = latest.layer.weight.map(moved);
        swag.collect(&latest).unwrap();
    }
    let rows = [[1.0f32, 2.0], [3.0, -1.0]];
    // Three batches of both rows.
    let loader = |batches: usize| {
        let rows = [rows; 3].concat().into_iter().map(|x| (x, [0.0f32]));
        DataLoaderBuilder::new(RowBatcher)
            .batch_size(2)
            .set_device(Device::flex())
            .build(InMemDataset::new(rows.take(2 * batches).collect()))
    };
    let forward = |network: &Normed, batch: LabeledBatch<Tensor<2>, Tensor<2>>| {
        network.norm.forward(network.layer.forward(batch.inputs));
    };
    let mean = |network: &Normed| values(network.norm.running_mean.value());
    for before in [swag.sample_network(1, 0), swag.mean_network()] {
        let after = with_statistics_of(&before, loader(3).as_ref(), forward).unwrap();
        let x = Tensor::<2>::from_floats(rows, &Device::flex());
        let activations = values(before.layer.forward(x).mean_dim(0));
        for (got, activation) in mean(&after).into_iter().zip(activations) {
            let expected = (1.0 - 0.9f64.powi(3)) * activation;
            assert!(
                (got - expected).abs() < 1e-5 * (1.0 + expected.abs()),
                "{got} for {expected}"
            );
        }
        let weights = |network: &Normed| values(network.layer.weight.val());
        assert_eq!(weights(&after), weights(&before));
        assert!(after.train().layer.weight.is_require_grad());
        // No other network has moved.
        assert_eq!(mean(&before), [0.0, 0.0]);
    }
    assert_eq!(mean(&swag.sample_network(1, 1)), [0.0, 0.0]);
    let error = with_statistics_of(&swag.mean_network(), loader(0).as_ref(), forward);
    assert!(matches!(error, Err(StatisticsError::Empty)));
}

#[test]
fn a_weight_that_is_not_finite_is_named_and_changes_nothing() {
    let walk = walk(4, 0.5, 0.3);
    let mut swag = collected(&SwagConfig::new(), &walk);
    let before = swag.sample_network(1, 0).weights();
    let error = swag.collect(&Two::new(&[0.0, 0.0, 0.0, f32::NAN, 0.0]));
    assert_eq!(error, Err(SwagError::NonFinite { path: "b".into() }));
    assert_eq!(before, swag.sample_network(1, 0).weights());
    assert_eq!(swag.collected(), 4);
}

#[test]
fn a_network_of_another_shape_is_named() {
    let device = Device::flex().autodiff();
    let network = |inputs: usize, bias: bool| -> Linear {
        LinearConfig::new(inputs, 2).with_bias(bias).init(&device)
    };
    let mut swag = SwagConfig::new().init(&network(3, true));
    let error = swag.collect(&network(4, true)).unwrap_err().to_string();
    assert_eq!(
        error,
        "parameter weight has 8 weights that train, the posterior has 6 of it"
    );
    let error = swag.collect(&network(3, false)).unwrap_err().to_string();
    assert_eq!(
        error,
        "a network of 1 parameters was collected, the posterior is of 2"
    );
}

/// Its draws would have the noise of the posteriors and of SWAG from the same numbers: a variance of (s + σ)² for s² +
/// σ².
#[test]
fn a_network_that_has_posteriors_is_refused_by_its_weight() {
    let device = Device::flex().autodiff();
    let layer: Linear = LinearConfig::new(1, 1).with_bias(false).init(&device);
    let bayesian = layer.clone().bayesianize(&BayesianizeConfig::new());
    let mut swag = SwagConfig::new().with_rank(0).init(&layer);
    let error = swag.collect(&bayesian).unwrap_err();
    assert_eq!(
        error,
        SwagError::Bayesian {
            path: "weight".into()
        }
    );
    assert_eq!(swag.collected(), 0);
    swag.collect(&layer).unwrap();
}

#[test]
#[should_panic(expected = "at least 2 networks, got 1")]
fn one_network_is_no_posterior() {
    let _ = collected(&SwagConfig::new(), &walk(1, 0.5, 0.3)).sample_network(1, 0);
}

#[test]
#[should_panic(expected = "got a rank of 1")]
fn a_rank_of_one_is_refused() {
    let _ = SwagConfig::new().with_rank(1).init(&Two::new(&[0.0; 5]));
}
