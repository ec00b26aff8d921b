//! One step of a small network on each device.

use blitz_train::blitz_core::kernels::{is_fused, without_fused};
use blitz_train::prelude::*;
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::nn::LinearConfig;
use burn::tensor::{Device, Gradients, Tensor};

use crate::devices::others_with_products;

pub fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

/// `f(0), f(1), …` in a tensor.
pub fn ramp<const D: usize>(
    dims: [usize; D],
    device: &Device,
    f: impl Fn(f32) -> f32,
) -> Tensor<D> {
    let len = dims.iter().product();
    let values: Vec<f32> = (0..len).map(|i| f(i as f32)).collect();
    Tensor::<1>::from_floats(values.as_slice(), device).reshape(dims)
}

/// The same weights on every device, since Burn initializes at random.
pub struct SameWeights;

impl ModuleMapper for SameWeights {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|weight| {
            let weights = ramp(weight.dims(), &weight.device(), |i| (0.7 * i).sin());
            match weight.is_autodiff() {
                true => weights.require_grad(),
                false => weights,
            }
        })
    }
}

fn network(device: &Device) -> [burn::nn::Linear; 2] {
    let layers = [
        LinearConfig::new(13, 17).init(device),
        LinearConfig::new(17, 3).init(device),
    ];
    Module::map(layers, &mut SameWeights)
}

struct Collect<'a>(&'a Gradients, Vec<Vec<f32>>);

impl ModuleVisitor for Collect<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let grad = param.base().grad(self.0);
        self.1.push(grad.map_or_else(Vec::new, values));
    }
}

/// The output, the KL and all gradients of `Σ (output − 1)² + KL`.
fn step(network: &[burn::nn::Linear; 2], device: &Device) -> Vec<Vec<f32>> {
    let _draw = network.draw(11, 2);
    let x = ramp([5, 13], device, |i| (0.3 * i).cos());
    let [first, second] = network;
    let output = second.forward(first.forward(x).tanh());
    let kl = network.kl_cost();
    let loss = (output.clone() - 1.0).square().sum().reshape([1]) + kl.clone();
    let mut grads = Collect(&loss.backward(), vec![values(output), values(kl)]);
    network.visit(&mut grads);
    grads.1
}

fn assert_close(got: &[Vec<f32>], expected: &[Vec<f32>], what: &str) {
    assert_eq!(got.len(), expected.len(), "{what}");
    for (tensor, (got, expected)) in got.iter().zip(expected).enumerate() {
        assert_eq!(got.len(), expected.len(), "{what}, tensor {tensor}");
        let size = expected.iter().fold(1f32, |size, x| size.max(x.abs()));
        for (got, expected) in got.iter().zip(expected) {
            assert!(
                (got - expected).abs() <= 1e-5 * size,
                "{what}, tensor {tensor}: {got} for {expected}"
            );
        }
    }
}

#[test]
fn a_step_is_the_same_on_every_device_with_fused_operations_and_without() {
    for prior in [
        PriorConfig::normal(0.5),
        PriorConfig::scale_mixture(0.25, 1.0, 0.1),
        PriorConfig::laplace(0.5),
    ] {
        let config = BayesianizeConfig::new()
            .with_posterior(PosteriorConfig::normal(0.3))
            .with_prior(prior.clone());
        let on = |device: Device| {
            let device = device.autodiff();
            let network = network(&device).bayesianize(&config);
            step(&network, &device)
        };
        let expected = on(Device::flex());
        assert!(expected.iter().all(|tensor| !tensor.is_empty()));
        for device in others_with_products() {
            let what = format!("{prior:?} on {device:?}");
            assert!(is_fused(&device), "{what}");
            assert_close(&on(device.clone()), &expected, &what);
            let plain = without_fused(|| on(device));
            assert_close(&plain, &expected, &format!("{what}, not fused"));
        }
    }
}

#[test]
fn gradient_checkpointing_makes_no_difference() {
    let config = BayesianizeConfig::new().with_posterior(PosteriorConfig::normal(0.3));
    for device in others_with_products() {
        let on = |device: Device| {
            let network = network(&device).bayesianize(&config);
            step(&network, &device)
        };
        let expected = on(device.clone().autodiff());
        let got = on(device.clone().autodiff().gradient_checkpointing());
        assert_close(&got, &expected, &format!("{device:?}"));
    }
}

#[test]
fn local_reparameterization_has_the_same_outputs_on_every_device() {
    let on = |device: Device| {
        let device = device.autodiff();
        let layer = BayesianLinearConfig::new(13, 7)
            .with_estimator(Estimator::LocalReparameterization)
            .init(&device)
            .map(&mut SameWeights);
        let x = ramp([5, 13], &device, |i| (0.3 * i).cos());
        values(layer.with_draw(3, 4, |layer| layer.forward(x)))
    };
    let expected = on(Device::flex());
    for device in others_with_products() {
        let what = format!("{device:?}");
        assert_close(&[on(device)], std::slice::from_ref(&expected), &what);
    }
}
