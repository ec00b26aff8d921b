//! One step of a small network on each device.

use blitz_train::blitz_core::kernels::{is_fused, without_fused};
use blitz_train::prelude::*;
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::nn::LinearConfig;
use burn::tensor::{DType, Device, Gradients, Tensor};

use crate::devices::{others_with_products, product_tolerance};

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

/// Weights in another type.
struct In(DType);

impl ModuleMapper for In {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|weight| weight.cast(self.0).detach().require_grad())
    }
}

fn network(device: &Device, dtype: DType) -> [burn::nn::Linear; 2] {
    let layers = [
        LinearConfig::new(13, 17).init(device),
        LinearConfig::new(17, 3).init(device),
    ];
    Module::map(Module::map(layers, &mut SameWeights), &mut In(dtype))
}

/// The types whose products are compared, with how far they may be apart: where those of `f32` are in TF32, those of
/// `f64` tell what that would hide. (Vulkan's functions such as `tanh` are of `f32` alone, so what Burn computes there
/// in `f64` is another network's output.)
fn types(device: &Device) -> Vec<(DType, f64)> {
    let tolerance = product_tolerance(device);
    let mut types = vec![(DType::F32, tolerance)];
    if tolerance > 1e-4 {
        types.push((DType::F64, 1e-5));
    }
    types
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

struct Collect<'a>(&'a Gradients, Vec<Vec<f64>>);

impl ModuleVisitor for Collect<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let grad = param.base().grad(self.0);
        self.1.push(grad.map_or_else(Vec::new, numbers));
    }
}

/// The output, the KL and all gradients of `Σ (output − 1)² + KL`.
fn step(network: &[burn::nn::Linear; 2], device: &Device) -> Vec<Vec<f64>> {
    let _draw = network.draw(11, 2);
    let [first, second] = network;
    let x = ramp([5, 13], device, |i| (0.3 * i).cos()).cast(first.weight.dtype());
    let output = second.forward(first.forward(x).tanh());
    let kl = network.kl_cost();
    let loss = (output.clone() - 1.0).square().sum().reshape([1]) + kl.clone();
    let mut grads = Collect(&loss.backward(), vec![numbers(output), numbers(kl)]);
    network.visit(&mut grads);
    grads.1
}

fn assert_close(got: &[Vec<f64>], expected: &[Vec<f64>], tolerance: f64, what: &str) {
    assert_eq!(got.len(), expected.len(), "{what}");
    for (tensor, (got, expected)) in got.iter().zip(expected).enumerate() {
        assert_eq!(got.len(), expected.len(), "{what}, tensor {tensor}");
        let size = expected.iter().fold(1f64, |size, x| size.max(x.abs()));
        for (got, expected) in got.iter().zip(expected) {
            assert!(
                (got - expected).abs() <= tolerance * size,
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
        let on = |device: Device, dtype: DType| {
            let device = device.autodiff();
            let network = network(&device, dtype).bayesianize(&config);
            step(&network, &device)
        };
        for device in others_with_products() {
            assert!(is_fused(&device), "{device:?}");
            for (dtype, tolerance) in types(&device) {
                let what = format!("{prior:?} in {dtype:?} on {device:?}");
                let expected = on(Device::flex(), dtype);
                assert!(expected.iter().all(|tensor| !tensor.is_empty()));
                let fused = on(device.clone(), dtype);
                assert_close(&fused, &expected, tolerance, &what);
                let plain = without_fused(|| on(device.clone(), dtype));
                assert_close(&plain, &expected, tolerance, &format!("{what}, not fused"));
            }
        }
    }
}

#[test]
fn gradient_checkpointing_makes_no_difference() {
    let config = BayesianizeConfig::new().with_posterior(PosteriorConfig::normal(0.3));
    for device in others_with_products() {
        let on = |device: Device, dtype: DType| {
            let network = network(&device, dtype).bayesianize(&config);
            step(&network, &device)
        };
        for (dtype, tolerance) in types(&device) {
            let expected = on(device.clone().autodiff(), dtype);
            let got = on(device.clone().autodiff().gradient_checkpointing(), dtype);
            assert_close(
                &got,
                &expected,
                tolerance,
                &format!("{dtype:?} on {device:?}"),
            );
        }
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
        numbers(layer.with_draw(3, 4, |layer| layer.forward(x)))
    };
    let expected = on(Device::flex());
    for device in others_with_products() {
        let (tolerance, what) = (product_tolerance(&device), format!("{device:?}"));
        let got = [on(device)];
        assert_close(&got, std::slice::from_ref(&expected), tolerance, &what);
    }
}
