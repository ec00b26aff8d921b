//! A network with a tied weight, trained by its model.

use blitz_train::laplace::{DiagonalLaplace, EvidenceTrainingConfig, NetworkLaplace};
use blitz_train::prelude::*;
use blitz_train::{NetworkPosterior, SwagConfig};
use burn::data::dataloader::DataLoaderBuilder;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::InMemDataset;
use burn::module::{Module, Param};
use burn::nn::{Linear, LinearConfig};
use burn::optim::SgdConfig;
use burn::tensor::{Device, Tensor};
use burn::train::TrainStep;

use crate::{scalar, values};

/// One layer in two places, of which the second is read first.
#[derive(Module, Debug)]
struct Twice {
    first: Linear,
    second: Option<Linear>,
}

impl Network for Twice {
    type Input = Tensor<2>;
    type Output = Tensor<2>;

    fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        let second = self.second.as_ref().unwrap_or(&self.first);
        self.first.forward(second.forward(input).tanh())
    }
}

/// The losses and the last means of a few steps, before each of which a strategy of Burn's for several devices forks the model.
fn train(tied: bool, bayesian: bool, forked: bool) -> (Vec<f64>, Vec<f64>) {
    let device = Device::flex().autodiff();
    let mut network = twice(tied);
    if bayesian {
        network = network.bayesianize(&BayesianizeConfig::new());
    }
    let likelihood = GaussianLikelihoodConfig::new()
        .with_targets(2)
        .with_noise(LikelihoodParam::Fixed(0.5))
        .init(&device);
    let elbo = ElboConfig::new(10).with_samples(2).init();
    let mut model = ElboModel::new(network, likelihood, elbo);
    // Adam would hide a gradient of another length.
    let mut descent = SgdConfig::new().init();
    let mut losses = Vec::new();
    for _ in 0..5 {
        let x = Tensor::<2>::from_floats([[1.0, -1.0], [0.5, 2.0]], &device);
        let batch = LabeledBatch {
            inputs: x.clone(),
            targets: x,
        };
        if forked {
            model = model.fork(&device);
        }
        let output = TrainStep::step(&model, batch);
        losses.push(scalar(output.item.loss.clone()));
        model = model.optimize(&mut descent, 0.05.into(), output.grads);
        if let Some(second) = &model.network.second {
            let first = values(model.network.first.weight.base());
            assert_eq!(values(second.weight.base()), first);
        }
    }
    (losses, values(model.network.first.weight.base()))
}

#[test]
fn a_tied_network_trains_as_one_that_uses_its_layer_twice() {
    for (bayesian, forked) in [(true, false), (true, true), (false, false), (false, true)] {
        let (tied, tied_means) = train(true, bayesian, forked);
        let (once, once_means) = train(false, bayesian, forked);
        for (a, b) in tied
            .iter()
            .zip(&once)
            .chain(tied_means.iter().zip(&once_means))
        {
            assert!((a - b).abs() < 1e-5 * b.abs().max(1.0), "{a}, {b}");
        }
    }
}

/// The deterministic network, its layer in two places or read twice.
fn twice(tied: bool) -> Twice {
    let device = Device::flex().autodiff();
    let mut layer = LinearConfig::new(2, 2).with_bias(false).init(&device);
    layer.weight = Param::from_tensor(Tensor::from_floats([[0.5, -0.3], [0.2, 0.8]], &device));
    let second = tied.then(|| layer.clone());
    Twice {
        first: layer,
        second,
    }
}

fn assert_tied(network: &Twice) {
    let second = network.second.as_ref().unwrap();
    assert_eq!(
        values(network.first.weight.val()),
        values(second.weight.val())
    );
}

struct One;

impl Batcher<[f32; 2], Tensor<2>> for One {
    fn batch(&self, items: Vec<[f32; 2]>, device: &Device) -> Tensor<2> {
        Tensor::from_floats([items[0]], device)
    }
}

#[test]
fn a_laplace_approximation_counts_a_tied_weight_once_and_draws_it_once() {
    let fit = |tied| {
        let rows = vec![[1.0, -1.0], [0.5, 2.0], [-0.3, 0.1]];
        let data = DataLoaderBuilder::new(One)
            .batch_size(1)
            .set_device(Device::flex().autodiff())
            .build(InMemDataset::new(rows));
        let nll = |network: &Twice, x: Tensor<2>| {
            let output = network.forward(x.clone());
            (output - x).square().sum()
        };
        DiagonalLaplace::fit(twice(tied), data.as_ref(), nll, 2.0).unwrap()
    };
    let (tied, once) = (fit(true), fit(false));
    let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-5 * b.abs().max(1.0), "{a} for {b}");
    close(
        tied.log_marginal_likelihood(),
        once.log_marginal_likelihood(),
    );
    let (of_tied, of_once) = (tied.variances(), once.variances());
    assert_eq!(of_tied[1], None);
    for (a, b) in of_tied[0].iter().flatten().zip(of_once[0].iter().flatten()) {
        close(*a, *b);
    }
    let drawn = tied.sample_network(3, 1);
    assert_tied(&drawn);
    let alone = once.sample_network(3, 1);
    for (a, b) in values(drawn.first.weight.val())
        .into_iter()
        .zip(values(alone.first.weight.val()))
    {
        close(a, b);
    }
}

#[test]
fn a_training_by_the_evidence_steps_a_tied_weight_in_all_its_places() {
    let train = |tied| {
        let device = Device::flex().autodiff();
        let loader = |batch| {
            let rows = [[1.0, -1.0], [0.5, 2.0], [-0.3, 0.1]];
            let rows = rows.map(|row: [f32; 2]| (row, row)).to_vec();
            DataLoaderBuilder::new(RowBatcher)
                .batch_size(batch)
                .set_device(device.clone())
                .build(InMemDataset::new(rows))
        };
        let likelihood = GaussianLikelihoodConfig::new()
            .with_targets(2)
            .with_noise(LikelihoodParam::Fixed(0.5))
            .init(&device);
        let config = EvidenceTrainingConfig::new(12, 0.02).with_every(5);
        let (batches, examples) = (loader(3), loader(1));
        let (laplace, epochs) = config
            .fit(
                twice(tied),
                &likelihood,
                SgdConfig::new().init(),
                (batches.as_ref(), examples.as_ref()),
                NetworkLaplace::with_best_prior_precision,
                |_| {},
            )
            .unwrap();
        if tied {
            assert_tied(&laplace.network);
        }
        let mut numbers = values(laplace.network.first.weight.val());
        numbers.extend(epochs.iter().map(|at| at.nll));
        numbers
    };
    for (a, b) in train(true).into_iter().zip(train(false)) {
        assert!((a - b).abs() < 1e-5 * b.abs().max(1.0), "{a}, {b}");
    }
}

#[test]
fn swag_draws_a_tied_weight_once() {
    let network = |step: f32| {
        let mut network = twice(true);
        let moved = (network.first.weight.val() + 0.1 * step).detach();
        network.first.weight = Param::from_tensor(moved);
        network.second = Some(network.first.clone());
        network
    };
    for rank in [0, 3] {
        let mut swag = SwagConfig::new().with_rank(rank).init(&network(0.0));
        for step in 1..=5_u8 {
            swag.collect(&network(f32::from(step * step))).unwrap();
        }
        assert_tied(&swag.mean_network());
        let drawn = swag.draw_network(7, 1);
        assert_tied(&drawn);
        assert_ne!(
            values(drawn.first.weight.val()),
            values(swag.mean_network().first.weight.val())
        );
    }
}
