//! A network with a tied weight, trained by its model.

use blitz_train::prelude::*;
use burn::module::{Module, Param};
use burn::nn::{Linear, LinearConfig};
use burn::optim::AdamConfig;
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

/// The losses and the last means of a few steps.
fn train(tied: bool) -> (Vec<f64>, Vec<f64>) {
    let device = Device::flex().autodiff();
    let mut layer = LinearConfig::new(2, 2).with_bias(false).init(&device);
    layer.weight = Param::from_tensor(Tensor::from_floats([[0.5, -0.3], [0.2, 0.8]], &device));
    let second = tied.then(|| layer.clone());
    let network = Twice {
        first: layer,
        second,
    };
    let network = network.bayesianize(&BayesianizeConfig::new());
    let likelihood = GaussianLikelihoodConfig::new()
        .with_targets(2)
        .with_noise(LikelihoodParam::Fixed(0.5))
        .init(&device);
    let elbo = ElboConfig::new(10).with_samples(2).init();
    let mut model = ElboModel::new(network, likelihood, elbo);
    let mut adam = AdamConfig::new().init();
    let mut losses = Vec::new();
    for _ in 0..5 {
        let x = Tensor::<2>::from_floats([[1.0, -1.0], [0.5, 2.0]], &device);
        let batch = LabeledBatch {
            inputs: x.clone(),
            targets: x,
        };
        let output = TrainStep::step(&model, batch);
        losses.push(scalar(output.item.loss.clone()));
        model = model.optimize(&mut adam, 0.05.into(), output.grads);
        if let Some(second) = &model.network.second {
            let first = values(model.network.first.weight.base());
            assert_eq!(values(second.weight.base()), first);
        }
    }
    (losses, values(model.network.first.weight.base()))
}

#[test]
fn a_tied_network_trains_as_one_that_uses_its_layer_twice() {
    let ((tied, tied_means), (once, once_means)) = (train(true), train(false));
    for (a, b) in tied
        .iter()
        .zip(&once)
        .chain(tied_means.iter().zip(&once_means))
    {
        assert!((a - b).abs() < 1e-5 * b.abs().max(1.0), "{a}, {b}");
    }
}
