//! A model trained on one device predicts on another: the same numbers for the same seed.

use blitz_train::predict_draws;
use blitz_train::prelude::*;
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::optim::GradientsParams;
use burn::store::ModuleRecord;
use burn::tensor::{Device, Tensor};

use crate::devices::{others_with_products, product_tolerance};
use crate::step::{ramp, values};

fn network(device: &Device) -> [Linear; 2] {
    let layers = [
        LinearConfig::new(5, 33).init(device),
        LinearConfig::new(33, 1).init(device),
    ];
    Module::map(layers, &mut crate::step::SameWeights)
        .bayesianize(&BayesianizeConfig::new().with_posterior(PosteriorConfig::normal(0.1)))
}

fn forward([first, second]: &[Linear; 2], x: Tensor<2>) -> Tensor<2> {
    second.forward(first.forward(x).tanh())
}

/// Twenty steps of the ELBO, by the optimizer in one pass.
fn train(device: &Device) -> [Linear; 2] {
    let device = device.clone().autodiff();
    let x = ramp([40, 5], &device, |i| (0.37 * i).sin());
    let y = x.clone().sum_dim(1);
    let likelihood = GaussianLikelihoodConfig::new()
        .with_noise(LikelihoodParam::Fixed(0.1))
        .init(&device);
    let elbo = ElboConfig::new(40).with_samples(2).init();
    let mut adam = FusedAdamConfig::new().init();
    let mut model = network(&device);
    for step in 0..20 {
        let loss = elbo.loss(&model, step.into(), |model| {
            likelihood.nll(forward(model, x.clone()), y.clone())
        });
        let grads = GradientsParams::from_grads(loss.loss.backward(), &model);
        model = adam.step(0.01, model, grads);
    }
    model.valid()
}

/// What ten draws of seed 3 predict.
fn predict(model: &[Linear; 2], device: &Device) -> Vec<f32> {
    let x = ramp([7, 5], device, |i| (0.11 * i).cos());
    let draws = predict_draws(model, 10, 3, |model| forward(model, x.clone()));
    draws.into_iter().flat_map(values).collect()
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, f32::max)
}

#[test]
fn a_saved_model_predicts_the_same_on_another_device() {
    let flex = Device::flex();
    for device in others_with_products() {
        for (from, to) in [(&flex, &device), (&device, &flex)] {
            let model = train(from);
            let expected = predict(&model, from);
            let bytes = model.into_record().into_bytes().unwrap();
            let record = ModuleRecord::from_bytes(bytes).unwrap();
            let loaded = network(to).load_record(record);
            let difference = largest_difference(&predict(&loaded, to), &expected);
            let size = expected.iter().fold(1f32, |size, y| size.max(y.abs()));
            // The order of sums in matrix products, and a device's own tanh; the same bound as for a step.
            assert!(
                f64::from(difference) <= product_tolerance(&device) * f64::from(size),
                "{from:?} to {to:?}: {difference} of {size}"
            );
            assert!(largest_difference(&expected[..7], &expected[7..14]) > 1e-3);
        }
    }
}

#[test]
fn a_training_ends_at_the_same_model_on_every_device() {
    let expected = predict(&train(&Device::flex()), &Device::flex());
    for device in others_with_products() {
        let got = predict(&train(&device), &device);
        let difference = largest_difference(&got, &expected);
        // Twenty steps of Adam, whose first ones have the size of the learning rate whatever the gradient's.
        let tolerance = 100.0 * product_tolerance(&device);
        assert!(
            f64::from(difference) < tolerance,
            "{device:?}: {difference}"
        );
    }
}
